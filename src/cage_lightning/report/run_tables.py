"""A table of the paper filled from finished runs: CSV for programs, Markdown for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from cage_lightning.report.paper_tables import PaperTable
from cage_lightning.report.runs import Run
from cage_lightning.scores import Summary, summarise

_MODEL, _BASELINE = "test", "baseline_"


@dataclass(frozen=True)
class Cell:
    """One score in a table.

    Attributes:
        row: Data, model, loss and tag of the runs.
        predictor: ``model``, or the name of a baseline that was scored on the same samples.
        metric: Key of the score.
        seeds: Over the runs.
        sample: Mean over the runs of the limits of their bootstrap intervals, which are about other
            test samples; None for a baseline.
        published: What the paper prints.
    """

    row: tuple[str, str, str, str]
    predictor: str
    metric: str
    seeds: Summary
    sample: tuple[float, float] | None
    published: float | None

    def record(self) -> dict[str, Any]:
        """As a row of results.csv."""
        low, high = self.sample or (None, None)
        return {
            **dict(zip(("data", "model", "loss", "tag"), self.row, strict=True)),
            "predictor": self.predictor,
            "metric": self.metric,
            "seeds": self.seeds.n,
            "mean": self.seeds.mean,
            "sd": self.seeds.sd,
            "seeds_low": self.seeds.low,
            "seeds_high": self.seeds.high,
            "sample_low": low,
            "sample_high": high,
            "published": self.published,
            "difference": None if self.published is None else self.seeds.mean - self.published,
        }


def cells(table: PaperTable, runs: Sequence[Run]) -> list[Cell]:
    """What the runs say for a table: row by row, each model followed by the baselines.

    Args:
        table: Which.
        runs: Of any data; those that differ only in their seed share a row.
    """
    found = []
    for row, group in groupby(sorted(runs, key=lambda run: run.row), key=lambda run: run.row):
        seeds = list(group)
        for prefix in dict.fromkeys(key.partition("/")[0] for key in seeds[0].metrics):
            if prefix != _MODEL and not prefix.startswith(_BASELINE):
                continue
            for metric in table.metrics:
                key = f"{prefix}/{metric}"
                if all(key in run.metrics for run in seeds):
                    found.append(_cell(table, row, seeds, prefix, metric))
    return found


def markdown(table: PaperTable, found: Sequence[Cell]) -> str:
    """The table in the layout of the paper.

    A score is the mean over the seeds, with their standard deviation and, in brackets, the mean
    interval over test samples; below it what the paper prints, and the difference.
    """
    metrics = {k: v for k, v in table.metrics.items() if any(cell.metric == k for cell in found)}
    lines = [
        f"| data | model | loss | seeds | {' | '.join(metrics.values())} |",
        f"|---|---|---|---|{'---|' * len(metrics)}",
    ]
    for (row, predictor), group in groupby(found, key=lambda cell: (cell.row, cell.predictor)):
        scores = {cell.metric: cell for cell in group}
        data, model, loss, tag = row
        names = [data, f"{model} {tag}".strip(), loss]
        if predictor != "model":
            names = ["", "", f"*{predictor.replace('_', ' ')}*"]
        n = next(iter(scores.values())).seeds.n
        texts = [_text(scores[metric]) if metric in scores else "" for metric in metrics]
        lines.append(f"| {' | '.join([*names, str(n), *texts])} |")
    return "\n".join(lines) + "\n"


def _cell(
    table: PaperTable, row: tuple[str, str, str, str], seeds: list[Run], prefix: str, metric: str
) -> Cell:
    key = f"{prefix}/{metric}"
    limits = [run.metrics["intervals"].get(key) for run in seeds]
    is_model = prefix == _MODEL
    return Cell(
        row=row,
        predictor="model" if is_model else prefix.removeprefix(_BASELINE),
        metric=metric,
        seeds=summarise([run.metrics[key] for run in seeds]),
        sample=None
        if None in limits
        else (summarise([low for low, _ in limits]).mean, summarise([h for _, h in limits]).mean),
        published=table.published.get(row[:3], {}).get(metric) if is_model else None,
    )


def _text(cell: Cell) -> str:
    text = f"{cell.seeds.mean:.3f}"
    if cell.seeds.sd is not None and cell.predictor == "model":
        text += f" ± {cell.seeds.sd:.3f}"
    if cell.sample is not None:
        text += "<br>[{:.3f}, {:.3f}]".format(*cell.sample)
    if cell.published is not None:
        difference = cell.seeds.mean - cell.published
        text += f"<br>paper {cell.published:g} ({difference:+.3f})"
    return text
