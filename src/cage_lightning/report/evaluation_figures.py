"""All figures of a prediction file."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cage_lightning.predictions.table import Predictions
from cage_lightning.report.affect_figures import (
    CIRCUMPLEX,
    absolute_error,
    compared_dimensions,
    density,
)
from cage_lightning.report.category_figures import (
    category_rates,
    confusion_matrix,
    error_by_category,
    reliability,
)
from cage_lightning.report.figures import Drawing, save
from cage_lightning.report.subgroups import NAME as SUBGROUPS
from cage_lightning.report.worst_samples import Picture, worst_first, worst_samples

log = logging.getLogger(__name__)


class _Need(NamedTuple):
    """What a figure needs, and the reason to give where it is left out."""

    met: Callable[[Predictions], bool]
    otherwise: str


_CATEGORY = _Need(
    lambda p: p.category is not None and len(_labelled(p)) > 0, "the true categories are not known"
)
_CATEGORY_PRED = _Need(lambda p: p.category_pred is not None, "no category is predicted")
_PROBABILITY = _Need(lambda p: p.probability is not None, "there are no probabilities")
_ONE = _Need(lambda p: not p.space.multi_label, "it is for data with one category per sample")
_SEVERAL = _Need(lambda p: p.space.multi_label, "it is for data with several categories per sample")
_AFFECT_PRED = _Need(lambda p: p.affect_pred is not None, "no affect is predicted")
_AFFECT = _Need(lambda p: bool(compared_dimensions(p)), "no affect is annotated")
_WRONG = _Need(lambda p: len(worst_first(p)) > 0, "nothing is wrong")


def _labelled(predictions: Predictions) -> Predictions:
    """The samples whose category is known."""
    category = predictions.category
    if category is None or predictions.space.multi_label:
        return predictions
    return predictions.select(category >= 0)


def _has_circumplex(predictions: Predictions) -> bool:
    """Whether some sample has both valence and arousal."""
    dimensions = predictions.space.dimensions
    if not set(CIRCUMPLEX) <= set(dimensions):
        return False
    columns = [dimensions.index(name) for name in CIRCUMPLEX]
    return bool((~np.isnan(predictions.affect[:, columns])).all(axis=1).any())


_CIRCUMPLEX = _Need(_has_circumplex, "no sample has valence and arousal")

_FIGURES: dict[str, tuple[Callable[[Predictions], Drawing], tuple[_Need, ...]]] = {
    "figure9": (confusion_matrix, (_ONE, _CATEGORY, _CATEGORY_PRED)),
    "category_rates": (category_rates, (_SEVERAL, _CATEGORY, _CATEGORY_PRED)),
    "reliability": (reliability, (_ONE, _CATEGORY, _PROBABILITY)),
    "figure10": (absolute_error, (_AFFECT_PRED, _AFFECT)),
    "density": (density, (_AFFECT_PRED, _CIRCUMPLEX)),
    "error_by_category": (error_by_category, (_AFFECT_PRED, _AFFECT, _CATEGORY)),
}


SHEET = "worst_samples"
NAMES = (*_FIGURES, SHEET, SUBGROUPS)
"""The names that a figure of `draw` may have, and that of `draw_subgroups`."""


def draw(
    folder: Path,
    predictions: Predictions,
    picture: Picture | None = None,
    no_picture: str = "no pictures are given",
) -> list[str]:
    """Draw every figure that the predictions allow, and log which are left out and why.

    Args:
        folder: Where they are written, as PNG, SVG, PDF and CSV; made if it is not there.
        predictions: At least one sample.
        picture: The picture of a row of the predictions; with None no picture sheet is drawn.
        no_picture: Why there is no `picture`.

    Returns:
        The names of the figures drawn, as the files are called.
    """
    figures = dict(_FIGURES)
    if picture is not None:
        figures[SHEET] = (partial(worst_samples, picture=picture), (_WRONG,))
    labelled = _labelled(predictions)
    drawn = []
    left_out = [] if picture else [f"{SHEET} ({no_picture})"]
    for name, (figure_of, needs) in figures.items():
        unmet = next((need.otherwise for need in needs if not need.met(predictions)), None)
        if unmet is None:
            save(folder, name, *figure_of(labelled if _CATEGORY in needs else predictions))
            drawn.append(name)
        else:
            left_out.append(f"{name} ({unmet})")
    if left_out:
        log.info("left out: %s", "; ".join(left_out))
    return drawn
