"""The search itself: ask for a batch of trials, run it, tell its results in order."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from cage_lightning.errors import CageError
from cage_lightning.report.searches import OBJECTIVE, SETTINGS, VALIDATIONS
from cage_lightning.system.atomic import write_atomic, write_csv
from hydra_plugins.cage_search._record import Record, Trial
from hydra_plugins.cage_search._space import Value
from hydra_plugins.cage_search._suggestions import Suggestions


class Outcome(NamedTuple):
    """What came of a trial; see `Trial`."""

    values: tuple[float, ...] | None
    run: str
    curve: tuple[float, ...] = ()
    pruned: bool = False


Run = Callable[[Mapping[int, Mapping[str, Value]]], Sequence[Outcome]]
"""Runs trials side by side, given the settings of each by its number."""


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
            trial = record.trials[number]
            suggestions.tell(number, trial.values, trial.curve if trial.pruned else ())
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
    """Run each setting once, however many of the trials have it.

    They share a run folder, so they share its result: that of the first of them, also where a later
    one would be pruned elsewhere.
    """
    first = {number: _alike(record, number) for number in numbers}
    left = {n: record.trials[n].chosen for n in first.values() if not _has_result(record, n)}
    outcomes = dict(zip(left, run(left), strict=True)) if left else {}
    for number, alike in first.items():
        trial = record.trials[alike]
        shared = Outcome(trial.values, trial.run, trial.curve, trial.pruned)
        record.end(number, *outcomes.get(alike, shared))


def _alike(record: Record, number: int) -> int:
    """The first trial with the same settings that has a result, or is still to run."""
    chosen = record.trials[number].chosen
    return next(
        other
        for other, trial in enumerate(record.trials)
        if trial.chosen == chosen and (_has_result(record, other) or not trial.ended)
    )


def _has_result(record: Record, number: int) -> bool:
    return record.trials[number].values is not None or record.trials[number].pruned


def write_history(record: Record, objectives: Sequence[str]) -> None:
    """Write the trials as a table beside the record."""
    settings = list(record.trials[0].chosen)
    names = [f"{OBJECTIVE}{name}" for name in objectives]
    best = record.best()
    rows = [
        _row(number, trial, dict(zip(names, record.reached(number), strict=True)))
        | {"best": "best" if number in best else None}
        for number, trial in enumerate(record.trials)
    ]
    length = [VALIDATIONS] if any(trial.curve for trial in record.trials) else []
    columns = ["trial", "state", "best", *names, *length, *settings, "run"]
    write_csv(record.path.with_suffix(".csv"), columns, rows)
    about = json.dumps(record.about_settings(), indent=2, allow_nan=False)
    write_atomic(record.path.with_suffix(SETTINGS), f"{about}\n")


def summary(record: Record, objectives: Sequence[str]) -> str:
    """What the search has found, a line for each of the best trials."""
    states = [state_of(trial) for trial in record.trials]
    counts = ", ".join(
        f"{states.count(state)} {state}"
        for state in ("finished", "pruned", "failed")
        if state == "finished" or state in states
    )
    best = [_line(number, record.trials[number], objectives) for number in record.best()]
    return "\n".join([f"{len(record.trials)} trials: {counts}; {record.path}", *best])


def _row(number: int, trial: Trial, values: Mapping[str, float | None]) -> dict[str, object]:
    return {
        "trial": number,
        "state": state_of(trial),
        **values,
        **({VALIDATIONS: len(trial.curve)} if trial.curve else {}),
        **trial.chosen,
        "run": trial.run,
    }


def state_of(trial: Trial) -> str:
    """How far a trial is: running, finished, pruned or failed."""
    if not trial.ended:
        return "running"
    if trial.pruned:
        return "pruned"
    return "failed" if trial.values is None else "finished"


def _line(number: int, trial: Trial, objectives: Sequence[str]) -> str:
    scores = ", ".join(
        f"{name} {value:.6g}" for name, value in zip(objectives, trial.values or (), strict=True)
    )
    chosen = " ".join(f"{key}={value}" for key, value in trial.chosen.items())
    return f"best: trial {number}, {scores}: {chosen} ({trial.run})"
