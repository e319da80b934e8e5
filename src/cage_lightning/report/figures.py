"""What figures share: colours, common elements, and files with the same bytes every time."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from cage_lightning.system.atomic import replacing, write_csv

# Okabe and Ito's palette: people with any colour vision can distinguish its colours.
SPLIT_COLORS: Mapping[str, str] = {"train": "#0072B2", "val": "#009E73", "test": "#E69F00"}
ACCENT = "#D55E00"
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#F0E442", "#000000", "#999999")
DENSITY_NOTE = "darker: more samples (logarithmic, each panel on its own)"
FORMATS = ("png", "svg", "pdf")
_DPI = 150
# Without a date and with fixed ids the same figure is the same file.
_METADATA: Mapping[str, dict[str, Any]] = {
    "png": {},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}

Row = Mapping[str, Any]
Drawing = tuple[Figure, Sequence[Row]]
"""A figure and the numbers it shows."""


def new_figure(width: float, height: float, title: str) -> Figure:
    """An empty figure of `width` by `height` inches, laid out without overlaps."""
    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=12)
    return figure


def save(folder: Path, name: str, figure: Figure, rows: Sequence[Row]) -> None:
    """Write ``<name>.png``, ``.svg`` and ``.pdf``, and the numbers drawn as ``<name>.csv``.

    Args:
        folder: Made if it is not there.
        name: File name without its ending.
        figure: What to write.
        rows: The numbers, at least one row; all with the same columns.
    """
    with without_formulas(figure), matplotlib.rc_context({"svg.hashsalt": name}):
        _lay_out(figure)
        for ending in FORMATS:
            with replacing(folder / f"{name}.{ending}") as part:
                figure.savefig(part, format=ending, dpi=_DPI, metadata=_METADATA[ending])
    write_csv(folder / f"{name}.csv", list(rows[0]), rows)


def as_svg(figure: Figure, name: str) -> str:
    """The figure as an SVG document without a ground, whose texts are texts.

    Args:
        figure: What to write.
        name: What the ids in the document depend on.
    """
    document = io.StringIO()
    with (
        without_formulas(figure),
        matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}),
    ):
        _lay_out(figure)
        figure.savefig(document, format="svg", transparent=True, metadata=_METADATA["svg"])
    return document.getvalue()


@contextmanager
def without_formulas(figure: Figure) -> Iterator[None]:
    """Draw and write a figure in which no text is a formula: a stranger may have named things."""
    with matplotlib.rc_context({"text.parse_math": False}):
        for text in figure.findobj(Text):
            text.set_parse_math(False)  # it was made before
        yield


def _lay_out(figure: Figure) -> None:
    """Place everything once: Matplotlib would do it again, and as slowly, for every format."""
    if engine := figure.get_layout_engine():
        engine.execute(figure)
        figure.set_layout_engine(None)


def category_bars(
    axes: Axes,
    categories: Sequence[str],
    bars: Mapping[str, Sequence[tuple[float, int]]],
    colors: Mapping[str, str],
) -> None:
    """Horizontal bars, a group per category, each with a number of samples beside it.

    Args:
        axes: Where to draw.
        categories: Their names, from top to bottom.
        bars: Length and number of samples for each category, by the name of the bar in the group.
        colors: The colour of each bar in the group, by name.
    """
    y = np.arange(len(categories))
    height = 0.8 / len(bars)
    for i, (name, drawn) in enumerate(bars.items()):
        container = axes.barh(
            y + (i - (len(bars) - 1) / 2) * height,
            [length for length, _ in drawn],
            height,
            color=colors[name],
            label=name,
        )
        axes.bar_label(container, [f"{n:,}" for _, n in drawn], padding=3)
    axes.set_yticks(y, categories)
    axes.set_ylim(len(categories) - 0.4, -0.6)
    axes.margins(x=0.12)  # room for the longest count
    axes.spines[["top", "right"]].set_visible(False)


def circumplex(axes: Axes, points: npt.NDArray[np.floating[Any]]) -> None:
    """The plane of valence and arousal with its unit disc, and the density of points ``[N, 2]``."""
    if len(points):
        axes.hexbin(
            *points.T,
            gridsize=24,
            extent=(-1, 1, -1, 1),
            bins="log",
            mincnt=1,
            cmap="Blues",
            vmin=0.5,  # a single sample is still seen
            linewidths=0,
        )
    axes.axhline(0, color="0.8", lw=0.8, zorder=0)
    axes.axvline(0, color="0.8", lw=0.8, zorder=0)
    turn = np.linspace(0, 2 * np.pi, 181)
    axes.plot(np.cos(turn), np.sin(turn), color="0.3", lw=1, label="unit disc")
    axes.set(xlim=(-1.08, 1.08), ylim=(-1.08, 1.08), aspect="equal")


def legend_below(figure: Figure, columns: int = 0, title: str | None = None) -> None:
    """One legend for all panels, outside of them; a panel may lack what others show.

    Args:
        figure: Its panels are drawn.
        columns: Number of columns; 0 puts all entries into one row.
        title: Above it.
    """
    entries: dict[str, Any] = {}
    for axes in figure.axes:
        handles, labels = axes.get_legend_handles_labels()
        entries |= zip(labels, handles, strict=True)
    figure.legend(
        entries.values(),
        entries,
        loc="outside lower center",
        ncols=columns or len(entries),
        title=title,
    )
