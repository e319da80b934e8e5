"""What Hydra sees: it imports this file at its start, with the extra `search` or without."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, ListConfig

from cage_lightning.errors import ConfigError, check_choice
from cage_lightning.report.searches import FOLDER
from cage_lightning.runs.identity import EXECUTION
from cage_lightning.runs.objective import MONITOR, TrialResult, check_searchable, objectives
from cage_lightning.runs.pruning import PRUNING, Pruning
from cage_lightning.system.paths import local_path

if TYPE_CHECKING:
    from hydra_plugins.cage_search._pruners import Pruner, PrunerName
    from hydra_plugins.cage_search._record import Record
    from hydra_plugins.cage_search._search import Outcome
    from hydra_plugins.cage_search._space import Space, Value
    from hydra_plugins.cage_search._suggestions import Direction, SamplerName


_RESTARTS = 2  # of a job that was killed


class OptunaSweeper(Sweeper):
    """Search settings of a training; each trial is a run folder.

    Args:
        params: What is searched, by key.
        n_trials: How many trials there shall be.
        n_jobs: How many are chosen at a time.
        sampler: Who chooses them.
        seed: That of the sampler.
        direction: `minimize` or `maximize`, or a list; None: that of `monitor.mode`.
        study_name: That of the files of the search.
        pruner: Who gives up trials before their end.
        pruning: The settings of the pruner.
    """

    def __init__(
        self,
        params: DictConfig | None,
        n_trials: int,
        n_jobs: int,
        sampler: SamplerName,
        seed: int,
        direction: str | ListConfig | None,
        study_name: str,
        pruner: PrunerName,
        pruning: DictConfig | None,
    ) -> None:
        self._params = {str(key): value for key, value in (params or {}).items()}
        self._n_trials, self._n_jobs = n_trials, n_jobs
        self._sampler: SamplerName = sampler
        self._seed, self._direction, self._study_name = seed, direction, str(study_name)
        self._pruner_name: PrunerName = pruner
        self._pruning = {str(key): value for key, value in (pruning or {}).items()}

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take what Hydra knows of the sweep."""
        self._config, self._loader = config, hydra_context.config_loader
        self._launched = 0  # numbers the logs of the jobs
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Search, or go on with a search.

        Args:
            arguments: The overrides of the command line.

        Raises:
            CageError: The search is not possible as it is, or none of its trials has a result.
        """
        try:
            from hydra_plugins.cage_search import (
                _pruners,
                _record,
                _search,
                _space,
                _suggestions,
            )
        except ImportError as error:
            raise ConfigError(
                f"hydra/sweeper=optuna: {error}; pip install 'cage-lightning[search]'"
            ) from error
        self._check(get_args(_suggestions.SamplerName))
        lines = [*(f"{key}={value}" for key, value in self._params.items()), *arguments]
        parser = OverridesParser.create(config_loader=self._loader)
        space = _space.space_of(parser.parse_overrides(lines))
        task = self._task(space.overrides(space.example()))
        names, directions = _objectives(task, self._direction)
        pruner = _pruners.Pruner(
            *(self._pruner_name, self._pruning, self._seed, directions[0], self._n_jobs)
        )
        if self._pruner_name != "none":
            _check_prunable(self._pruner_name, names)
        suggestions = _suggestions.Suggestions(space, self._sampler, self._seed, directions)
        folder = local_path("runs", task.runs) / task.group / FOLDER
        path = folder / f"{self._study_name}.journal"
        identity = self._identity(space, directions, pruner)
        with _record.opened(path, space, directions, identity) as record:

            def run(trials: Mapping[int, Mapping[str, Value]]) -> list[Outcome]:
                return self._run(
                    [
                        [*space.overrides(chosen), *self._compared(pruner, record, number, task)]
                        for number, chosen in trials.items()
                    ]
                )

            _search.search(record, suggestions, self._n_trials, self._n_jobs, names, run)
            print(_search.summary(record, names), flush=True)

    def _check(self, samplers: Sequence[str]) -> None:
        check_choice("hydra.sweeper.sampler", self._sampler, samplers)
        for key, value in (("n_trials", self._n_trials), ("n_jobs", self._n_jobs)):
            if not isinstance(value, int) or value < 1:
                raise ConfigError(
                    f"hydra.sweeper.{key}={value}: a whole number from 1 on is needed"
                )
        if not isinstance(self._seed, int) or self._seed < 0:
            raise ConfigError(
                f"hydra.sweeper.seed={self._seed}: a whole number from 0 on is needed"
            )
        if not re.fullmatch(r"[\w-][\w.-]*", self._study_name):
            raise ConfigError(
                f"hydra.sweeper.study_name={self._study_name} cannot be the name of a file"
            )

    def _task(self, overrides: Sequence[str]) -> DictConfig:
        """The config of a trial."""
        task = self._loader.load_sweep_config(self._config, list(overrides))
        HydraConfig.instance().set_config(task)
        if "objective" not in task:
            raise ConfigError(
                "hydra/sweeper=optuna searches settings of train, not of this command"
            )
        return task

    def _compared(
        self, pruner: Pruner, record: Record, number: int, task: DictConfig
    ) -> Iterator[str]:
        """Write down what a trial is compared with; the setting that names the file."""
        if self._pruner_name == "none":
            return
        pruning = Pruning(
            search=f"{task.group}/{self._study_name}",
            trial=number,
            mode=pruner.mode,
            compared=pruner.compared,
            bounds=pruner.bounds(number, record.trials),
        )
        file = record.path.with_suffix("") / f"{number}.json"
        pruning.write(file)
        quoted = str(file).replace("'", r"\'")
        yield f"{PRUNING}='{quoted}'"

    def _identity(
        self, space: Space, directions: Sequence[Direction], pruner: Pruner
    ) -> dict[str, Any]:
        """What makes it the same search; the number of trials may grow."""
        settings = [
            one for one in space.fixed if one.lstrip("+~").partition("=")[0] not in EXECUTION
        ]
        identity = {
            "searched": " ".join(f"{key}={text}" for key, text in space.searched.items()),
            "settings": " ".join(sorted(settings)),
            "sampler": self._sampler,
            "seed": self._seed,
            "n_jobs": self._n_jobs,
            "direction": " ".join(directions),
        }
        if self._pruner_name == "none":  # as in records of older versions
            return identity
        rule = [f"{key}={value}" for key, value in pruner.settings.items() if value is not None]
        return identity | {"pruner": " ".join([self._pruner_name, *rule])}

    def _run(self, jobs: Sequence[Sequence[str]]) -> list[Outcome]:
        """Run trials on the launcher; one that fails ends none of the others, nor the search.

        One that is killed from outside goes on where it was; it fails when that happens again and
        again, as where the memory does not suffice.
        """
        outcomes, killed = self._launch(jobs)
        for _ in range(_RESTARTS):
            if not killed:
                break
            print(f"{len(killed)} of these were killed, and start again", flush=True)
            again, left = self._launch([jobs[index] for index in killed])
            outcomes |= {killed[index]: outcome for index, outcome in again.items()}
            killed = [killed[index] for index in left]
        return [outcomes[index] for index in range(len(jobs))]

    def _launch(self, jobs: Sequence[Sequence[str]]) -> tuple[dict[int, Outcome], list[int]]:
        """What came of the jobs, by index, and which were killed."""
        returned = self._launcher.launch(jobs, initial_job_idx=self._launched)
        self._launched += len(jobs)
        outcomes, reports = zip(*map(_outcome, returned), strict=True)
        for report in dict.fromkeys(report for report in reports if report):
            print(report, flush=True)
        killed = [index for index, job in enumerate(returned) if getattr(job, "killed", False)]
        return dict(enumerate(outcomes)), killed


def _check_prunable(pruner: str, names: Sequence[str]) -> None:
    if names != (MONITOR,):
        raise ConfigError(
            f"hydra.sweeper.pruner={pruner} compares validations by monitor.metric, and the "
            f"objective is {', '.join(names)}: choose objective={MONITOR}, or pruner=none"
        )


def _objectives(
    task: DictConfig, direction: str | Sequence[str] | None
) -> tuple[Sequence[str], Sequence[Direction]]:
    """The names of the objectives, and the direction of each."""
    names = objectives(task)
    check_searchable(task)
    if direction is None and names == (MONITOR,):
        return names, ["maximize" if task.monitor.mode == "max" else "minimize"]
    given = [direction] if isinstance(direction, str) else list(direction or ())
    if len(given) != len(names):
        raise ConfigError(
            f"hydra.sweeper.direction={direction}: give one for each objective, of which there are "
            f"{len(names)}: {', '.join(names)}"
        )
    return names, [_direction(one) for one in given]


def _direction(given: str) -> Direction:
    check_choice("hydra.sweeper.direction", given, ("minimize", "maximize"))
    return "maximize" if given == "maximize" else "minimize"


def _outcome(job: JobReturn) -> tuple[Outcome, str]:
    """What came of a trial, and why it failed."""
    from hydra_plugins.cage_search._search import Outcome

    run = job.working_dir or ""
    try:
        value = job.return_value
    except Exception as error:
        return Outcome(None, run), str(error)
    if isinstance(value, TrialResult):
        return Outcome(_listed(value.value), run, value.validations, value.pruned), ""
    return Outcome(_listed(value), run), ""


def _listed(value: float | list[float] | None) -> tuple[float, ...] | None:
    if value is None:
        return None
    return tuple(value) if isinstance(value, list) else (value,)
