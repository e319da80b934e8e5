"""The search itself: ask for a batch of trials, run it, tell its results in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from cage_lightning.errors import CageError
from cage_lightning.report.searches import OBJECTIVE
from cage_lightning.system.atomic import write_csv
from hydra_plugins.cage_search._record import Record, Trial
from hydra_plugins.cage_search._space import Value
from hydra_plugins.cage_search._suggestions import Suggestions


class Outcome(NamedTuple):
    """What came of a trial: the values of its objectives, None if it failed; its run folder."""

    values: tuple[float, ...] | None
    run: str


Run = Callable[[Sequence[Mapping[str, Value]]], Sequence[Outcome]]
"""Runs trials side by side, given the settings of each."""


def search(
    record: Record,
    suggestions: Suggestions,
    n_trials: int,
    n_jobs: int,
    objectives: Sequence[str],
    run: Run,
) -> None:
    """Search, or go on where an earlier process was killed.

    The suggestions are replayed from the first trial on, which costs milliseconds each: so the
    sampler knows what it would know in an undisturbed search. Trials that have ended do not run
    again; those that were begun run with the settings that they were given.

    Args:
        record: The trials so far; those to come are added.
        suggestions: Those of the same search, not asked yet.
        n_trials: How many there shall be.
        n_jobs: How many are asked for before the results of the last ones are told.
        objectives: Their names.
        run: Runs what has not ended.

    Raises:
        CageError: No trial has a result.
    """
    if suggestions.most is not None:
        n_trials = min(n_trials, suggestions.most)
    for first in range(0, n_trials, n_jobs):
        numbers = range(first, min(first + n_jobs, n_trials))
        for number in numbers:
            _begin(record, suggestions, number)
        if left := [number for number in numbers if not record.trials[number].ended]:
            _run(record, left, run)
        for number in numbers:
            suggestions.tell(number, record.trials[number].values)
        write_history(record, objectives)
    trials = record.trials[:n_trials]
    if all(trial.values is None for trial in trials):
        raise CageError(f"none of the {len(trials)} trials has a result")


def _begin(record: Record, suggestions: Suggestions, number: int) -> None:
    if number < len(record.trials):
        suggestions.ask(record.trials[number].chosen)
    else:
        record.begin(suggestions.ask(None))


def _run(record: Record, numbers: Sequence[int], run: Run) -> None:
    """Run each setting once, however many of the trials have it."""
    different: list[dict[str, Value]] = []
    for number in numbers:
        if record.trials[number].chosen not in different:
            different.append(record.trials[number].chosen)
    outcomes = run(different)
    for number in numbers:
        outcome = outcomes[different.index(record.trials[number].chosen)]
        record.end(number, outcome.values, outcome.run)


def write_history(record: Record, objectives: Sequence[str]) -> None:
    """Write the trials as a table beside the record."""
    settings = list(record.trials[0].chosen)
    names = [f"{OBJECTIVE}{name}" for name in objectives]
    best = record.best()
    rows = [
        _row(number, trial, names) | {"best": "best" if number in best else None}
        for number, trial in enumerate(record.trials)
    ]
    columns = ["trial", "state", "best", *names, *settings, "run"]
    write_csv(record.path.with_suffix(".csv"), columns, rows)


def summary(record: Record, objectives: Sequence[str]) -> str:
    """What the search has found, a line for each of the best trials."""
    failed = sum(trial.ended and trial.values is None for trial in record.trials)
    done = sum(trial.values is not None for trial in record.trials)
    counts = f"{done} finished" + (f", {failed} failed" if failed else "")
    best = [_line(number, record.trials[number], objectives) for number in record.best()]
    return "\n".join([f"{len(record.trials)} trials: {counts}; {record.path}", *best])


def _row(number: int, trial: Trial, names: Sequence[str]) -> dict[str, object]:
    values = trial.values or [None] * len(names)
    return {
        "trial": number,
        "state": state_of(trial),
        **dict(zip(names, values, strict=True)),
        **trial.chosen,
        "run": trial.run,
    }


def state_of(trial: Trial) -> str:
    """How far a trial is: running, finished or failed."""
    if not trial.ended:
        return "running"
    return "failed" if trial.values is None else "finished"


def _line(number: int, trial: Trial, objectives: Sequence[str]) -> str:
    scores = ", ".join(
        f"{name} {value:.6g}" for name, value in zip(objectives, trial.values or (), strict=True)
    )
    chosen = " ".join(f"{key}={value}" for key, value in trial.chosen.items())
    return f"best: trial {number}, {scores}: {chosen} ({trial.run})"
