"""Learning curves of a run, from the CSV files that its training logged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from cage_lightning.errors import DataError
from cage_lightning.report.logged import logged_rows, no_log
from cage_lightning.report.page.line_chart import Points, line_chart
from cage_lightning.report.runs import Run

# A panel each: which keys it shows.
PANELS: Mapping[str, tuple[str, ...]] = {
    "Loss": ("train/loss", "val/loss"),
    "Accuracy": ("val/accuracy",),
    "Mean average precision": ("val/map",),
    "CCC": (
        "val/ccc_valence",
        "val/ccc_arousal",
        "val/ccc_dominance",
        "val/ccc_pooled",
        "val/ccc_mean",
    ),
}
_POINTS = 200  # of a line, at most

Curve = Mapping[int, float]
"""Optimisation step -> value."""


def read_curves(folder: Path) -> dict[str, Curve]:
    """The learning curves of a run by key, in the order of the panels.

    Each start of the run left a file (``csv/version_<start>/metrics.csv``). A start takes the run
    up at some step, and what was logged from there on by an earlier one counts no more.

    Args:
        folder: The run folder.

    Raises:
        DataError: A file cannot be read, or holds something that is no number.
    """
    curves: dict[str, dict[int, float]] = {k: {} for keys in PANELS.values() for k in keys}
    for file, rows in logged_rows(folder):
        try:
            logged = {
                key: {_step(row): float(row[key]) for row in rows if row.get(key)} for key in curves
            }
        except (KeyError, ValueError, OverflowError) as error:
            raise no_log(file, error) from error
        first = min((step for curve in logged.values() for step in curve), default=None)
        if first is not None:
            for key, curve in logged.items():
                before = {step: value for step, value in curves[key].items() if step < first}
                curves[key] = before | curve
    return {key: curve for key, curve in curves.items() if curve}


def unread_curves(runs: Iterable[Run]) -> dict[Path, str]:
    """Why the learning curves of runs cannot be read, by run folder."""
    unread = {}
    for run in runs:
        try:
            read_curves(run.folder)
        except DataError as error:
            unread[run.folder] = str(error)
    return unread


def learning_curves(curves: Mapping[str, Curve]) -> dict[str, str]:
    """A small chart in SVG for each panel that has something to show, by its title."""
    return {
        title: line_chart(
            {key: _thinned(curves[key]) for key in keys if key in curves}, "optimisation step"
        )
        for title, keys in PANELS.items()
        if any(key in curves for key in keys)
    }


def _step(row: Mapping[str, str]) -> int:
    step = int(row["step"])
    if not 0 <= step < 2**53:
        raise ValueError("a step is none")
    return step


def _thinned(curve: Curve) -> Points:
    """Steps and values; a long curve as the means of neighbouring points."""
    points = np.array(sorted(curve.items()), np.float64)
    groups = np.array_split(points, min(len(points), _POINTS))
    steps, values = np.stack([group.mean(axis=0) for group in groups]).T
    return steps.tolist(), values.tolist()
