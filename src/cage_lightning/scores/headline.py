"""The main scores of a prediction file: those that commands print, and that subgroups have."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from types import MappingProxyType

_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "accuracy": "accuracy",
        "f1_weighted": "F1 (weighted)",
        "f1_macro": "F1 (macro)",
        "ece": "calibration error",
        "map": "mAP",
        "top3_any": "top-3, any",
    }
)
_AFFECT = ("ccc", "rmse", "mae")
_ERRORS = ("ece", "mae", "mse", "rmse")
_UNBOUNDED = ("mae", "mse", "rmse")
_SIGNED = ("ccc", "pcc", "cohen_kappa", "mcc")  # -1 to 1; all others are shares, 0 to 1


def main_scores(keys: Collection[str]) -> dict[str, str]:
    """The main ones among scores, with their labels, in the order in which they are printed.

    >>> main_scores(["rmse_valence", "rmse_valence_native", "ccc_mean", "accuracy"])
    {'accuracy': 'accuracy', 'ccc_mean': 'CCC mean', 'rmse_valence': 'RMSE valence'}
    """
    found = {key: label for key, label in _LABELS.items() if key in keys}
    for metric in _AFFECT:
        for key in keys:
            score, _, dimension = key.partition("_")
            if score == metric and dimension and "_" not in dimension:
                found[key] = f"{metric.upper()} {dimension}"
    return found


def lower_is_better(metric: str) -> bool:
    """Whether a metric is an error, by its key without the part before the slash."""
    return metric.startswith(_ERRORS)


def scale(metric: str) -> tuple[float, float]:
    """The lowest and the highest value that a metric can have, by its key without a prefix.

    >>> scale("ccc_pooled"), scale("f1_macro"), scale("rmse_valence")
    ((-1.0, 1.0), (0.0, 1.0), (0.0, inf))
    """
    return (
        -1.0 if metric.startswith(_SIGNED) else 0.0,
        math.inf if metric.startswith(_UNBOUNDED) else 1.0,
    )
