"""From a release on disk to batches."""

from cage_lightning.data.module import AffectNet, DemoFaces, ExpressionData

__all__ = ["AffectNet", "DemoFaces", "ExpressionData"]
