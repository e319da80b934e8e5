"""Rows of a table that differ in one setting only, compared with each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

from cage_lightning.errors import ConfigError
from cage_lightning.report.paper_tables import PaperTable
from cage_lightning.report.resampling import Resampled
from cage_lightning.report.rows import TableRow, rows
from cage_lightning.report.runs import Run
from cage_lightning.report.settings import other_differences
from cage_lightning.scores.groups import GroupDifference, Improvement, compare_groups, holm
from cage_lightning.scores.headline import lower_is_better
from cage_lightning.system.markdown import markdown_table

ALPHA = 0.05
POWER = 0.8
COLUMNS = ("compared", "score", "difference", "seeds", "p", "outcome")
SYNTHETIC = "Synthetic: all of these runs are on drawn faces, which say nothing about photographs."

_MOST = 1000  # seeds that are worth naming
_NAMED = 5  # differing settings, at most

Outcome = Literal["better", "worse", "equivalent", "undecided"]


@dataclass(frozen=True)
class _Pair:
    """A score of two rows, before it is known how many other comparisons there are."""

    alike: Mapping[str, Any]
    a: str
    b: str
    metric: str
    found: GroupDifference
    drawn: bool


@dataclass(frozen=True)
class Comparison:
    """A score of one row compared with that of another.

    Attributes:
        setting: What they differ in.
        pair: The rows, and the difference: that of `pair.b` minus that of `pair.a`.
        heading: The score as people read it.
        margin: The largest difference that does not matter in practice, in units of the score.
        family: How many comparisons were made together.
        p: The p-value of no difference, adjusted for all of them.
        p_equivalence: That of a difference as large as the margin, adjusted likewise.
    """

    setting: str
    pair: _Pair
    heading: str
    margin: float
    family: int
    p: float
    p_equivalence: float

    @property
    def outcome(self) -> Outcome:
        """What is known of the second row beside the first one."""
        if self.p_equivalence <= ALPHA:
            return "equivalent"
        if self.p > ALPHA:
            return "undecided"
        higher = self.pair.found.estimate.value > 0
        return "better" if higher != lower_is_better(self.pair.metric) else "worse"

    @property
    def improvement(self) -> Improvement:
        """How likely a run of the second row does better than one of the first."""
        share, low, high = self.pair.found.improvement
        if lower_is_better(self.pair.metric):
            return Improvement(1 - share, 1 - high, 1 - low)
        return Improvement(share, low, high)

    @property
    def compared(self) -> str:
        """The rows in short."""
        return f"{', '.join(map(str, self.pair.alike.values()))}: {self.pair.b} - {self.pair.a}"

    @property
    def difference(self) -> str:
        """The difference with its interval."""
        estimate = self.pair.found.estimate
        low, high = estimate.interval(1 - ALPHA)
        return f"{estimate.value:+.3f} [{low:+.3f}, {high:+.3f}]"

    @property
    def seeds_needed(self) -> tuple[int | None, int | None]:
        """How many seeds find a difference as observed, and one of the margin; None: > 1000."""
        estimate = self.pair.found.estimate
        alpha = ALPHA / self.family
        return (
            estimate.seeds_for(estimate.value, alpha, POWER, _MOST),
            estimate.seeds_for(self.margin, alpha, POWER, _MOST),
        )

    @property
    def sentence(self) -> str:
        """What was compared, what was found, and what follows."""
        pair, family = self.pair, self.family
        alike = ", ".join(f"{key} {value}" for key, value in pair.alike.items())
        together = f", adjusted for {family} comparisons" if family > 1 else ""
        return (
            f"{'Synthetic (drawn faces): ' * pair.drawn}with {alike}, the {self.heading} of "
            f"{self.setting} {pair.b} minus that of {pair.a} is {self.difference} "
            f"({100 * (1 - ALPHA):g} % interval over seeds and test samples; {self._seeds}; "
            f"p = {_p(self.p)}{together}): {self._conclusion}."
        )

    @property
    def _seeds(self) -> str:
        found = self.pair.found
        a, b = len(found.a.seeds), len(found.b.seeds)
        if found.paired:
            return f"{a} seeds each, paired"
        return f"{a} and {b} seeds, not paired" if a != b else f"{a} seeds each, not paired"

    @property
    def _conclusion(self) -> str:
        pair = self.pair
        if self.outcome == "equivalent":
            nonzero = ", although not zero" if self.p <= ALPHA else ""
            return f"equivalent, the difference is less than {self.margin:g}{nonzero}"
        if self.outcome != "undecided":
            return f"{pair.b if self.outcome == 'better' else pair.a} is better"
        there = min(len(pair.found.a.seeds), len(pair.found.b.seeds))
        observed, margin = (_more(needed, there) for needed in self.seeds_needed)
        return (
            f"undecided; to be found in {100 * POWER:g} % of all cases, a difference of this size "
            f"takes {observed}, and one of {self.margin:g} takes {margin}"
        )

    @property
    def cells(self) -> list[str]:
        """What stands in `COLUMNS`."""
        return [
            self.compared,
            self.heading,
            self.difference,
            self._seeds,
            _p(self.p),
            self.outcome,
        ]

    def record(self) -> dict[str, Any]:
        """A row of comparisons.csv."""
        pair, found = self.pair, self.pair.found
        low, high = found.estimate.interval(1 - ALPHA)
        improvement, (observed, margin) = self.improvement, self.seeds_needed
        return dict(pair.alike) | {
            "setting": self.setting,
            "a": pair.a,
            "b": pair.b,
            "metric": pair.metric,
            "seeds_a": len(found.a.seeds),
            "seeds_b": len(found.b.seeds),
            "paired": found.paired,
            "mean_a": float(found.a.values.mean()),
            "mean_b": float(found.b.values.mean()),
            "difference": found.estimate.value,
            "low": low,
            "high": high,
            "degrees": found.estimate.degrees,
            "p": found.estimate.p,
            "comparisons": self.family,
            "p_adjusted": self.p,
            "sign_flip_p": found.sign_flip,
            "improvement": improvement.share,
            "improvement_low": improvement.low,
            "improvement_high": improvement.high,
            "margin": self.margin,
            "p_equivalence": found.estimate.p_equivalence(self.margin),
            "p_equivalence_adjusted": self.p_equivalence,
            "outcome": self.outcome,
            "seeds_for_difference": observed,
            "seeds_for_margin": margin,
            "synthetic": pair.drawn,
            "sentence": self.sentence,
        }


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
            text += "".join(f"- {one.sentence}\n" for one in self.made)
        if self.not_made:
            text += "\nNot compared:\n\n" + "".join(f"- {reason}\n" for reason in self.not_made)
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
) -> Iterator[_Pair]:
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
            yield _Pair(alike, one, other, metric, found, drawn)


def _obstacle(setting: str, a: TableRow, b: TableRow, resampled: Resampled) -> str:
    """Why two rows cannot be compared; empty if they can."""
    if others := other_differences(a.runs[0], b.runs[0], setting):
        more = ", ..." * (len(others) > _NAMED)
        return f"they differ also in {', '.join(others[:_NAMED])}{more}"
    for row in (a, b):
        if len({run.seed for run in row.runs}) < 2:
            return f"{row.title} has a single seed"
    return resampled.missing([*a.runs, *b.runs])


def _more(needed: int | None, there: int) -> str:
    if needed is None:
        return f"more than {_MOST:,} seeds or more test samples"
    more = max(needed - there, 0)
    return f"{more or 'no'} more seed{'s' * (more != 1)}"


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"
