"""Forest plots: in every row a point with its interval, the paper's value, the best baseline."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cage_lightning.report.figures import ACCENT, PALETTE, Drawing, legend_below, new_figure
from cage_lightning.report.overview import Panel, left_out, panels, records
from cage_lightning.report.run_tables import FilledTable, Line

MODEL_COLOR, PAPER_COLOR, BASELINE_COLOR = PALETTE[0], ACCENT, "#808080"
_LINE_COLOR = "#e4e4e4"
_LINE, _AROUND = 0.21, 0.65  # inches of a line of text, and of what is above and below the axes
_PANEL, _LABELS, _NARROW = 2.5, 2.0, 4.1  # inches: beside each other, and of a panel by itself
_CHARACTERS, _LINES = 28, 3  # of a label, at most
_BETWEEN = 0.4  # lines
_ACROSS = 4  # panels in the figure
_LARGEST = 1e100  # the span of what is drawn is a number, too


@dataclass(frozen=True)
class _Places:
    """Where the rows and their labels are, in lines of text from above.

    Attributes:
        rows: By the number of the row.
        labels: Middle of the label and its text.
        headings: The labels that are names of data sets, by their number.
        height: Of all of them.
    """

    rows: Mapping[int, float]
    labels: Sequence[tuple[float, str]]
    headings: frozenset[int]
    height: float


def overview(table: FilledTable) -> Drawing | None:
    """All main scores beside each other, and the numbers they show; None if there are none."""
    shown = panels(table)
    if not shown:
        return None
    numbers = sorted({number for panel in shown for number in panel.rows})
    places = _places({number: table.lines[number] for number in numbers})
    columns = min(_ACROSS, len(shown))
    rows = math.ceil(len(shown) / columns)
    width = _LABELS + _PANEL * columns
    title = "\n".join(filter(None, (table.paper.title, left_out(table))))
    figure = new_figure(width, rows * (_height(places) + 0.3) + 0.8, title)
    all_axes = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for axes, panel in zip(all_axes, shown, strict=False):
        _draw(axes, panel, places, _LINE_COLOR)
        axes.set_title(panel.title, fontsize=9)
    for axes in all_axes[len(shown) :]:
        axes.remove()
    legend_below(figure)
    return figure, records(shown)


def panel_figure(panel: Panel, line_color: str) -> Figure:
    """One score by itself, for a narrow column; what stands for what is told beside it.

    Args:
        panel: What to draw.
        line_color: The colour of the lines behind the points.
    """
    places = _places({number: row.line for number, row in panel.rows.items()})
    figure = new_figure(_NARROW, _height(places), "")
    _draw(figure.subplots(), panel, places, line_color)
    return figure


def _height(places: _Places) -> float:
    """Inches of a panel."""
    return _LINE * places.height + _AROUND


def _places(lines: Mapping[int, Line]) -> _Places:
    """From above: below the name of each data set its rows."""
    rows: dict[int, float] = {}
    labels: list[tuple[float, str]] = []
    headings: set[int] = set()
    end = 0.0
    for data, group in groupby(lines, key=lambda number: lines[number].row.data):
        headings.add(len(labels))
        for number, text in [(None, data), *((n, _label(lines[n])) for n in group)]:
            wrapped = textwrap.wrap(text, _CHARACTERS, max_lines=_LINES, placeholder=" …") or [""]
            middle = end + len(wrapped) / 2
            labels.append((middle, "\n".join(wrapped)))
            if number is not None:
                rows[number] = middle
            end += len(wrapped) + _BETWEEN / 2
        end += _BETWEEN
    return _Places(rows, labels, frozenset(headings), end - _BETWEEN)


def _label(line: Line) -> str:
    """What tells a row from the others of its data set."""
    return ", ".join(filter(None, line.runs_named[1:]))


def _draw(axes: Axes, panel: Panel, places: _Places, line_color: str) -> None:
    at = {places.rows[number]: row for number, row in panel.rows.items()}
    baselines = {y: row.baseline[1] for y, row in at.items() if row.baseline}
    printed = {y: row.score.published for y, row in at.items() if row.score.published is not None}
    _points(axes, baselines, "best baseline", "|", BASELINE_COLOR, ms=13, mew=3)
    _points(axes, printed, "paper", "D", PAPER_COLOR, ms=7, mfc="none", mew=1.6)
    for y, row in at.items():
        if row.score.interval and all(map(_drawable, row.score.interval)):
            axes.plot(row.score.interval, (y, y), color=MODEL_COLOR, lw=2)
    means = {y: row.score.seeds.mean for y, row in at.items()}
    _points(axes, means, "model", "o", MODEL_COLOR, ms=6)
    axes.set_ylim(places.height, 0)
    axes.set_yticks(*zip(*places.labels, strict=True), fontsize=9)
    for number, text in enumerate(axes.get_yticklabels()):
        text.set_fontweight("bold" if number in places.headings else "normal")
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3))
    axes.grid(axis="x", color=line_color, lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _points(
    axes: Axes, values: Mapping[float, float], label: str, marker: str, color: str, **look: Any
) -> None:
    """A marker for each value; a value that is not finite has none."""
    shown = {y: value for y, value in values.items() if _drawable(value)}
    if shown:
        axes.plot(list(shown.values()), list(shown), marker, color=color, label=label, **look)


def _drawable(value: float) -> bool:
    return abs(value) < _LARGEST
