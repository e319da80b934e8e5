"""A table of runs at one glance: each main score of every model, beside what it is seen against."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby, zip_longest
from typing import Any

from cage_lightning.report.run_tables import FilledTable, Line, Score
from cage_lightning.scores.headline import lower_is_better
from cage_lightning.scores.results import best_baseline

MOST = 40
"""Models that are drawn: of more, a picture is no overview."""


@dataclass(frozen=True)
class Compared:
    """One score of a model.

    Attributes:
        line: The line of the table that it is from.
        score: Mean, interval, and what the paper prints.
        baseline: Name and value of the best baseline on the same samples; None where there is none.
    """

    line: Line
    score: Score
    baseline: tuple[str, float] | None

    @property
    def names(self) -> str:
        """Data, network, loss and settings of the runs."""
        return ", ".join(filter(None, self.line.runs_named))


@dataclass(frozen=True)
class Panel:
    """One score of all models that have it.

    Attributes:
        metric: The key of the score.
        heading: Its heading in the table.
        rows: By the number of the line of the table; at least one.
    """

    metric: str
    heading: str
    rows: Mapping[int, Compared]

    @property
    def title(self) -> str:
        """The score, and in which direction it is better."""
        return f"{self.heading} ({'lower' if lower_is_better(self.metric) else 'higher'} is better)"

    @property
    def ranked(self) -> dict[int, Compared]:
        """The rows from the best to the worst."""
        rows = sorted(
            self.rows.items(),
            key=lambda row: row[1].score.seeds.mean,
            reverse=not lower_is_better(self.metric),
        )
        return dict(rows)

    @property
    def summary(self) -> str:
        """What the panel shows, for those who do not see it."""
        ranked = list(self.ranked.values())
        text = f"Forest plot of {self.title}. "
        if len(ranked) == 1:
            text += f"One model, {_with_mean(ranked[0])}."
        else:
            first, last = ranked[0], ranked[-1]
            text += f"{len(ranked)} models: best {_with_mean(first)}, worst {_with_mean(last)}."
        if compared := [row for row in ranked if row.baseline]:
            better = sum(map(self._beats, compared))
            text += f" Better than the best baseline: {better} of {len(compared)}."
        if any(row.score.published is not None for row in ranked):
            text += " What the paper prints stands beside."
        return f"{text} The table has the numbers."

    def _beats(self, row: Compared) -> bool:
        assert row.baseline is not None
        ahead = row.score.seeds.mean - row.baseline[1]
        return ahead < 0 if lower_is_better(self.metric) else ahead > 0


def panels(table: FilledTable) -> list[Panel]:
    """A panel for each main score that some model has, of the models that are shown."""
    groups = list(_models(table.lines))
    found = []
    for metric in table.paper.main:
        rows = {
            number: Compared(model, model.scores[metric], _best(metric, baselines))
            for number, model, baselines in groups
            if metric in model.scores
        }
        if rows:
            found.append(Panel(metric, table.paper.metrics[metric], rows))
    chosen = _chosen(found)
    shown = ({n: row for n, row in panel.rows.items() if n in chosen} for panel in found)
    return [replace(panel, rows=rows) for panel, rows in zip(found, shown, strict=True)]


def left_out(table: FilledTable) -> str:
    """Which models the panels show, where these are not all of them; else empty."""
    count = sum(line.is_model for line in table.lines)
    if count <= MOST:
        return ""
    return (
        f"{MOST} of {count} models: the best one of each score, the second best one of each, and "
        "so on"
    )


def records(shown: Sequence[Panel]) -> list[dict[str, Any]]:
    """What the panels show, a row for each point."""
    return [_record(panel.metric, row) for panel in shown for row in panel.rows.values()]


def _record(metric: str, row: Compared) -> dict[str, Any]:
    low, high = row.score.interval or (None, None)
    name, value = row.baseline or (None, None)
    return {
        "metric": metric,
        **row.line.row._asdict(),
        **row.line.settings,
        "mean": row.score.seeds.mean,
        "low": low,
        "high": high,
        "published": row.score.published,
        "best_baseline": name,
        "best_baseline_mean": value,
    }


def _with_mean(row: Compared) -> str:
    return f"{row.score.seeds.mean:.3f} ({row.names})"


def _models(lines: Sequence[Line]) -> Iterator[tuple[int, Line, list[Line]]]:
    """Number and line of each model, with the lines of its baselines."""
    numbered = enumerate(lines)
    for _, group in groupby(numbered, key=lambda one: (one[1].row, one[1].settings)):
        same = list(group)
        baselines = [line for _, line in same if not line.is_model]
        yield from ((number, line, baselines) for number, line in same if line.is_model)


def _chosen(found: Sequence[Panel]) -> set[int]:
    """The numbers of `MOST` models: the best one of each score, the second best one, and so on."""
    in_turn = chain.from_iterable(zip_longest(*(panel.ranked for panel in found)))
    return set([*dict.fromkeys(number for number in in_turn if number is not None)][:MOST])


def _best(metric: str, baselines: Sequence[Line]) -> tuple[str, float] | None:
    means = {
        f"baseline_{line.predictor}/{metric}": line.scores[metric].seeds.mean
        for line in baselines
        if metric in line.scores
    }
    return best_baseline(means, metric)
