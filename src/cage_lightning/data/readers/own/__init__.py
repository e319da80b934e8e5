"""From samples of somebody's own to annotations: categories, splits, what is refused."""

from cage_lightning.data.readers.own.data import OwnData
from cage_lightning.data.readers.own.rules import Rules

__all__ = ["OwnData", "Rules"]
