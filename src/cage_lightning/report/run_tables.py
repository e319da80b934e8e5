"""A table of the paper filled from finished runs, in every form that it is written in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cage_lightning.report.paper_tables import PaperTable
from cage_lightning.report.resampling import NOT_RESAMPLED, Resampled
from cage_lightning.report.rows import named, rows
from cage_lightning.report.runs import RowName, Run
from cage_lightning.scores import Summary, summarise
from cage_lightning.scores.headline import scale
from cage_lightning.scores.nested import Group, estimate
from cage_lightning.system.escaping import for_latex, for_markdown
from cage_lightning.system.markdown import Markdown, markdown_table

MODEL = "model"
"""The predictor of a line that is no baseline."""

_TEST, _BASELINE = "test", "baseline_"

EXPLANATION = """\
Mean over the seeds ± standard deviation; in brackets the 95 % interval of the mean over both
kinds of variation, training with other seeds and other test samples. Of a single run it is the
bootstrap interval over test samples alone. In italics, on the same test samples, predictors that do
not look at the picture themselves: *constant* (training means, most frequent category), *constant
balanced* (mean of the training means of the categories), *lookup* (training mean of valence and
arousal of the category that the model predicts), *nearest* (category whose training mean is nearest
to the valence and arousal that the model predicts), *chance*.
"""


@dataclass(frozen=True)
class Score:
    """One score of a line of a table.

    Attributes:
        seeds: Mean and spread over the runs.
        sample: Mean over the runs of the limits of their bootstrap intervals, which are about other
            test samples; None for a baseline.
        joint: Limits of the interval of the mean over other seeds and other test samples; None for
            a baseline, for a single run, and where the predictions of a run are missing.
        published: What the paper prints; None where it prints nothing.
        baseline: Whether it is that of a baseline, which is shown by its mean alone.
    """

    seeds: Summary
    sample: tuple[float, float] | None = None
    joint: tuple[float, float] | None = None
    published: float | None = None
    baseline: bool = False

    @property
    def difference(self) -> float | None:
        """The mean minus what the paper prints."""
        return None if self.published is None else self.seeds.mean - self.published

    @property
    def interval(self) -> tuple[float, float] | None:
        """The interval that is shown: `joint`, or of a single run that over test samples."""
        return self.sample if self.seeds.n == 1 else self.joint

    @property
    def lines(self) -> list[str]:
        """The score as people read it; the interval and what the paper prints on further lines."""
        lines = [self._mean("±")]
        if self.interval is not None:
            lines.append("[{:.3f}, {:.3f}]".format(*self.interval))
        if self.difference is not None:
            lines.append(f"paper {self.published:g} ({self.difference:+.3f})")
        return lines

    @property
    def latex(self) -> str:
        """Mean and standard deviation in LaTeX."""
        return self._mean(r"$\pm$")

    @property
    def record(self) -> dict[str, float | int | str | None]:
        """The columns of results.csv that are about the score."""
        sample_low, sample_high = self.sample or (None, None)
        low, high = self.interval or (None, None)
        over = "test samples" if self.seeds.n == 1 else "seeds and test samples"
        return {
            "seeds": self.seeds.n,
            "mean": self.seeds.mean,
            "sd": self.seeds.sd,
            "seeds_low": self.seeds.low,
            "seeds_high": self.seeds.high,
            "sample_low": sample_low,
            "sample_high": sample_high,
            "published": self.published,
            "difference": self.difference,
            "low": low,
            "high": high,
            "interval_over": over if self.interval else None,
        }

    def _mean(self, plus_minus: str) -> str:
        mean, sd = self.seeds.mean, self.seeds.sd
        return f"{mean:.3f}" if sd is None or self.baseline else f"{mean:.3f} {plus_minus} {sd:.3f}"


@dataclass(frozen=True)
class Line:
    """The scores of a model, or of a baseline on the same samples.

    Attributes:
        row: Data, network, loss and tag of the runs.
        settings: Those in which runs of the table differ beyond data, network and loss.
        predictor: `MODEL`, or the name of a baseline.
        scores: The scores by the key of the metric; at least one.
    """

    row: RowName
    settings: Mapping[str, Any]
    predictor: str
    scores: Mapping[str, Score]

    @property
    def is_model(self) -> bool:
        """Whether it is no baseline."""
        return self.predictor == MODEL

    @property
    def title(self) -> str:
        """The predictor as people read it."""
        return self.predictor.replace("_", " ")

    @property
    def seeds(self) -> int:
        """The number of runs."""
        return next(iter(self.scores.values())).seeds.n

    @property
    def runs_named(self) -> list[str]:
        """Data, network, loss and settings of the runs."""
        return named(self.row, self.settings)

    @property
    def names(self) -> list[str]:
        """The same for the line of a model; of a baseline, only what it is."""
        if self.is_model:
            return self.runs_named
        return ["", "", Markdown(f"*{for_markdown(self.title)}*"), *("" for _ in self.settings)]

    def records(self) -> Iterator[dict[str, Any]]:
        """The rows of results.csv, one for each score."""
        for metric, score in self.scores.items():
            which = {"predictor": self.predictor, "metric": metric}
            yield self.row._asdict() | dict(self.settings) | which | score.record


@dataclass(frozen=True)
class FilledTable:
    """A table of the paper with the scores of runs.

    Attributes:
        paper: The table of the paper.
        lines: Row by row, each model followed by its baselines.
        without_interval: Which rows have no interval, and why; a sentence each.
    """

    paper: PaperTable
    lines: Sequence[Line]
    without_interval: Sequence[str] = ()

    @property
    def headings(self) -> dict[str, str]:
        """The metrics that some line has, with their headings."""
        there = {metric for line in self.lines for metric in line.scores}
        return {key: heading for key, heading in self.paper.metrics.items() if key in there}

    @property
    def columns(self) -> list[str]:
        """What `Line.names` holds."""
        return ["data", "model", "loss", *self.lines[0].settings]

    def records(self) -> list[dict[str, Any]]:
        """The rows of results.csv."""
        return [record for line in self.lines for record in line.records()]

    def markdown(self) -> str:
        """The table in the layout of the paper.

        A score is the mean over the seeds, with their standard deviation and, in brackets, its
        interval; below it what the paper prints, and the difference.
        """
        metrics = self.headings
        rows = [
            [
                *line.names,
                str(line.seeds),
                *(_of_lines(line.scores[k].lines) if k in line.scores else "" for k in metrics),
            ]
            for line in self.lines
        ]
        return markdown_table([*self.columns, "seeds", *metrics.values()], rows)

    def latex(self) -> str:
        """The models as a LaTeX tabular (package booktabs), in the layout of the paper.

        A score is the mean over the seeds with their standard deviation.
        """
        names, metrics = self.columns, self.headings
        rows = [
            [
                *map(for_latex, line.names),
                *(line.scores[k].latex if k in line.scores else "" for k in metrics),
            ]
            for line in self.lines
            if line.is_model
        ]
        head, *body = (
            f"{' & '.join(row)} \\\\"
            for row in ([*map(for_latex, (*names, *metrics.values()))], *rows)
        )
        lines = [
            rf"\begin{{tabular}}{{{'l' * len(names)}{'r' * len(metrics)}}}",
            *(r"\toprule", head, r"\midrule", *body, r"\bottomrule"),
            r"\end{tabular}",
        ]
        return "\n".join(lines) + "\n"


def fill(
    table: PaperTable, runs: Sequence[Run], resampled: Resampled = NOT_RESAMPLED
) -> FilledTable:
    """Fill a table from runs; its lines are none where no run has a score of it.

    Args:
        table: The table of the paper.
        runs: Runs on any data; those that differ only in their seed share a row.
        resampled: What they score on resamples of their test samples; without it, the means over
            several seeds have no interval.
    """
    lines, without = [], []
    for row in rows(runs):
        for prefix in dict.fromkeys(key.partition("/")[0] for key in row.runs[0].metrics):
            if scores := _scores(table, row.runs, prefix, resampled):
                predictor = MODEL if prefix == _TEST else prefix.removeprefix(_BASELINE)
                lines.append(Line(row.name, row.settings, predictor, scores))
        if len(row.runs) > 1 and (reason := resampled.missing(row.runs)):
            without.append(f"{row.title} has no interval: {reason}.")
    return FilledTable(table, lines, without)


def _scores(
    table: PaperTable, seeds: Sequence[Run], prefix: str, resampled: Resampled
) -> dict[str, Score]:
    """The scores that all seeds of a row have under the prefix of a predictor in metrics.json."""
    if prefix != _TEST and not prefix.startswith(_BASELINE):
        return {}
    keys = {metric: f"{prefix}/{metric}" for metric in table.metrics}
    published = table.published.get(seeds[0].row.choices, {}) if prefix == _TEST else {}
    return {
        metric: Score(
            seeds=summarise([run.metrics[key] for run in seeds]),
            sample=_mean_interval([run.metrics.get("intervals", {}).get(key) for run in seeds]),
            joint=_joint(metric, resampled.group(seeds, metric)) if prefix == _TEST else None,
            published=published.get(metric),
            baseline=prefix != _TEST,
        )
        for metric, key in keys.items()
        if all(key in run.metrics for run in seeds)
    }


def _joint(metric: str, group: Group | None) -> tuple[float, float] | None:
    """The interval of the mean over seeds and test samples, as far as the metric's scale goes."""
    found = None if group is None else estimate(group)
    if found is None:
        return None
    (low, high), (least, most) = found.interval(), scale(metric)
    return max(low, least), min(high, most)


def _mean_interval(
    intervals: Sequence[tuple[float, float] | None],
) -> tuple[float, float] | None:
    """The means of the lower and of the upper limits; None where a run has no interval."""
    known = [interval for interval in intervals if interval is not None]
    if len(known) < len(intervals):
        return None
    low, high = (summarise(limits).mean for limits in zip(*known, strict=True))
    return low, high


def _of_lines(lines: Sequence[str]) -> Markdown:
    """Lines of numbers in one cell."""
    return Markdown("<br>".join(lines))
