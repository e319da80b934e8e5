"""What finished runs have of a number that the paper prints, seed by seed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from cage_lightning.errors import CageError
from cage_lightning.predictions.files import read_predictions
from cage_lightning.report.affect_figures import compared_dimensions, share_within
from cage_lightning.report.logged import logged_rows, no_log
from cage_lightning.report.published import WITHIN, Part, Protocol, Row, required, test_samples
from cage_lightning.report.runs import Evaluation, Run
from cage_lightning.report.settings import computed_settings
from cage_lightning.report.verdicts.rules import Measured
from cage_lightning.runs.identity import essence

_WITHIN_PREFIX = "within_"
_ANY = "set"
_BEST: Mapping[str, Any] = {"min": min, "max": max}
_LONGEST = 60  # characters of a value


@dataclass(frozen=True)
class _Group:
    """Runs of a row that differ only in their seed."""

    runs: Sequence[Run]

    @cached_property
    def evaluations(self) -> list[Evaluation]:
        """On all data sets."""
        return [evaluation for run in self.runs for evaluation in run.evaluations]

    def on(self, data: str | None) -> list[Evaluation]:
        """The evaluations on a data set; None stands for that of the training."""
        return [found for found in self.evaluations if _is_on(found, data)]


class _Values(NamedTuple):
    """What a group has of a part: values by seed, and what keeps it from following the protocol."""

    by_seed: Mapping[int, float]
    lacking: str

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """The best of several: what has values, follows the protocol, then what has more seeds."""
        return bool(self.by_seed), not self.lacking, len(self.by_seed)


class Evidence:
    """What runs have of the numbers that the paper prints.

    Of runs with the same data set, network and loss but other settings, those count that follow the
    protocol; else the largest group of runs that differ only in their seed.

    Args:
        runs: All finished runs, at least one.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self.drawn = all(run.drawn for run in runs)
        alike: dict[tuple[str, str, str], dict[str, list[Run]]] = {}
        for run in runs:
            if not run.drawn:
                settings = json.dumps(computed_settings(run), sort_keys=True)
                alike.setdefault(run.row.choices, {}).setdefault(settings, []).append(run)
        self._groups = {row: list(map(_Group, found.values())) for row, found in alike.items()}

    def of(self, part: Part, protocol: Protocol) -> Measured:
        """The values of a part of a claim, seed by seed.

        A file that cannot be read counts as one that is not there.
        """
        if self.drawn:
            return Measured(proxy=True)
        found = []
        for row in part.rows:
            values = self._values(part, protocol, row)
            if isinstance(values, str):
                return Measured(missing=values)
            found.append(values)
        seeds = sorted(set.intersection(*(set(values.by_seed) for values in found)))
        if not seeds:
            return Measured(missing=f"no seed has a run of {' and of '.join(map(str, part.rows))}")
        return Measured(
            tuple(_compared(part, *(values.by_seed[seed] for values in found)) for seed in seeds),
            lacking=next((values.lacking for values in found if values.lacking), ""),
        )

    def _values(self, part: Part, protocol: Protocol, row: Row) -> _Values | str:
        """What the runs of a row have of a part; or why they have nothing."""
        groups = self._groups.get(row, [])
        such = "such run" if row == part.row else f"run of {row}"
        if not groups:
            return f"no {such} is finished"
        evaluations = [found for group in groups for found in group.on(part.on)]
        if not evaluations:
            return f"no {such} was evaluated on {part.on or 'its test split'}"
        if problem := _other_samples(evaluations, part):
            return problem
        wanted = required(protocol, row)
        values = (
            _Values(_by_seed(group, part), lacking(group.runs[0], wanted)) for group in groups
        )
        best = max(values, key=lambda found: found.rank)
        return best if best.by_seed else f"no {such} has a value of {part.key}"


def lacking(run: Run, wanted: Mapping[str, Any]) -> str:
    """The settings that a run has otherwise, the first by name; empty if there is none.

    Args:
        run: The run.
        wanted: As `published.required` returns it.
    """
    there = essence(run.config) | {"augmentation": _augmentation(run.config)}
    other = [key for key, value in wanted.items() if not _is(there.get(key), value)]
    if not other:
        return ""
    key = other[0]
    text = f"{key} is {_shown(there.get(key))} instead of {_shown(wanted[key])}"
    return text + f", and {len(other) - 1} more" * (len(other) > 1)


def kept_epoch(run: Run) -> int | None:
    """The epoch whose weights were kept, counted from 1; None where the logs do not tell.

    It is the one with the best value of what the run was told to watch. A start of the run that
    took an epoch up again replaces what was logged of it before.

    Raises:
        DataError: A log holds something that is no number.
    """
    selection = _recorded(run.metrics, "selection")
    metric, best = selection.get("metric"), _BEST.get(str(selection.get("mode")))
    values: dict[int, float] = {}
    for file, rows in logged_rows(run.folder):
        try:
            values |= {int(row["epoch"]): float(row[metric]) for row in rows if row.get(metric)}
        except (KeyError, TypeError, ValueError) as error:
            raise no_log(file, error) from error
    finite = {epoch: value for epoch, value in values.items() if isfinite(value)}
    if best is None or not finite:
        return None
    epoch: int = best(finite, key=finite.__getitem__)
    return 1 + epoch


def _is_on(evaluation: Evaluation, data: str | None) -> bool:
    if data is None or evaluation.source.data != data:
        return evaluation.source.data == data
    # Older versions did not record the name.
    return bool(_recorded(evaluation.metrics, "data_set").get("name", data) == data)


def _recorded(metrics: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """What a metrics.json, which may come from anyone, records under ``meta``."""
    meta = metrics.get("meta")
    found = meta.get(key) if isinstance(meta, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _number(metrics: Mapping[str, Any], key: str) -> float | None:
    value = metrics.get(f"test/{key}")
    return value if isinstance(value, int | float) and isfinite(value) else None


def _other_samples(evaluations: Sequence[Evaluation], part: Part) -> str:
    """Why no evaluation is of the test split that is meant; empty if one is."""
    wanted = test_samples(part.test_split)
    found = {_number(evaluation.metrics, "n") for evaluation in evaluations} - {None}
    if found & wanted:
        return ""
    shown = " or ".join(f"{n:,g}" for n in sorted(filter(None, found))) or "an unknown number of"
    paper = " or ".join(f"{n:,}" for n in sorted(wanted))
    return f"the test split has {shown} samples instead of {paper}"


def _by_seed(group: _Group, part: Part) -> dict[int, float]:
    values: dict[int, float] = {}
    for evaluation in group.on(part.on):
        if _number(evaluation.metrics, "n") in test_samples(part.test_split):
            value = _value(evaluation, part.key)
            if value is not None:
                values.setdefault(evaluation.run.seed, value)
    return values


def _value(evaluation: Evaluation, key: str) -> float | None:
    """What an evaluation has of a key of `published.Part`; None where it has nothing to be read."""
    with suppress(CageError):
        if key == "epoch":
            return kept_epoch(evaluation.run)
        if key.startswith(_WITHIN_PREFIX):
            return _share_within(evaluation, key.removeprefix(_WITHIN_PREFIX))
        return _number(evaluation.metrics, key)
    return None


def _share_within(evaluation: Evaluation, dimension: str) -> float | None:
    if not evaluation.predictions.is_file():
        return None
    predictions = read_predictions(evaluation.predictions)
    d = compared_dimensions(predictions).get(dimension)
    if d is None or predictions.affect_pred is None:
        return None
    limit = np.array([WITHIN])
    return float(share_within(predictions.affect[:, d], predictions.affect_pred[:, d], limit)[0])


def _compared(part: Part, value: float, other: float = 0.0) -> float:
    """What is compared with the printed number."""
    if part.relative is None:
        return value - other
    assert part.benchmark is not None, "a share needs something that it is a share of"
    increase = (value - part.benchmark) / part.benchmark
    return increase if part.relative == "increase" else -increase


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _is(value: Any, wanted: Any) -> bool:
    return value is not None if wanted == _ANY else value == wanted


def _augmentation(config: Mapping[str, Any]) -> list[str]:
    """The names of the classes of the steps."""
    augment = config.get("augment")
    steps = augment.get("steps") if isinstance(augment, Mapping) else None
    if not isinstance(steps, list):
        return []
    targets = [step.get("_target_") for step in steps if isinstance(step, Mapping)]
    return [str(target).rpartition(".")[2] for target in targets]
