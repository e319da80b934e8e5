"""What the page shows of comparisons between rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cage_lightning.report.comparison import COLUMNS, Comparison
from cage_lightning.report.comparisons import EXPLANATION, SYNTHETIC, Comparisons


class Cell(NamedTuple):
    """A cell of a table: a text, and the number it is sorted by where it is one."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class Comparing:
    """The values of comparing.html.

    Attributes:
        setting: What the rows differ in.
        explanation: How they were compared.
        note: What has to be said before; empty if nothing.
        caption: Above the table.
        columns: The headings.
        lines: As many cells each as there are headings.
        sentences: The same in words.
        not_made: Why other comparisons were not made.
    """

    setting: str
    explanation: str
    note: str
    caption: str
    columns: Sequence[str]
    lines: Sequence[Sequence[Cell]]
    sentences: Sequence[str]
    not_made: Sequence[str]


def comparing(found: Comparisons | None) -> Comparing | None:
    """The section of the page; None where nothing was to be compared."""
    if found is None:
        return None
    return Comparing(
        setting=found.setting,
        explanation=EXPLANATION,
        note=SYNTHETIC if found.drawn else "",
        caption=found.summary,
        columns=COLUMNS,
        lines=[_cells(one) for one in found.made],
        sentences=[one.sentence for one in found.made],
        not_made=found.not_made,
    )


def _cells(one: Comparison) -> list[Cell]:
    numbers = {"difference": one.pair.found.estimate.value, "p": one.p}
    named = zip(COLUMNS, one.cells, strict=True)
    return [Cell(text, numbers.get(column)) for column, text in named]
