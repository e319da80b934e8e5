"""One LightningModule per training mode."""

from cage_lightning.modules.base import ExpressionModule
from cage_lightning.modules.combined import CombinedModule
from cage_lightning.modules.discrete import DiscreteModule
from cage_lightning.modules.valence_arousal import ValenceArousalModule

__all__ = ["CombinedModule", "DiscreteModule", "ExpressionModule", "ValenceArousalModule"]
