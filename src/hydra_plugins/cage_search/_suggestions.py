"""What a sampler of Optuna suggests, as a function of position.

A suggestion depends on nothing but the seed, the number of the trial, and the trials before it:
those whose results were told, and those that run beside it. So a search that was killed is given
again what it has had, and goes on to what an undisturbed one is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from cage_lightning.errors import ConfigError
from hydra_plugins.cage_search._space import Space, Value

SamplerName = Literal["tpe", "cmaes", "random", "grid"]
Direction = Literal["minimize", "maximize"]


class Suggestions:
    """A study in memory that is asked for trials, and told their results, in the order of numbers.

    Args:
        space: What to choose from.
        sampler: The name of a sampler.
        seed: That of the search.
        directions: One for each objective.

    Raises:
        ConfigError: The sampler cannot search this space, or with so many objectives.
    """

    def __init__(
        self, space: Space, sampler: SamplerName, seed: int, directions: Sequence[Direction]
    ) -> None:
        if sampler == "cmaes":
            _check_cmaes(space, directions)
        self._space, self._name, self._seed = space, sampler, seed
        self._grid = space.grid() if sampler == "grid" else None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(directions=list(directions), sampler=RandomSampler())

    @property
    def most(self) -> int | None:
        """How many trials there are at most; None where there is no end of them."""
        return None if self._grid is None else len(self._grid)

    def ask(self, known: Mapping[str, Value] | None) -> dict[str, Value]:
        """What the next trial tries.

        Args:
            known: What it was given when it was asked for the first time; None for a new one. It
                is given the same again, also by another version of Optuna or another processor.
        """
        number = len(self._study.trials)
        self._study.sampler = _sampler(self._name, _seed_of(self._seed, number))
        if known is None and self._grid is not None:
            known = self._grid[number]
        if known is not None:
            self._study.enqueue_trial(dict(known))
        return dict(self._study.ask(dict(self._space.distributions)).params)

    def tell(self, number: int, values: Sequence[float] | None) -> None:
        """Tell the result of a trial; None: it failed."""
        if values is None:
            self._study.tell(number, state=TrialState.FAIL)
        else:
            self._study.tell(number, list(values))


def _sampler(name: SamplerName, seed: int) -> BaseSampler:
    """A new one for each trial: none keeps a state besides that of the study."""
    if name == "tpe":
        return TPESampler(seed=seed)
    if name == "cmaes":
        return CmaEsSampler(seed=seed, warn_independent_sampling=False)
    return RandomSampler(seed=seed)  # nothing is left to it by a grid


def _seed_of(seed: int, number: int) -> int:
    return int(np.random.SeedSequence((seed, number)).generate_state(1)[0])


def _check_cmaes(space: Space, directions: Sequence[Direction]) -> None:
    choices = [k for k, d in space.distributions.items() if isinstance(d, CategoricalDistribution)]
    reason = (
        f"it searches numbers only, and {choices[0]} is a choice"
        if choices
        else "it searches two settings or more"
        if len(space.distributions) < 2
        else "it has one objective"
        if len(directions) > 1
        else None
    )
    if reason is not None:
        raise ConfigError(f"hydra.sweeper.sampler=cmaes: {reason}; use tpe")
