"""What a sampler of Optuna suggests, as a function of position.

A suggestion depends on nothing but the seed, the number of the trial, and the trials before it:
those whose results were told, and those that run beside it. So a search that was killed is given
again what it has had, and goes on to what an undisturbed one is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import optuna
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, Trial, TrialState

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
        self._asked: list[Trial] = []

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
        if known is None and self._grid is not None:
            known = self._grid[number]
        sampler = _sampler(self._name, _seed_of(self._seed, number))
        self._study.sampler = sampler if known is None else _Knowing(sampler, known)
        self._asked.append(self._study.ask(dict(self._space.distributions)))
        return dict(self._asked[-1].params)

    def tell(
        self, number: int, values: Sequence[float] | None, pruned: Sequence[float] = ()
    ) -> None:
        """Tell the result of a trial.

        Args:
            number: Of the trial.
            values: Those of the objectives; None: it failed, or was pruned.
            pruned: The validations of one that was pruned.
        """
        if pruned:
            for step, value in enumerate(pruned, 1):
                self._asked[number].report(value, step)
            self._study.tell(number, state=TrialState.PRUNED)
        elif values is None:
            self._study.tell(number, state=TrialState.FAIL)
        else:
            self._study.tell(number, list(values))


class _Knowing(BaseSampler):  # type: ignore[misc]  # of an extra
    """A sampler whose suggestions are known: it does all that it would do, and has the known ones.

    What `Study.enqueue_trial` is given does not reach the state of CMA-ES.
    """

    def __init__(self, sampler: BaseSampler, known: Mapping[str, Value]) -> None:
        self._sampler, self._known = sampler, known

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        space: dict[str, BaseDistribution] = self._sampler.infer_relative_search_space(study, trial)
        return space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        suggested: dict[str, Any] = self._sampler.sample_relative(study, trial, search_space)
        return {name: self._known[name] for name in suggested}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, _: BaseDistribution
    ) -> Any:
        return self._known[param_name]

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._sampler.before_trial(study, trial)


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
