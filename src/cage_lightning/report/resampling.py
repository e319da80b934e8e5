"""The scores of finished runs on resamples of their test samples, for intervals over both."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cage_lightning.errors import CageError, ConfigError, first_line
from cage_lightning.predictions.files import read_predictions
from cage_lightning.predictions.table import Floats, Predictions
from cage_lightning.report.runs import Run
from cage_lightning.scores.bootstrap import bootstrap, units_of
from cage_lightning.scores.comparison import aligned
from cage_lightning.scores.nested import Group
from cage_lightning.system.paths import is_inside

_RESAMPLES = 2000  # a variance from so many has a standard error of 3 %
_SEED = 0


@dataclass(frozen=True)
class Drawn:
    """The scores of a run on resamples of a test split, which has a number.

    Attributes:
        split: Runs with the same number were tested on the same samples, and the resamples are the
            same.
        units: See `Group`.
        scores: ``[R]`` by key.
    """

    split: int
    units: int
    scores: Mapping[str, Floats]


@dataclass(frozen=True)
class Resampled:
    """What runs score on resamples of their test samples.

    Attributes:
        unread: By run folder why a run has none.
        drawn: By run folder what a run scores.
    """

    unread: Mapping[Path, str] = field(default_factory=dict)
    drawn: Mapping[Path, Drawn] = field(default_factory=dict)

    def missing(self, runs: Sequence[Run]) -> str:
        """Why runs cannot be taken together; empty if they can."""
        for run in runs:
            if run.folder not in self.drawn:
                return self.unread.get(run.folder, f"{run.folder} was not scored on resamples")
        if len({self.drawn[run.folder].split for run in runs}) > 1:
            return "they were tested on different samples"
        return ""

    def group(self, runs: Sequence[Run], metric: str) -> Group | None:
        """A score of runs that differ only in their seed, of each seed the first run.

        Args:
            runs: At least one.
            metric: Its key in metrics.json without ``test/``.

        Returns:
            None for fewer than two seeds, where `missing` says why, or a run lacks the score.
        """
        first = {run.seed: run for run in reversed(runs)}
        seeds = sorted(first)
        chosen = [first[seed] for seed in seeds]
        key = f"test/{metric}"
        if len(seeds) < 2 or self.missing(chosen) or any(key not in r.metrics for r in chosen):
            return None
        drawn = [self.drawn[run.folder] for run in chosen]
        if any(metric not in one.scores for one in drawn):
            return None
        return Group(
            seeds=seeds,
            values=np.array([run.metrics[key] for run in chosen], np.float64),
            resampled=np.stack([one.scores[metric] for one in drawn]),
            units=drawn[0].units,
        )


NOT_RESAMPLED = Resampled()
"""Of no run."""


def resample(runs: Sequence[Run], metrics: Collection[str]) -> Resampled:
    """Score runs on resamples of their test samples; each prediction file is read once.

    Args:
        runs: Finished runs. Those without a prediction file, or whose file is a link that leads
            out of the run folder, have no resamples.
        metrics: The keys of the scores, as in metrics.json without ``test/``.
    """
    unread: dict[Path, str] = {}
    drawn: dict[Path, Drawn] = {}
    splits = 0
    for data in dict.fromkeys(run.row.data for run in runs):
        ours = [run for run in runs if run.row.data == data]
        for files in _by_samples(_read(ours, unread)):
            unit = units_of([file for _, file in files])
            units = len(files[0][1]) if unit is None else int(unit.max()) + 1
            found = bootstrap([file for _, file in files], _RESAMPLES, _SEED)
            for (run, _), scores in zip(files, found, strict=True):
                kept = {key: scores[key] for key in metrics if key in scores}
                drawn[run.folder] = Drawn(splits, units, kept)
            splits += 1
    return Resampled(unread, drawn)


def _read(runs: Sequence[Run], unread: dict[Path, str]) -> Iterator[tuple[Run, Predictions]]:
    """The predictions of the runs; adds to `unread` why a run has none."""
    for run in runs:
        file = run.folder / "predictions.parquet"
        if not is_inside(run.folder, file):
            unread[run.folder] = f"{file} is not there"
            continue
        try:
            yield run, read_predictions(file)
        except CageError as error:
            unread[run.folder] = first_line(error)


def _by_samples(
    files: Iterator[tuple[Run, Predictions]],
) -> list[list[tuple[Run, Predictions]]]:
    """Files of the same samples together, in the same order of the samples."""
    splits: list[list[tuple[Run, Predictions]]] = []
    for run, file in files:
        for split in splits:
            try:
                split.append((run, aligned(split[0][1], file)))
                break
            except ConfigError:
                continue
        else:
            splits.append([(run, file)])
    return splits
