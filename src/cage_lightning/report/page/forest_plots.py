"""The overview on the page: a forest plot of each main score, for a light and a dark ground."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib

from cage_lightning.report.figures import as_svg
from cage_lightning.report.overview import Panel, panels
from cage_lightning.report.overview_figure import (
    BASELINE_COLOR,
    MODEL_COLOR,
    PAPER_COLOR,
    panel_figure,
)
from cage_lightning.report.page.pictures import Embedded, embed_svg
from cage_lightning.report.run_tables import FilledTable

_TEXT, _LINE = "#1c1e21", "#d5d9e0"  # --text and --line of page.css
_DARK: Mapping[str, str] = {_TEXT: "#e6e8eb", _LINE: "#3a3f48"}
_PIXELS_PER_INCH = 96


@dataclass(frozen=True)
class ForestPlot:
    """A panel of the overview.

    Attributes:
        panel: What it shows.
        light: The picture for dark text on a light ground.
        dark: The same for light text on a dark ground.
    """

    panel: Panel
    light: Embedded
    dark: Embedded


def forest_plots(table: FilledTable) -> list[ForestPlot]:
    """A plot of each main score that some model has."""
    return [_plot(panel) for panel in panels(table)]


@dataclass(frozen=True)
class Mark:
    """What a sign in the plots stands for."""

    sign: str
    color: str
    meaning: str


def marks(shown: Sequence[Panel]) -> list[Mark]:
    """The signs that some of the panels have."""
    rows = [row for panel in shown for row in panel.rows.values()]
    interval = (
        " and the interval in brackets below" if any(row.score.interval for row in rows) else ""
    )
    found = [Mark("●", MODEL_COLOR, f"mean over the seeds{interval}")]
    if any(row.score.published is not None for row in rows):
        found.append(Mark("◇", PAPER_COLOR, "what the paper prints"))
    if any(row.baseline for row in rows):
        found.append(
            Mark(
                "┃",
                BASELINE_COLOR,
                "the best of the predictors that do not look at the picture themselves",
            )
        )
    return found


def _plot(panel: Panel) -> ForestPlot:
    with matplotlib.rc_context(
        {"xtick.color": _TEXT, "ytick.color": _TEXT, "axes.edgecolor": _TEXT}
    ):
        figure = panel_figure(panel, _LINE)
        light = as_svg(figure, panel.metric)
    dark = light
    for color, instead in _DARK.items():
        # Only where it is a style: a name of a run may hold anything.
        dark = dark.replace(f": {color}", f": {instead}")
    width, height = (round(side * _PIXELS_PER_INCH) for side in figure.get_size_inches())
    return ForestPlot(
        panel,
        *(embed_svg(panel.title, document, (width, height)) for document in (light, dark)),
    )
