"""What a sweep consists of: single runs, and which of them starts from which."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from cage_lightning.app.schema import name_choices
from cage_lightning.app.sweeps import automatic_tag, chosen_by_sweep, chosen_by_wandb
from cage_lightning.errors import ConfigError
from cage_lightning.runs.folder import RunFolder, run_of
from cage_lightning.runs.pruning import PRUNING, read_pruned, read_pruning
from cage_lightning.system.paths import local_path

# For a job that comes after the one it starts from: that has ended, well or not.
SHORT_WAIT = "init_wait_s=1"


def interpreter() -> list[str]:
    """Python for the jobs, which search the current folder for code only if this process does."""
    by_console_script = sys.modules["__main__"].__spec__ is None
    return [sys.executable, *["-P"] * (by_console_script or sys.flags.safe_path)]


@dataclass(frozen=True)
class Planned:
    """A job of a sweep.

    Attributes:
        number: In the sweep.
        overrides: What the sweep says of it, and the tag that this gives its run.
        label: What tells it from the other jobs.
        task: Its own config; resolved for a training.
        launcher: The settings of the launcher, by its own config.
        folder: Where a training leaves its results; None for anything else.
        starts_from: The run whose weights it starts from, of this sweep or not.
        finished: Whether its results are there already, or the search has pruned it before.
    """

    number: int
    overrides: Sequence[str]
    label: str
    task: DictConfig
    launcher: Mapping[str, Any]
    folder: RunFolder | None
    starts_from: RunFolder | None
    finished: bool


def plan(
    config: DictConfig, loader: ConfigLoader, job_overrides: Sequence[Sequence[str]], first: int
) -> list[Planned]:
    """The jobs of a sweep in its order, except that a job comes after the one it starts from.

    Args:
        config: The config of the sweep.
        loader: Composes the config of a job.
        job_overrides: For each job, what the sweep says.
        first: The number of the first job.

    Raises:
        ConfigError: Two jobs would share a run folder, jobs start from each other, or a finished
            run has another config.
    """
    common = set(job_overrides[0]).intersection(*job_overrides) if len(job_overrides) > 1 else set()
    jobs: list[Planned] = []
    owners: dict[RunFolder, Planned] = {}
    for number, overrides in enumerate(job_overrides, first):
        composed = loader.load_sweep_config(config, list(overrides))
        HydraConfig.instance().set_config(composed)
        launcher: Any = OmegaConf.to_container(composed.hydra.launcher, resolve=True)
        task = _without_hydra(composed)
        name_choices(task)
        tag = _tag(config, task, overrides)
        if tag is not None:
            task.tag = tag
        folder = _folder(task)
        if folder is not None:
            task.run_dir = str(folder.path)
            OmegaConf.resolve(task)  # while ${hydra:...} is that of this job
        start = OmegaConf.select(task, "init_from")
        job = Planned(
            number=number,
            overrides=overrides if tag is None else [*overrides, f"tag={tag}"],
            label=" ".join(_told(overrides, common)) or f"job {number}",
            task=task,
            launcher=launcher,
            folder=folder,
            starts_from=run_of(local_path("init_from", start)) if folder and start else None,
            finished=folder is not None and (folder.finished or _pruned_before(task, folder)),
        )
        if folder is not None and owners.setdefault(folder, job) is not job:
            raise ConfigError(
                f"{owners[folder].label} and {job.label} would both be {folder.path}: leave tag= "
                "away, and what is swept becomes the tag; or give each one of its own"
            )
        jobs.append(job)
    for job in jobs:
        if job.folder is not None and job.finished:
            job.folder.claim(job.task)  # refuses another config under its name
    # However the start was written, it is the folder of that job.
    places = {folder.path.absolute(): folder for folder in owners}
    return _ordered(
        [
            replace(job, starts_from=places.get(job.starts_from.path.absolute(), job.starts_from))
            if job.starts_from
            else job
            for job in jobs
        ]
    )


def _told(overrides: Sequence[str], common: Collection[str]) -> Iterator[str]:
    """The overrides that tell a job from the other ones."""
    for one in overrides:
        if one not in common and one.partition("=")[0] != PRUNING:
            yield one


def _pruned_before(task: DictConfig, folder: RunFolder) -> bool:
    """Whether the same trial of a search was pruned before this process was started."""
    if task.pruning is None:
        return False
    pruned = read_pruned(folder)
    return pruned is not None and pruned.pruning == read_pruning(task.pruning)


def _without_hydra(composed: DictConfig) -> DictConfig:
    """The config of a job itself; nothing is copied, which would take longer than to compose it."""
    with open_dict(composed):
        del composed["hydra"]
    return composed


def _ordered(jobs: Sequence[Planned]) -> list[Planned]:
    """The same jobs, each after the one it starts from."""
    left, placed = list(jobs), list[Planned]()
    while left:
        unplaced = {job.folder for job in left} - {None}
        job = next((job for job in left if job.starts_from not in unplaced), None)
        if job is None:
            raise ConfigError(f"{left[0].label} would start from a run that starts from it")
        left.remove(job)
        placed.append(job)
    return placed


def _tag(config: DictConfig, task: DictConfig, overrides: Sequence[str]) -> str | None:
    """The tag of a training that was given none."""
    if not _keeps_something(task) or task.tag is not None:
        return None
    return automatic_tag(
        task, chosen_by_wandb(overrides) | chosen_by_sweep(config.hydra, overrides)
    )


def _folder(task: DictConfig) -> RunFolder | None:
    """The run folder of a training that keeps something."""
    return RunFolder.of(task) if _keeps_something(task) else None


def _keeps_something(task: DictConfig) -> bool:
    """Whether this is the config of a training, and not one of a single batch."""
    return OmegaConf.is_missing(task, "run_dir") and not task.trainer.fast_dev_run
