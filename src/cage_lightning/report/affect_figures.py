"""How far predicted affect is from the truth: Figures 10 and 11 of the paper, and its density.

Each function returns a figure and the numbers it shows, as rows of a CSV file. Affect lies in
[-1, 1]; a sample without an annotated dimension does not count in it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from cage_lightning.errors import DataError
from cage_lightning.predictions.table import Floats, Predictions
from cage_lightning.report.figures import (
    ACCENT,
    DENSITY_NOTE,
    PALETTE,
    Drawing,
    Row,
    circumplex,
    legend_below,
    new_figure,
)

CIRCUMPLEX = ("valence", "arousal")
ALL = "all samples"
_ERRORS = np.linspace(0, 1, 101).round(2)
_MARKERS = "osD^vX*h"


@dataclass(frozen=True)
class Source:
    """Whose predictions a line shows, and for which data.

    Attributes:
        run: Name of the run.
        data: The dataset that it was evaluated on; None: its own test split.
    """

    run: str
    data: str | None = None

    @property
    def label(self) -> str:
        """As a legend and the column of a table name it."""
        return self.run if self.data is None else f"{self.run} on {self.data}"


def compared_dimensions(predictions: Predictions) -> dict[str, int]:
    """Name and number of the dimensions that are predicted, and annotated in some sample."""
    if predictions.affect_pred is None:
        return {}
    missing = np.isnan(predictions.affect)
    return {
        name: d for d, name in enumerate(predictions.space.dimensions) if not missing[:, d].all()
    }


def absolute_error(predictions: Predictions) -> Drawing:
    """Figure 10: the share of samples whose absolute error is at most that on the x axis.

    A line per dimension; the dashed one is the predictor that always gives the training mean, where
    that is known.
    """
    predicted = predictions.affect_pred
    assert predicted is not None
    training = predictions.training
    means = (
        {}
        if training is None
        else dict(zip(predictions.space.dimensions, training.affect, strict=True))
    )
    figure = new_figure(7.5, 5.5, "Absolute error of the predicted affect")
    axes = figure.subplots()
    rows: list[Row] = []
    dimensions = compared_dimensions(predictions)
    for name, d in dimensions.items():
        true, color = predictions.affect[:, d], PALETTE[d]
        share = share_within(true, predicted[:, d])
        axes.plot(_ERRORS, 100 * share, color=color, lw=2, label=name)
        rows += _error_rows(share, predictor="model", dimension=name)
        if (mean := means.get(name)) is not None:
            share = share_within(true, np.full(len(true), mean))
            axes.plot(_ERRORS, 100 * share, "--", color=color, label=f"{name}: always {mean:+.2f}")
            rows += _error_rows(share, predictor="training mean", dimension=name)
    _error_axes(axes)
    axes.set_ylabel("share of the samples (%)")
    dashed = len(axes.lines) > len(dimensions)
    note = "dashed: always the mean of the training split" if dashed else None
    legend_below(figure, columns=len(dimensions), title=note)
    return figure, rows


def absolute_errors(predictions: Mapping[Source, Predictions]) -> Drawing:
    """Figure 11: as Figure 10, several prediction files against each other, a panel per dimension.

    Args:
        predictions: By what the legend shows; all lines of a run have one colour. A file counts in
            the dimensions it has.

    Raises:
        DataError: A file has no affect to compare.
    """
    compared = {source: compared_dimensions(file) for source, file in predictions.items()}
    for source, dimensions in compared.items():
        if not dimensions:
            raise DataError(
                f"{source.label}: there is no predicted and annotated affect to compare in it"
            )
    looks = _looks(predictions)
    shown = list(dict.fromkeys(itertools.chain.from_iterable(compared.values())))
    figure = new_figure(max(4 * len(shown), 6), 4.6, "Absolute error of the predicted affect")
    panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    rows: list[Row] = []
    for axes, dimension in zip(panels, shown, strict=True):
        for source, file in predictions.items():
            d = compared[source].get(dimension)
            if d is None:
                axes.plot([], [], **looks[source])  # the legend has every file
                continue
            assert file.affect_pred is not None
            share = share_within(file.affect[:, d], file.affect_pred[:, d])
            axes.plot(_ERRORS, 100 * share, **looks[source])
            rows += _error_rows(share, predictor=source.label, dimension=dimension)
        _error_axes(axes)
        axes.set_title(dimension, fontsize=10)
    panels[0].set_ylabel("share of the samples (%)")
    legend_below(figure, columns=min(len(predictions), 2))
    return figure, rows


def share_within(true: Floats, predicted: Floats, errors: Floats = _ERRORS) -> Floats:
    """The share of the annotated samples with an absolute error of at most each of `errors`.

    Args:
        true: ``[N]``, NaN where not annotated; at least one is.
        predicted: ``[N]``.
        errors: ``[E]``.

    Returns:
        ``[E]``, from 0 to 1.
    """
    # Affect was float32 once: 0.3 and a little is 0.3. A prediction that is NaN is never within.
    found = np.sort(np.abs(predicted - true)[~np.isnan(true)].round(6))
    return np.searchsorted(found, errors, side="right") / len(found)


def density(predictions: Predictions) -> Drawing:
    """Density of true and of predicted valence and arousal, with the medians of the categories.

    Of the samples with both annotated, by true category. Predictions are not bounded: how many
    leave the unit disc stands above the panel. Where several categories may apply to a sample
    their medians lie together in the middle: only the median of all samples is shown.
    """
    space, category, predicted = predictions.space, predictions.category, predictions.affect_pred
    assert predicted is not None
    columns = [space.dimensions.index(name) for name in CIRCUMPLEX]
    known = ~np.isnan(predictions.affect[:, columns]).any(axis=1)
    groups = {ALL: known}
    if category is not None and not space.multi_label:
        groups |= {name: known & (category == k) for k, name in enumerate(space.categories)}
    looks = itertools.cycle(zip(_MARKERS, PALETTE, strict=True))
    styles = {ALL: ("P", ACCENT)} | dict(zip(space.categories, looks, strict=False))
    figure = new_figure(10, 6.4, "True and predicted valence and arousal")
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    rows: list[Row] = []
    for axes, side, affect in zip(
        panels, ("true", "predicted"), (predictions.affect, predicted), strict=True
    ):
        circumplex(axes, affect[known][:, columns])
        for name, group in groups.items():
            points = affect[group][:, columns]
            middle = np.median(points, axis=0).tolist() if len(points) else [None, None]
            marker, color = styles[name]
            x, y = middle if len(points) else ([], [])
            axes.plot(x, y, marker, ms=9, mfc=color, mec="white", label=name)
            rows.append(
                {
                    "affect": side,
                    "category": name,
                    "n": len(points),
                    "median_valence": middle[0],
                    "median_arousal": middle[1],
                    "outside_unit_disc": int((np.hypot(*points.T) > 1).sum()),
                }
            )
        outside = rows[-len(groups)]["outside_unit_disc"]
        title = f"{side} (n = {known.sum():,}, {outside:,} outside the unit disc)"
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("valence")
    panels[0].set_ylabel("arousal")
    legend_below(figure, columns=5, title=f"{DENSITY_NOTE}; symbols: medians")
    return figure, rows


def _looks(sources: Iterable[Source]) -> dict[Source, dict[str, Any]]:
    """A colour for each run, and a kind of line for each of its datasets."""
    by_run: dict[str, list[Source]] = {}
    for source in sources:
        by_run.setdefault(source.run, []).append(source)
    return {
        source: {"color": color, "linestyle": line, "lw": 2, "label": source.label}
        for color, own in zip(itertools.cycle(PALETTE), by_run.values(), strict=False)
        for line, source in zip(itertools.cycle(("-", "--", ":", "-.")), own, strict=False)
    }


def _error_rows(share: Floats, **of: str) -> list[Row]:
    shares = zip(_ERRORS.tolist(), share.tolist(), strict=True)
    return [{**of, "absolute_error": error, "share": within} for error, within in shares]


def _error_axes(axes: Axes) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 101), xlabel="absolute error, affect in [-1, 1]")
    axes.grid(color="0.9")
