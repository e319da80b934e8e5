"""What all figures share: colours, labels, and files that are the same bytes every time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cage_lightning.atomic import replacing, write_csv

# Okabe and Ito's palette: told apart with any colour vision.
SPLIT_COLORS: Mapping[str, str] = {"train": "#0072B2", "val": "#009E73", "test": "#E69F00"}
ACCENT = "#D55E00"
FORMATS = ("png", "svg", "pdf")
# Without a date and with fixed ids the same figure is the same file.
_METADATA: Mapping[str, dict[str, Any]] = {
    "png": {},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}

Row = Mapping[str, Any]


def new_figure(width: float, height: float, title: str) -> Figure:
    """An empty figure of `width` by `height` inches, laid out without overlaps."""
    figure = Figure(figsize=(width, height), layout="constrained")
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
    with matplotlib.rc_context({"svg.hashsalt": name}):
        for ending in FORMATS:
            with replacing(folder / f"{name}.{ending}") as part:
                figure.savefig(part, format=ending, dpi=150, metadata=_METADATA[ending])
    write_csv(folder / f"{name}.csv", list(rows[0]), rows)
