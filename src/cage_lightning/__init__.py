"""Expression inference from faces: discrete categories, valence and arousal, or both.

The names in `__all__` are the public interface (docs/python.md). Each is imported when it is first
asked for, so that importing the package loads neither torch nor Lightning and the command line
answers at once. Other modules may be imported too, but they may move between versions.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cage_lightning.app.build import load_module
    from cage_lightning.deploy.expressions import Expression, Expressions
    from cage_lightning.deploy.model import ExpressionModel
    from cage_lightning.errors import CageError
    from cage_lightning.labels import (
        AFFECTNET_7,
        AFFECTNET_8,
        EMOTIC,
        Batch,
        LabelSpace,
        Prediction,
    )
    from cage_lightning.losses import CombinedLoss, DiscreteLoss, ValenceArousalLoss
    from cage_lightning.metrics import ExpressionMetrics
    from cage_lightning.models import build_network
    from cage_lightning.predictions.files import read_predictions, write_predictions
    from cage_lightning.predictions.table import Predictions
    from cage_lightning.scores import compare, intervals, point_estimate

__version__ = "0.1.0"

__all__ = [
    "AFFECTNET_7",
    "AFFECTNET_8",
    "EMOTIC",
    "Batch",
    "CageError",
    "CombinedLoss",
    "DiscreteLoss",
    "Expression",
    "ExpressionMetrics",
    "ExpressionModel",
    "Expressions",
    "LabelSpace",
    "Prediction",
    "Predictions",
    "ValenceArousalLoss",
    "__version__",
    "build_network",
    "compare",
    "intervals",
    "load_module",
    "point_estimate",
    "read_predictions",
    "write_predictions",
]

# Which module each public name is defined in.
_MODULES = {
    "app.build": ("load_module",),
    "deploy.expressions": ("Expression", "Expressions"),
    "deploy.model": ("ExpressionModel",),
    "errors": ("CageError",),
    "labels": ("AFFECTNET_7", "AFFECTNET_8", "EMOTIC", "Batch", "LabelSpace", "Prediction"),
    "losses": ("CombinedLoss", "DiscreteLoss", "ValenceArousalLoss"),
    "metrics": ("ExpressionMetrics",),
    "models": ("build_network",),
    "predictions.files": ("read_predictions", "write_predictions"),
    "predictions.table": ("Predictions",),
    "scores": ("compare", "intervals", "point_estimate"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name from the module that defines it (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names as well, whether they have been imported or not."""
    return sorted({*globals(), *__all__})
