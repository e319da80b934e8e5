"""One LightningModule for each training mode: which outputs a network has and what they mean.

A new mode is a file here with a class of two attributes (see `ExpressionModule`), the name of that
class in `MODES` below, and a file ``conf/loss/<mode>.yaml`` that names it and its loss
(`cage_lightning.losses`, or any other importable class). A new loss for one of these modes is only
the class and the yaml file.
"""

from __future__ import annotations

from cage_lightning.modules.base import ExpressionModule
from cage_lightning.modules.combined import CombinedModule
from cage_lightning.modules.discrete import DiscreteModule
from cage_lightning.modules.valence_arousal import ValenceArousalModule

MODES: tuple[type[ExpressionModule], ...] = (CombinedModule, DiscreteModule, ValenceArousalModule)
"""The modes that a checkpoint may name."""

__all__ = ["MODES", "CombinedModule", "DiscreteModule", "ExpressionModule", "ValenceArousalModule"]
