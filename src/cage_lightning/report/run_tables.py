"""A table of the paper filled from finished runs: CSV for programs, Markdown for people."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from cage_lightning.report.paper_tables import PaperTable
from cage_lightning.report.runs import Run
from cage_lightning.report.settings import differing_settings
from cage_lightning.scores import Summary, summarise

_MODEL, _BASELINE = "test", "baseline_"

EXPLANATION = """\
Mean over the seeds ± standard deviation; in brackets the 95 % bootstrap interval over test
samples (stratified by category, mean over the seeds). In italics, on the same test samples,
predictors that do not look at the picture themselves: *constant* (training means, most frequent
category), *constant balanced* (mean of the training means of the categories), *lookup* (training
mean of valence and arousal of the category that the model predicts), *nearest* (category whose
training mean is nearest to the valence and arousal that the model predicts), *chance*.
"""

TAKEN_UP = "the command of the sweep trains them, and leaves finished runs alone"


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
        settings: Those in which runs of the table differ beyond data, model and loss.
    """

    row: tuple[str, str, str, str]
    predictor: str
    metric: str
    seeds: Summary
    sample: tuple[float, float] | None
    published: float | None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def runs_named(self) -> list[str]:
        """Data, model, loss and settings of the runs."""
        data, model, loss, tag = self.row
        said = [v if isinstance(v, str) else json.dumps(v) for v in self.settings.values()]
        return [data, model if said else f"{model} {tag}".strip(), loss, *said]

    @property
    def names(self) -> list[str]:
        """The same for the line of a model; of a baseline, only what it is."""
        if self.predictor == "model":
            return self.runs_named
        return ["", "", f"*{self.predictor.replace('_', ' ')}*", *("" for _ in self.settings)]

    @property
    def lines(self) -> list[str]:
        """The score as people read it; the interval and what the paper prints on further lines."""
        score = f"{self.seeds.mean:.3f}"
        if self.seeds.sd is not None and self.predictor == "model":
            score += f" ± {self.seeds.sd:.3f}"
        lines = [score]
        if self.sample is not None:
            lines.append("[{:.3f}, {:.3f}]".format(*self.sample))
        if self.published is not None:
            difference = self.seeds.mean - self.published
            lines.append(f"paper {self.published:g} ({difference:+.3f})")
        return lines

    def record(self) -> dict[str, Any]:
        """As a row of results.csv."""
        low, high = self.sample or (None, None)
        return {
            **dict(zip(("data", "model", "loss", "tag"), self.row, strict=True)),
            **self.settings,
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
    found: list[Cell] = []
    settings = differing_settings(runs) if runs else {}

    def line(run: Run) -> tuple[tuple[str, str, str, str], str]:
        return run.row, json.dumps(settings[run.folder])

    for (row, _), group in groupby(sorted(runs, key=line), key=line):
        seeds = list(group)
        for prefix in dict.fromkeys(key.partition("/")[0] for key in seeds[0].metrics):
            if prefix != _MODEL and not prefix.startswith(_BASELINE):
                continue
            for metric in table.metrics:
                key = f"{prefix}/{metric}"
                if all(key in run.metrics for run in seeds):
                    cell = _cell(table, row, seeds, prefix, metric)
                    found.append(replace(cell, settings=settings[seeds[0].folder]))
    return found


def headings(table: PaperTable, found: Sequence[Cell]) -> dict[str, str]:
    """The metrics of a table that some cell has, with their headings."""
    return {k: v for k, v in table.metrics.items() if any(cell.metric == k for cell in found)}


def names_of_columns(found: Sequence[Cell]) -> list[str]:
    """What `Cell.names` holds."""
    return ["data", "model", "loss", *found[0].settings]


def lines_of_table(found: Sequence[Cell]) -> Iterator[dict[str, Cell]]:
    """The cells line by line, by metric: those of a line share everything but the metric."""
    for _, group in groupby(found, key=lambda cell: (cell.row, cell.settings, cell.predictor)):
        yield {cell.metric: cell for cell in group}


def markdown(table: PaperTable, found: Sequence[Cell]) -> str:
    """The table in the layout of the paper.

    A score is the mean over the seeds, with their standard deviation and, in brackets, the mean
    interval over test samples; below it what the paper prints, and the difference.
    """
    metrics = headings(table, found)
    head = [*names_of_columns(found), "seeds", *metrics.values()]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for scores in lines_of_table(found):
        first = next(iter(scores.values()))
        names = [name.replace("|", r"\|") for name in first.names]
        texts = ["<br>".join(scores[k].lines) if k in scores else "" for k in metrics]
        lines.append(f"| {' | '.join([*names, str(first.seeds.n), *texts])} |")
    return "\n".join(lines) + "\n"


def latex(table: PaperTable, found: Sequence[Cell]) -> str:
    """The models of a table as a LaTeX tabular (package booktabs), in the layout of the paper.

    A score is the mean over the seeds with their standard deviation.
    """
    metrics = headings(table, found)
    names = names_of_columns(found)
    rows = [(*names, *metrics.values())]
    for scores in lines_of_table(found):
        first = next(iter(scores.values()))
        if first.predictor == "model":
            texts = [
                scores[k].lines[0].replace("±", r"$\pm$") if k in scores else "" for k in metrics
            ]
            rows.append((*first.names, *texts))
    head, *body = (
        " & ".join(row).replace("_", r"\_").replace("±", r"$\pm$") + r" \\" for row in rows
    )
    lines = [
        rf"\begin{{tabular}}{{{'l' * len(names)}{'r' * len(metrics)}}}",
        *(r"\toprule", head, r"\midrule", *body, r"\bottomrule"),
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def missing_rows(table: PaperTable, runs: Sequence[Run]) -> list[str]:
    """The commands for the rows that the paper has and the runs do not.

    Empty where no run is of a row that the paper has: such a grid does not mean to fill the table.
    """
    there = {run.row[:3] for run in runs if not run.row[3]}
    if not there & set(table.published):
        return []
    group = runs[0].config["group"]
    seeds = ",".join(str(seed) for seed in sorted({run.seed for run in runs}))
    commands = []
    for data, model, loss in table.published:
        if (data, model, loss) in there:
            continue
        choices = f"data={data} model={model} loss={loss} start=combined"
        commands.append(f"python -m cage_lightning.train -m {choices} seed={seeds} group={group}")
    return commands


def missing_seeds(runs: Sequence[Run]) -> list[str]:
    """The run folders that would give every row the seeds that some row has."""
    seeds = sorted({run.seed for run in runs})
    there = {run.folder for run in runs}
    folders = {
        run.folder.with_name(re.sub(r"-s\d+(?=-|$)", f"-s{seed}", run.folder.name, count=1)): None
        for run in sorted(runs, key=lambda run: run.row)
        for seed in seeds
    }
    return [str(folder) for folder in folders if folder not in there]


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
