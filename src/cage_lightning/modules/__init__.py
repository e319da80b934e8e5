"""One LightningModule for each training mode: which outputs a network has and what they mean."""

from __future__ import annotations

from cage_lightning.modules.base import ExpressionModule
from cage_lightning.modules.combined import CombinedModule
from cage_lightning.modules.discrete import DiscreteModule
from cage_lightning.modules.valence_arousal import ValenceArousalModule

MODES: tuple[type[ExpressionModule], ...] = (CombinedModule, DiscreteModule, ValenceArousalModule)
"""The modes that a checkpoint may name."""

__all__ = ["MODES", "CombinedModule", "DiscreteModule", "ExpressionModule", "ValenceArousalModule"]
