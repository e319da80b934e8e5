"""When a trial is given up: the rules of Optuna's pruners, as bounds that are known beforehand.

Both rules compare the validations of a trial with those of other trials. Here the others are those
whose results were told before the batch of the trial: never one that runs beside it. So the bounds
depend on nothing but the search, and a trial that is killed and resumed meets the same ones.
"""

from __future__ import annotations

import binascii
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np

from cage_lightning.errors import ConfigError, check_choice
from cage_lightning.runs.pruning import Mode
from hydra_plugins.cage_search._record import Trial
from hydra_plugins.cage_search._suggestions import Direction

PrunerName = Literal["none", "median", "hyperband"]

_DEFAULTS: Mapping[str, Mapping[str, int | None]] = {
    "none": {},
    "median": {"n_startup_trials": 5, "n_warmup_steps": 0},
    "hyperband": {"min_resource": 1, "max_resource": None, "reduction_factor": 3},
}
_LEAST = {
    "n_startup_trials": 0,
    "n_warmup_steps": 0,
    "min_resource": 1,
    "max_resource": 1,
    "reduction_factor": 2,
}
_KEY = "hydra.sweeper.pruning"


class Pruner:
    """The bounds of each trial, by the trials that were told before it.

    Args:
        name: The rule.
        given: Its settings; those that are None have Optuna's values.
        seed: That of the search.
        direction: What is better.
        n_jobs: How many trials are chosen at a time: a batch.

    Raises:
        ConfigError: There is no such rule, or a setting is not one of it or out of range.
    """

    def __init__(
        self,
        name: PrunerName,
        given: Mapping[str, Any],
        seed: int,
        direction: Direction,
        n_jobs: int = 1,
    ) -> None:
        check_choice("hydra.sweeper.pruner", name, get_args(PrunerName))
        self._name, self._seed, self._n_jobs = name, seed, n_jobs
        self.settings = dict(_DEFAULTS[name])
        for key, value in given.items():
            if value is not None:
                self.settings[key] = _checked(name, key, value)
        self.mode: Mode = "max" if direction == "maximize" else "min"

    @property
    def compared(self) -> Literal["best", "latest"]:
        """What of a trial is compared with its bounds."""
        return "best" if self._name == "median" else "latest"

    def bounds(self, number: int, trials: Sequence[Trial]) -> dict[int, float]:
        """The bounds of a trial, by the number of the validation, from 1.

        There is none for the last validation of the longest trial, after which nothing is saved.

        Args:
            number: Of the trial.
            trials: Those of the search so far. Of its own batch none counts, also if it has ended
                before a kill.
        """
        told = trials[: number - number % self._n_jobs]
        found = self._median(told) if self._name == "median" else self._hyperband(number, told)
        return {step: bound for step, bound in found if not math.isnan(bound)}

    def _median(self, told: Sequence[Trial]) -> Iterator[tuple[int, float]]:
        """The median of the trials that were not pruned (optuna.pruners.MedianPruner)."""
        startup, warmup = _whole(self.settings, "n_startup_trials", "n_warmup_steps")
        curves = [trial.curve for trial in told if trial.values is not None]
        if len(curves) < startup:
            return
        for step in range(warmup + 1, max(map(len, curves), default=0)):
            values = [curve[step - 1] for curve in curves if len(curve) >= step]
            finite = [value for value in values if not math.isnan(value)]
            yield step, float(np.median(finite)) if finite else math.nan

    def _hyperband(self, number: int, told: Sequence[Trial]) -> Iterator[tuple[int, float]]:
        """Successive halving in several brackets (optuna.pruners.HyperbandPruner).

        The source is Li et al., Hyperband, JMLR 18 (2018); at each rung of its bracket, one trial
        in `reduction_factor` goes on.
        """
        least, factor = _whole(self.settings, "min_resource", "reduction_factor")
        lengths = [len(trial.curve) for trial in told if trial.values is not None and trial.curve]
        most = self.settings["max_resource"] or next(iter(lengths), 0)
        if most < least:
            return
        brackets = _brackets(least, most, factor)
        bracket = self._bracket(number, brackets, factor)
        rivals = [
            trial.curve
            for other, trial in enumerate(told)
            if self._bracket(other, brackets, factor) == bracket
        ]
        step = least * factor**bracket
        while step < most:
            values = [curve[step - 1] for curve in rivals if len(curve) >= step]
            yield step, self._promoted(values, factor)
            step *= factor

    def _promoted(self, values: Sequence[float], factor: int) -> float:
        """The worst value that goes on beside these; NaN where every one does."""
        best = sorted(
            (value for value in values if not math.isnan(value)), reverse=self.mode == "max"
        )
        place = max((len(best) + 1) // factor - 1, 0)
        return best[place] if place < len(best) else math.nan

    def _bracket(self, number: int, brackets: int, factor: int) -> int:
        """By chance, in the shares of the original: more trials where each is given up sooner."""
        left = [brackets - 1 - bracket for bracket in range(brackets)]
        shares = [math.ceil(brackets * factor**s / (s + 1)) for s in left]
        drawn = binascii.crc32(f"{self._seed}_{number}".encode()) % sum(shares)
        return int(np.searchsorted(np.cumsum(shares), drawn, side="right"))


def _brackets(least: int, most: int, factor: int) -> int:
    """How many powers of the factor lie between them."""
    brackets = 1
    while least * factor**brackets <= most:
        brackets += 1
    return brackets


def _whole(settings: Mapping[str, int | None], *keys: str) -> Iterator[int]:
    for key in keys:
        value = settings[key]
        assert value is not None, "it has a default"
        yield value


def _checked(name: PrunerName, key: str, value: object) -> int:
    known = _DEFAULTS[name]
    if key not in known:
        raise ConfigError(
            f"{_KEY}.{key} has no effect with hydra.sweeper.pruner={name}"
            + (f", which takes {', '.join(known)}" if known else "")
            + ": leave it out"
        )
    if not isinstance(value, int) or isinstance(value, bool) or value < _LEAST[key]:
        raise ConfigError(f"{_KEY}.{key}={value}: a whole number from {_LEAST[key]} on is needed")
    return value
