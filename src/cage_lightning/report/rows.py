"""The rows of a table: runs that differ only in their seed share one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from cage_lightning.report.runs import RowName, Run
from cage_lightning.report.settings import differing_settings


@dataclass(frozen=True)
class TableRow:
    """Runs that differ only in their seed.

    Attributes:
        name: Data, network, loss and tag.
        settings: Those in which runs of the table differ beyond data, network and loss.
        runs: At least one.
    """

    name: RowName
    settings: Mapping[str, Any]
    runs: Sequence[Run]

    @property
    def columns(self) -> dict[str, Any]:
        """Data, network, loss and the settings, by the headings of the table."""
        return dict(zip(("data", "model", "loss"), self.name.choices, strict=True)) | dict(
            self.settings
        )

    @property
    def title(self) -> str:
        """What tells the row apart, in a line."""
        return ", ".join(named(self.name, self.settings))


def rows(runs: Sequence[Run]) -> list[TableRow]:
    """The rows of a table, in the order of their names."""
    settings = differing_settings(runs) if runs else {}

    def row_of(run: Run) -> tuple[RowName, str]:
        return run.row, json.dumps(settings[run.folder])

    groups = [list(group) for _, group in groupby(sorted(runs, key=row_of), key=row_of)]
    return [TableRow(group[0].row, settings[group[0].folder], group) for group in groups]


def repeated(runs: Sequence[Run]) -> list[Run]:
    """The runs of the rows with several seeds; the mean of no other row has an interval."""
    return [run for row in rows(runs) if len({r.seed for r in row.runs}) > 1 for run in row.runs]


def named(row: RowName, settings: Mapping[str, Any]) -> list[str]:
    """Data, network, loss and settings of runs, as people read them."""
    data, model, loss, tag = row
    values = [value if isinstance(value, str) else json.dumps(value) for value in settings.values()]
    return [data, model if values else f"{model} {tag}".strip(), loss, *values]
