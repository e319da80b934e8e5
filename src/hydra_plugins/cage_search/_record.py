"""The file of a search: Optuna's journal, of which nothing is believed that the space refuses.

A trial is written with all its settings before it runs, and its result when its turn to be told has
come. Each is one line: a kill leaves it out, or whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from cage_lightning.errors import ConfigError, DataError, first_line
from cage_lightning.system.atomic import Held, NoLocks, locked
from cage_lightning.system.paths import refuse_outside
from cage_lightning.system.storage import not_writable, room_for
from hydra_plugins.cage_search._space import Space, Value
from hydra_plugins.cage_search._suggestions import Direction

_SEARCH = "search"  # the attribute that says which search this is
_RUN = "run"  # that of a trial: its run folder
_FEWEST = 8  # finished trials, to tell what is important
_BEST = 0.25  # the share of the trials that count as good


@dataclass(frozen=True)
class Trial:
    """A trial of the record.

    Attributes:
        chosen: Its settings.
        ended: Whether its result was told.
        values: Those of the objectives; None while it has not ended, and where it failed or was
            pruned.
        run: Its run folder, as far as it is known.
        curve: The monitored value of every validation of a trial that could be pruned, NaN where it
            is not finite.
        pruned: Whether it was pruned after the last of these.
    """

    chosen: dict[str, Value]
    ended: bool = False
    values: tuple[float, ...] | None = None
    run: str = ""
    curve: tuple[float, ...] = ()
    pruned: bool = False


class _NoLock:
    """In place of a lock of Optuna's, which a kill would leave behind: `opened` holds one."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None: ...


class Record:
    """The trials of one search; see `opened`."""

    def __init__(
        self,
        path: Path,
        space: Space,
        directions: Sequence[Direction],
        identity: Mapping[str, Any],
    ) -> None:
        self.path, self._space, self._directions = path, space, directions
        _drop_torn_line(path)
        try:
            backend = JournalFileBackend(str(path), _NoLock())
            self._storage = JournalStorage(backend)
            if not self._storage.get_all_studies():
                optuna.create_study(
                    storage=self._storage, study_name=_SEARCH, directions=list(directions)
                )
            self._study = optuna.load_study(study_name=_SEARCH, storage=self._storage)
            known = self._study.user_attrs.get(_SEARCH)
            trials = self._study.trials
            if len(self._study.directions) != len(directions):
                raise ValueError("it has another number of objectives")
        except OSError:
            raise
        except Exception as error:  # whatever Optuna makes of its content
            raise DataError(
                f"{path} is no record of a search ({type(error).__name__}: {first_line(error)})"
            ) from error
        if known is None and not trials:
            self._study.set_user_attr(_SEARCH, dict(identity))
        else:
            _check_same(path, known, identity)
        self.trials = [self._checked(trial) for trial in trials]

    def begin(self, chosen: Mapping[str, Value]) -> None:
        """Write down a trial that is about to run."""
        trial = create_trial(
            state=TrialState.RUNNING,
            params=dict(chosen),
            distributions=dict(self._space.distributions),
        )
        trial.datetime_start = datetime.now(UTC)
        self._study.add_trial(trial)
        self.trials.append(Trial(dict(chosen)))

    def end(
        self,
        number: int,
        values: Sequence[float] | None,
        run: str,
        curve: Sequence[float] = (),
        pruned: bool = False,
    ) -> None:
        """Write down the result of a trial.

        Args:
            number: Of the trial.
            values: Those of the objectives; None: it failed, or was pruned.
            run: Its run folder.
            curve: Its validations.
            pruned: Whether it was pruned.
        """
        study = self._storage.get_study_id_from_name(_SEARCH)
        trial = self._storage.get_trial_id_from_study_id_trial_number(study, number)
        if self.trials[number].run != run:
            self._storage.set_trial_user_attr(trial, _RUN, run)
        noted = self._storage.get_trial(trial).intermediate_values  # before a kill
        for step, value in enumerate(curve, 1):
            if step not in noted:
                self._storage.set_trial_intermediate_value(trial, step, value)
        if values is None:
            self._study.tell(number, state=TrialState.PRUNED if pruned else TrialState.FAIL)
        else:
            self._study.tell(number, list(values))
        told = None if values is None else tuple(values)
        chosen = self.trials[number].chosen
        self.trials[number] = Trial(chosen, True, told, run, tuple(curve), pruned)

    def best(self) -> list[int]:
        """The numbers of the best trials: of those that no other one beats in every objective."""
        return sorted(trial.number for trial in self._study.best_trials)

    def reached(self, number: int) -> Sequence[float | None]:
        """The values of a trial; of one that was pruned the best value of its validations."""
        trial = self.trials[number]
        if trial.values is not None:
            return trial.values
        finite = [value for value in trial.curve if math.isfinite(value)]
        better = max if self._directions[0] == "maximize" else min
        return [better(finite)] if finite else [None] * len(self._directions)

    def about_settings(self) -> dict[str, dict[str, Any]]:
        """Of each setting the scale it is searched on, and its importance where there is one."""
        shares = self._importance()
        return {
            key: {"scale": "log" if getattr(distribution, "log", False) else "linear"}
            | ({"importance": shares[key]} if key in shares else {})
            for key, distribution in self._space.distributions.items()
        }

    def _importance(self) -> dict[str, float]:
        """How much each setting decides whether a trial is among the best quarter; 1 together.

        The source is PED-ANOVA (Watanabe et al., IJCAI 2023), as Optuna has it. Too few trials have
        none, and settings with a single value.
        """
        if sum(trial.values is not None for trial in self.trials) < _FEWEST:
            return {}
        evaluator = PedAnovaImportanceEvaluator(target_quantile=_BEST)
        found: dict[str, float] = get_param_importances(self._study, evaluator=evaluator)
        return found

    def _checked(self, trial: FrozenTrial) -> Trial:
        """A trial of the file, which may come from anyone, if it is one of this search."""
        values = None if trial.values is None else tuple(trial.values)
        fits = (
            trial.distributions == dict(self._space.distributions)
            and trial.params.keys() == self._space.distributions.keys()
            and all(_within(d, trial.params[k]) for k, d in self._space.distributions.items())
        )
        ended = trial.state in (TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED)
        complete, pruned = (trial.state == s for s in (TrialState.COMPLETE, TrialState.PRUNED))
        steps = sorted(trial.intermediate_values)
        whole = steps == [*range(1, len(steps) + 1)] and bool(steps) >= pruned
        numbers = values is not None and all(math.isfinite(value) for value in values)
        right = numbers and len(values or ()) == len(self._directions) if complete else True
        if not (fits and right and whole and (ended or trial.state == TrialState.RUNNING)):
            raise DataError(f"{self.path}: trial {trial.number} is none of this search")
        run = str(trial.user_attrs.get(_RUN, ""))
        curve = tuple(trial.intermediate_values[step] for step in steps) if ended else ()
        return Trial(dict(trial.params), ended, values if complete else None, run, curve, pruned)


@contextmanager
def opened(
    path: Path, space: Space, directions: Sequence[Direction], identity: Mapping[str, Any]
) -> Iterator[Record]:
    """Open the record of a search, or begin one; another process that writes it is waited for.

    Args:
        path: The file.
        space: What is searched.
        directions: One for each objective.
        identity: What makes it the same search: plain containers.

    Raises:
        ConfigError: The file holds another search, or cannot be locked or written.
        DataError: The file is none of a search, or a link that leads out of its folder.
    """
    lock = path.with_suffix(".lock")
    with ExitStack() as held, room_for(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            refuse_outside(path.parent, path)
            try:
                held.enter_context(locked(lock, wait=False))
            except Held:
                print(f"waiting for another process that holds {lock}", flush=True)
                held.enter_context(locked(lock))
            record = Record(path, space, directions, identity)
        except NoLocks as error:
            raise ConfigError(
                f"the file system of {path} has no locks ({error.strerror}): choose another one "
                "with runs=DIR"
            ) from error
        except OSError as error:
            raise not_writable(path.parent, error, "runs=DIR") from error
        yield record


def _drop_torn_line(path: Path) -> None:
    """Drop what a crash of the machine, or a full disk, has left of a line."""
    if not path.is_file():
        return
    with path.open("rb+") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)


def _check_same(path: Path, known: object, identity: Mapping[str, Any]) -> None:
    there = known if isinstance(known, dict) else {}
    differing = [
        f"{key} is {identity.get(key, 'absent')!r} here and {there.get(key, 'absent')!r} there"
        for key in {**identity, **there}
        if there.get(key) != identity.get(key)
    ]
    if differing:
        raise ConfigError(
            f"{path} holds another search: {'; '.join(differing)} - give this one a name of its "
            "own with hydra.sweeper.study_name=NAME or group=NAME"
        )


def _within(distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    low, high = getattr(distribution, "low", math.nan), getattr(distribution, "high", math.nan)
    return bool(low <= value <= high)
