"""Rows of a table that differ in one setting only, compared with each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from cage_lightning.errors import ConfigError
from cage_lightning.report.comparison import ALPHA, COLUMNS, Comparison, Pair
from cage_lightning.report.paper_tables import PaperTable
from cage_lightning.report.resampling import Resampled
from cage_lightning.report.rows import TableRow, rows
from cage_lightning.report.runs import Run
from cage_lightning.report.settings import other_differences
from cage_lightning.scores.groups import compare_groups, holm
from cage_lightning.system.escaping import for_markdown
from cage_lightning.system.markdown import markdown_table

SYNTHETIC = "Synthetic: all of these runs are on drawn faces, which say nothing about photographs."

_NAMED = 5  # differing settings, at most


@dataclass(frozen=True)
class Comparisons:
    """All comparisons of a table.

    Attributes:
        setting: What the rows differ in.
        made: The comparisons, one for each pair of rows and score.
        not_made: Why others were not made; a sentence each.
    """

    setting: str
    made: Sequence[Comparison]
    not_made: Sequence[str]

    @property
    def drawn(self) -> bool:
        """Whether all runs that were compared are on drawn faces."""
        return bool(self.made) and all(one.pair.drawn for one in self.made)

    @property
    def summary(self) -> str:
        """How many have which outcome, in a line."""
        outcomes = [one.outcome for one in self.made]
        each = ", ".join(f"{outcomes.count(o)} {o}" for o in dict.fromkeys(outcomes))
        rest = f"; not compared: {len(self.not_made)}" * bool(self.not_made)
        return f"{len(self.made)} comparisons by {self.setting}" + f": {each}" * bool(each) + rest

    def records(self) -> list[dict[str, Any]]:
        """The rows of comparisons.csv."""
        return [one.record() for one in self.made]

    def markdown(self) -> str:
        """A section for results.md."""
        text = f"## Compared by {self.setting}\n\n{EXPLANATION}"
        text += f"\n**{SYNTHETIC}**\n" * self.drawn
        if self.made:
            text += f"\n{markdown_table(COLUMNS, [one.cells for one in self.made])}\n"
            text += "".join(f"- {for_markdown(one.sentence)}\n" for one in self.made)
        if self.not_made:
            text += "\nNot compared:\n\n"
            text += "".join(f"- {for_markdown(reason)}\n" for reason in self.not_made)
        return text


EXPLANATION = """\
Each pair of rows that differ in nothing else, on the same test samples. The interval is that of
the mean difference over other seeds and other test samples; p belongs to it, and is adjusted for
all comparisons of this table (Holm). *Better* and *worse* are said of the first one that is named,
where p is at most .05; *equivalent* where the difference is smaller than the margin (two one-sided
tests, adjusted likewise), which is in units of the score: of the scale from -1 to 1 for RMSE.
"""


def comparisons(
    setting: str, margin: float, table: PaperTable, runs: Sequence[Run], resampled: Resampled
) -> Comparisons:
    """Compare all pairs of rows of a table that differ in nothing but a setting.

    Args:
        setting: ``data``, ``model``, ``loss``, or another setting in which the runs differ.
        margin: The largest difference that does not matter in practice, in units of a score.
        table: Its scores `PaperTable.compared` are compared.
        runs: Finished runs.
        resampled: What they score on resamples of their test samples.

    Raises:
        ConfigError: The runs do not differ in the setting, or the margin is not positive.
    """
    if not margin > 0:
        raise ConfigError(f"equivalence={margin}: a number above 0 is needed, as 0.01")
    there = rows(runs)
    _check_setting(setting, there)
    not_made: list[str] = []
    pairs = [
        pair
        for a, b in combinations(there, 2)
        if _differ_in(setting, a, b)
        for pair in _compared(setting, a, b, table, resampled, not_made)
    ]
    if not pairs and not not_made:
        not_made.append(f"no two rows differ in {setting} alone.")
    adjusted = holm([pair.found.estimate.p for pair in pairs])
    equivalent = holm([pair.found.estimate.p_equivalence(margin) for pair in pairs])
    made = [
        Comparison(setting, pair, table.metrics[pair.metric], margin, len(pairs), *p_values)
        for pair, *p_values in zip(pairs, adjusted, equivalent, strict=True)
    ]
    return Comparisons(setting, made, not_made)


def _check_setting(setting: str, there: Sequence[TableRow]) -> None:
    values: dict[str, set[str]] = {}
    for row in there:
        for key, value in row.columns.items():
            values.setdefault(key, set()).add(str(value))
    differing = [key for key, found in values.items() if len(found) > 1]
    if setting not in differing:
        choose = f"choose one of {', '.join(differing)}" if differing else "they are all alike"
        raise ConfigError(f"compare={setting}: the runs do not differ in it; {choose}")


def _differ_in(setting: str, a: TableRow, b: TableRow) -> bool:
    """Whether rows differ in that column of the table alone."""
    return [key for key, value in a.columns.items() if b.columns[key] != value] == [setting]


def _compared(
    setting: str,
    a: TableRow,
    b: TableRow,
    table: PaperTable,
    resampled: Resampled,
    not_made: list[str],
) -> Iterator[Pair]:
    """The main scores of two rows; adds to `not_made` why there is none."""
    if reason := _obstacle(setting, a, b, resampled):
        not_made.append(f"{a.title} and {b.title}: {reason}.")
        return
    alike = {key: value for key, value in a.columns.items() if key != setting}
    for metric in table.compared:
        first, second = resampled.group(a.runs, metric), resampled.group(b.runs, metric)
        found = compare_groups(first, second, 1 - ALPHA) if first and second else None
        if found is not None:
            one, other = (str(row.columns[setting]) for row in (a, b))
            drawn = all(run.drawn for run in (*a.runs, *b.runs))
            yield Pair(alike, one, other, metric, found, drawn)


def _obstacle(setting: str, a: TableRow, b: TableRow, resampled: Resampled) -> str:
    """Why two rows cannot be compared; empty if they can."""
    if others := other_differences(a.runs[0], b.runs[0], setting):
        more = ", ..." * (len(others) > _NAMED)
        return f"they differ also in {', '.join(others[:_NAMED])}{more}"
    for row in (a, b):
        if len({run.seed for run in row.runs}) < 2:
            return f"{row.title} has a single seed"
    return resampled.missing([*a.runs, *b.runs])
