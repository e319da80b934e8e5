"""`dry=true`: what a command would do and how long it would take. Nothing is started or written."""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from cage_lightning.app.cli import multirun, typed_overrides
from cage_lightning.app.sweeps import automatic_tag, chosen_for_this_process
from cage_lightning.commands.outlook import UNKNOWN, Job, Outlook, State, Wall, show
from cage_lightning.commands.sample_counts import sample_counts
from cage_lightning.errors import CageError, ConfigError
from cage_lightning.runs.estimate import Extent, extent_of, limited, seconds
from cage_lightning.runs.folder import RunFolder, run_of
from cage_lightning.runs.measured import OF_THE_CONTENT, of_run, read_measured
from cage_lightning.runs.naming import name_of
from cage_lightning.runs.rates import Device, Measured, Rates, Workload, rates_for
from cage_lightning.system.archives import check_archive
from cage_lightning.system.atomic import is_held
from cage_lightning.system.machine import usable_cpus
from cage_lightning.system.paths import local_path

_LAUNCHER = "dry=true: the jobs of a sweep are known to hydra/launcher=gpus and to slurm"

# What `benchmark` takes of the command line of a training, besides what is always said.
_OF_SPEED = ("data.", "model.", "trainer.", "augment.", "local.", "runs=", "sam=", "compile=")


def dry_run_of_one(config: DictConfig) -> None:
    """Print what a single training would do.

    Args:
        config: Of the training.

    Raises:
        CageError: The run folder holds a run with another config, or cannot be named; or this is a
            job of a sweep, for which another launcher answers.
    """
    if multirun():
        raise ConfigError(_LAUNCHER)
    if config.tag is None:
        config.tag = automatic_tag(config, chosen_for_this_process())
    folder = None if config.trainer.fast_dev_run else RunFolder.of(config)
    config.run_dir = str(RunFolder.of(config).path)
    start = run_of(local_path("init_from", config.init_from)) if config.init_from else None
    job = Job("this run", typed_overrides(), config, folder, start, device_here(config))
    outlooks, notes = look_ahead([job])
    left = [one.seconds for one in outlooks if one.is_left and one.seconds is not None]
    show(outlooks, Wall(left[0], "") if left else None, notes)


def dry_run_of_evaluation(config: DictConfig) -> None:
    """Print what a single evaluation would do.

    Raises:
        ConfigError: This is a job of a sweep, for which another launcher answers.
    """
    if multirun():
        raise ConfigError(_LAUNCHER)
    label = f"{config.checkpoint} on {config.choices.data}"
    outlooks, notes = look_ahead([Job(label, [], config, None, None, device_here(config))])
    show(outlooks, None, notes)


def device_here(config: DictConfig) -> Device:
    """What a command in this process would run on."""
    import torch

    trainer = config.trainer
    if trainer.accelerator == "cpu" or not torch.cuda.is_available():
        count = int(trainer.devices) if str(trainer.devices).isdigit() else 1
        return Device("cpu", platform.machine(), count * trainer.num_nodes, threads_of_a_job())
    count = trainer.devices
    count = int(count) if str(count).isdigit() else torch.cuda.device_count()
    return Device("cuda", torch.cuda.get_device_name(0), count * trainer.num_nodes)


def threads_of_a_job(share: int | None = None) -> int:
    """With how many threads a process computes on the CPU.

    Args:
        share: How many it is given where OMP_NUM_THREADS does not say so; None: all.
    """
    said = os.environ.get("OMP_NUM_THREADS", "")
    return int(said) if said.isdigit() and int(said) else share or usable_cpus()


def look_ahead(jobs: Sequence[Job]) -> tuple[list[Outlook], list[str]]:
    """Return what is known of the jobs, in their order, and what to say besides.

    Raises:
        ConfigError: The run folder of one holds a run with another config.
    """
    known, notes = _known(jobs)
    planned = {job.folder for job in jobs if job.folder is not None}
    commands: dict[tuple[Workload, Device], str] = {}
    return [_outlook(job, known, planned, commands) for job in jobs], notes


def _known(jobs: Sequence[Job]) -> tuple[dict[Path, list[Measured]], list[str]]:
    """What has been measured, below each folder of runs that the jobs have."""
    networks: dict[Path, set[str]] = {}
    for job in jobs:
        if "runs" in job.task:
            place = local_path("runs", job.task.runs)
            networks.setdefault(place, set()).add(name_of(job.task.choices.model))
    known: dict[Path, list[Measured]] = {}
    notes: list[str] = []
    for place, names in networks.items():
        known[place], ignored = read_measured(place, names)
        notes += ignored
    return known, notes


def _outlook(
    job: Job,
    known: Mapping[Path, Sequence[Measured]],
    planned: set[RunFolder],
    commands: dict[tuple[Workload, Device], str],
) -> Outlook:
    if "objective" not in job.task:
        return _outlook_of_evaluation(job)
    if job.folder is None:
        return Outlook(job, "new", "keeps nothing: trainer.fast_dev_run", None, "not estimated")
    state, about, steps = _state(job, job.folder, planned)
    if state == "finished":
        return Outlook(job, state, about, 0.0, "")
    settings: Any = OmegaConf.to_container(job.task, resolve=True)
    measured = known[local_path("runs", job.task.runs)]
    workload = Workload.of(settings)
    found = rates_for(measured, workload, job.device)
    counts = sample_counts(settings, measured)
    if found is None:  # one measurement serves all that cost as much
        kind = workload.like("", ""), job.device
        command = commands.setdefault(kind, benchmark_command(job))
        return Outlook(job, state, about, None, command)
    if counts is None:
        return Outlook(job, state, about, None, benchmark_command(job))
    extent = extent_of(settings, counts.samples)
    if steps:
        epoch = steps * int(job.task.trainer.max_epochs) // extent.steps
        about = f"{about}, after {epoch} of {job.task.trainer.max_epochs} epochs".lstrip(", ")
        extent = extent.after(steps)
    source = f"{_rates_in_words(workload, job.device, found.rates)}, from "
    source += f"{found.source}; samples as in {counts.source}" + _unknown_parts(extent, found.rates)
    return Outlook(job, state, about, seconds(extent, found.rates), source)


def _rates_in_words(workload: Workload, device: Device, rates: Rates) -> str:
    validated = "" if rates.evaluation is None else f", {rates.evaluation:.0f} in evaluation"
    return (
        f"{workload.network} at {workload.image_size} pixels in batches of {workload.batch_size} "
        f"on {device}: {rates.train:.0f} pictures/s in training{validated}"
    )


def _unknown_parts(extent: Extent, rates: Rates) -> str:
    return ", without figures" if extent.figures and rates.figures_s is None else ""


def _state(job: Job, folder: RunFolder, planned: set[RunFolder]) -> tuple[State, str, int]:
    """How far a training is, more about that, and how many of its steps are done."""
    if folder.stage != "new":
        folder.claim(job.task)  # compares only: the folder is that of a run
    if folder.finished:
        return "finished", "", 0
    running = _is_running(folder)
    if folder.stage == "begun":
        about, steps = _progress(folder.last)
        return "running" if running else "half trained", about, steps
    if running:
        return "running", "", 0
    start = job.starts_from
    if start is not None and not start.finished and not start.best.is_file():
        name = str(start.path)
        known = any(start.path.absolute() == one.path.absolute() for one in planned)
        nobody = "" if known else ", which no job of this command trains"
        return "waiting", f"for {name}{nobody}", 0
    return "new", "", 0


def _is_running(folder: RunFolder) -> bool:
    try:
        return is_held(folder.lock_file)
    except (CageError, OSError):  # nobody could train it there, either
        return False


def _progress(file: Path) -> tuple[str, int]:
    """What there is to say of the latest state of a run, and after how many steps it was saved."""
    import torch

    try:
        check_archive(file, tensors=False)
        content = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        return "", int(content["global_step"])
    except Exception:  # torch reports damaged files by many kinds of errors
        return f"{file} cannot be read", 0


def benchmark_command(job: Job) -> str:
    """What to type to find the rates for a training on this machine."""
    task = job.task
    if job.device.count > 1:
        return f"unknown until one run on {job.device} is finished; benchmark measures one device"
    said = {f"{group}={task.choices[group]}" for group in ("data", "model", "loss")}
    words = [f"{group}={task.choices[group]}" for group in ("data", "model", "loss", "augment")]
    own = {
        "trainer.accelerator": task.trainer.accelerator,
        "data.image_size": task.data.image_size,
        "data.batch_size": task.data.batch_size,
        "data.num_workers": task.data.num_workers,
    }
    if task.sam:
        own["sam"] = task.sam
    if task.compile != "off":
        own["compile"] = task.compile
    typed = [word for word in job.overrides if word.startswith(_OF_SPEED) and word not in said]
    keys = {word.partition("=")[0] for word in typed}
    words += [f"{key}={value}" for key, value in own.items() if key not in keys]
    if task.runs != "runs" and "runs" not in keys:
        words.append(f"runs={task.runs}")
    command = shlex.join(["python", "-m", "cage_lightning.benchmark", *words, *typed])
    threads = job.device.threads if job.device.type == "cpu" else None
    return f"{UNKNOWN}: {f'OMP_NUM_THREADS={threads} ' if threads else ''}{command}"


def _outlook_of_evaluation(job: Job) -> Outlook:
    """What is known of the evaluation of a checkpoint."""
    place = job.task.checkpoint
    run = run_of(Path(place)) if isinstance(place, str) else None
    if run is None:
        return Outlook(job, "new", "", None, "only of the checkpoint of one run the time is known")
    if not run.best.is_file():
        return Outlook(job, "waiting", f"for {run.path}, which has no checkpoint", None, "")
    try:
        measured = of_run(run) if run.finished else None
    except (CageError, OSError, *OF_THE_CONTENT):
        measured = None
    task = job.task.copy()
    task.data.image_size = 0  # the checkpoint says it
    settings: Any = OmegaConf.to_container(task, resolve=True)
    counts = sample_counts(settings, [measured] if measured else [])
    if measured is None or counts is None or not measured.device.is_like(job.device):
        return Outlook(job, "new", "", None, f"{run.path} was not trained on {job.device}")
    rates, batch = measured.rates, int(settings["data"]["batch_size"])
    test = limited(counts.samples["test"], batch, settings["trainer"].get("limit_test_batches"))
    extent = Extent(1, 0, 0, test, bool(settings["figures"]))
    return Outlook(job, "new", "", seconds(extent, rates), f"the rates of {run.path}")
