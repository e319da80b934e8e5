"""`dry=true` with `-m`: the jobs of a sweep, and how long they would take; none is started."""

from __future__ import annotations

import heapq
import platform
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from cage_lightning.commands.dry_run import device_here, look_ahead, threads_of_a_job
from cage_lightning.commands.outlook import Job, Outlook, Wall, show
from cage_lightning.errors import ConfigError
from cage_lightning.report.searches import FOLDER, read_search
from cage_lightning.runs.rates import Device
from cage_lightning.system.paths import local_path
from hydra_plugins.cage_launcher._plan import Planned, plan
from hydra_plugins.cage_launcher._slots import Slots, devices_needed

_GRID = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
_SEARCH = "hydra_plugins.cage_search.sweeper.OptunaSweeper"


def end_with_dry_run(
    config: DictConfig,
    loader: ConfigLoader,
    slots: Slots | None,
    devices_per_job: int | None = None,
) -> NoReturn:
    """Print what a sweep would do, and end this process with exit code 0.

    A launcher calls it before Hydra's sweeper writes its first file.

    Args:
        config: The config of the sweep.
        loader: Composes the config of a job.
        slots: Where the jobs would run; None: in the queue of a cluster.
        devices_per_job: None: what the job's trainer asks for.

    Raises:
        ConfigError: The sweeper is one whose jobs are not known beforehand, or the jobs cannot run
            as they are.
    """
    sweeper, lines = config.hydra.sweeper, _lines(config)
    if sweeper._target_ == _SEARCH:
        _show_search(config, loader, lines, slots, devices_per_job)
    elif sweeper._target_ == _GRID:
        parser = OverridesParser.create(config_loader=loader)
        (jobs,) = BasicSweeper.split_arguments(parser.parse_overrides(lines), None)
        planned = plan(config, loader, jobs, 0)
        outlooks, notes = look_ahead([_job(one, slots, devices_per_job) for one in planned])
        show(outlooks, _wall(outlooks, slots), notes)
    else:
        raise ConfigError(
            f"dry=true: {sweeper._target_} chooses the jobs while it runs; they are known "
            "beforehand of a grid, and of hydra/sweeper=optuna how many there are"
        )
    sys.exit(0)


def _lines(config: DictConfig) -> list[str]:
    """What is swept: the params of the sweeper, and after them the command line."""
    typed: Any = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)
    params = config.hydra.sweeper.get("params") or {}
    return [*(f"{key}={value}" for key, value in params.items()), *typed]


def _job(planned: Planned, slots: Slots | None, devices_per_job: int | None) -> Job:
    return Job(
        label=planned.label,
        overrides=planned.overrides,
        task=planned.task,
        folder=planned.folder,
        starts_from=planned.starts_from,
        device=_device(planned, slots, devices_per_job),
    )


def _device(planned: Planned, slots: Slots | None, devices_per_job: int | None) -> Device:
    trainer = planned.task.trainer
    if slots is None:  # the machine of the jobs is another one
        count = int(trainer.devices) if str(trainer.devices).isdigit() else 1
        kind = "cpu" if trainer.accelerator == "cpu" else "cuda"
        return Device(kind, None, count * trainer.num_nodes)
    there = len(slots.devices)
    count = devices_needed(trainer.accelerator, devices_per_job or trainer.devices, there)
    if count > there:
        raise ConfigError(f"{planned.label} needs {count} devices and there are {there}")
    if count == 0:
        processes = int(trainer.devices) if str(trainer.devices).isdigit() else 1
        threads = threads_of_a_job(slots.threads)
        return Device("cpu", platform.machine(), processes * trainer.num_nodes, threads)
    return Device("cuda", device_here(planned.task).name, count)


def _wall(outlooks: Sequence[Outlook], slots: Slots | None) -> Wall | None:
    """How long the jobs of known time take together."""
    left = [one for one in outlooks if one.is_left]
    if not any(one.seconds for one in left):
        return None
    if slots is None:
        return Wall(makespan(outlooks, None), "if the cluster runs all of them at once")
    places = []
    if any(one.job.device.type == "cpu" for one in left):
        places.append(f"places on the CPU: {slots.cpu_slots}")
    if any(one.job.device.type == "cuda" for one in left):
        places.append(f"GPUs: {len(slots.devices)}")
        if slots.jobs_per_device > 1:
            places.append(f"jobs on each: {slots.jobs_per_device}, as fast as alone")
    return Wall(makespan(outlooks, slots), ", ".join(places))


def makespan(outlooks: Sequence[Outlook], slots: Slots | None) -> float:
    """When the last job ends, in seconds, if they start as the launcher starts them.

    Args:
        outlooks: Of the jobs, each after the one it starts from. One of unknown time takes none.
        slots: Their places; None: as many as are asked for.
    """
    waiting = [one for one in outlooks if one.is_left]
    ends: dict[Any, float] = {}
    running: list[tuple[float, int, Outlook, list[str]]] = []
    now, number = 0.0, 0
    while waiting or running:
        for one in [one for one in waiting if _can_start(one, waiting, running)]:
            count = one.job.device.count if one.job.device.type == "cuda" else 0
            places = [] if slots is None else slots.take(count)
            if places is None:
                break
            waiting.remove(one)
            number += 1
            heapq.heappush(running, (now + (one.seconds or 0.0), number, one, places))
        now, _, ended, places = heapq.heappop(running)
        ends[ended.job.name] = now
        if slots is not None:
            slots.give_back(places)
    return now


def _can_start(
    one: Outlook,
    waiting: Sequence[Outlook],
    running: Sequence[tuple[float, int, Outlook, list[str]]],
) -> bool:
    left = [*waiting, *(entry[2] for entry in running)]
    start = one.job.starts_from
    return start is None or all(start != other.job.folder for other in left)


def _show_search(
    config: DictConfig,
    loader: ConfigLoader,
    lines: Sequence[str],
    slots: Slots | None,
    devices_per_job: int | None,
) -> None:
    """Say how many trials a search has, how many have ended, and how long one takes."""
    try:
        from hydra_plugins.cage_search._space import space_of
    except ImportError as error:
        raise ConfigError(
            f"hydra/sweeper=optuna: {error}; pip install 'cage-lightning[search]'"
        ) from error
    parser = OverridesParser.create(config_loader=loader)
    space = space_of(parser.parse_overrides(list(lines)))
    [planned] = plan(config, loader, [space.overrides(space.example())], 0)
    outlooks, notes = look_ahead([_job(planned, slots, devices_per_job)])
    sweeper = config.hydra.sweeper
    trials, ended = sweeper.n_trials, _ended(planned.task, sweeper.study_name)
    show(
        outlooks,
        None,
        [
            f"a search of {trials} trials at most, of which {ended} have ended; this is an example "
            "of the others. Which settings they get, the results decide",
            *_of_trials(outlooks[0], max(0, trials - ended)),
            *notes,
        ],
    )


def _ended(task: DictConfig, study: object) -> int:
    """How many trials of a search have ended, as its table says; 0 where there is none."""
    root = local_path("runs", task.runs)
    table = root / task.group / FOLDER / f"{study}.csv"
    if not table.is_file():
        return 0
    return sum(
        count for state, count in read_search(root, table).counts.items() if state != "running"
    )


def _of_trials(one: Outlook, trials: int) -> list[str]:
    if one.seconds is None or not trials:
        return []
    hours = one.seconds * one.job.device.count * trials / 3600
    kind = "GPU" if one.job.device.type == "cuda" else "CPU"
    return [f"about {hours:.2f} {kind} hours for {trials} trials like this one"]
