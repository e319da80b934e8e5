"""From the overrides of a sweep to its results."""

from __future__ import annotations

import signal
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from cage_lightning.errors import CageError, ConfigError
from cage_lightning.run import RunFolder
from hydra_plugins.cage_launcher._job import Job, State
from hydra_plugins.cage_launcher._overview import Overview
from hydra_plugins.cage_launcher._slots import Slots, devices_needed


def plan(
    config: DictConfig,
    loader: ConfigLoader,
    job_overrides: Sequence[Sequence[str]],
    first: int,
    devices_per_job: int | None,
    slots: Slots,
) -> list[Job]:
    """The jobs of a sweep; those whose run is finished are marked as skipped.

    Args:
        config: The config of the sweep.
        loader: Composes the config of a job.
        job_overrides: For each job, what the sweep says.
        first: The number of the first job.
        devices_per_job: None: what the job's trainer asks for.
        slots: Where the jobs will run.

    Raises:
        ConfigError: Two jobs would share a run folder, a job needs more devices than there are, or
            a finished run has another config.
    """
    common = set(job_overrides[0]).intersection(*job_overrides) if len(job_overrides) > 1 else set()
    jobs: list[Job] = []
    owners: dict[RunFolder, Job] = {}
    for number, overrides in enumerate(job_overrides, first):
        composed = loader.load_sweep_config(config, list(overrides))
        HydraConfig.instance().set_config(composed)
        task = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
        asked = OmegaConf.select(task, "trainer.devices")
        accelerator = OmegaConf.select(task, "trainer.accelerator", default="cpu")
        count = devices_needed(accelerator, devices_per_job or asked, len(slots.devices))
        job = Job(
            label=" ".join(o for o in overrides if o not in common) or f"job {number}",
            command=_command(config, overrides),
            log=Path(config.hydra.sweep.dir) / f"{number}.log",
            count=count,
            folder=_folder(task),
        )
        if count > len(slots.devices):
            raise ConfigError(
                f"{job.label} needs {count} devices and there are {len(slots.devices)}: "
                "lower trainer.devices, or name more in hydra.launcher.devices=[...]"
            )
        if job.folder is not None:
            other = owners.setdefault(job.folder, job)
            if other is not job:
                raise ConfigError(
                    f"{other.label} and {job.label} would both be {job.folder.path}: "
                    "give each a name of its own with tag=NAME or group=NAME"
                )
            if job.folder.finished:
                task.run_dir = str(job.folder.path)
                job.folder.claim(task)  # refuses another config under its name
                job.state = State.SKIPPED
        jobs.append(job)
    return jobs


def work(jobs: Sequence[Job], slots: Slots) -> None:
    """Run what waits, in the given order; a failure stops no other job.

    However this ends, no process of a job is left.

    Raises:
        CageError: Jobs failed; names each, what it said last, and its log.
    """
    overview = Overview(jobs)
    waiting = deque(job for job in jobs if job.state is State.WAITING)
    running: list[Job] = []
    with _sigterm_exits(), overview.shown():
        try:
            while waiting or running:
                # Strictly in order: a job that needs many devices is not overtaken for ever.
                while waiting and (devices := slots.take(waiting[0].count)):
                    job = waiting.popleft()
                    running.append(job)
                    job.start(devices)
                    overview.changed(job)
                time.sleep(0.1)
                for job in [job for job in running if job.ended()]:
                    running.remove(job)
                    slots.give_back(job.devices)
                    overview.changed(job)
        finally:
            if running:
                print(f"stopping {len(running)} jobs", file=sys.stderr, flush=True)
            for job in running:
                job.let_go()
            for job in running:
                job.wait()
    failed = [job for job in jobs if job.state is State.FAILED]
    if failed:
        said = "".join(f"\n  {job.label}: {job.result}\n    {job.log}" for job in failed)
        raise CageError(f"{len(failed)} of {len(jobs)} jobs failed{said}")


def _command(config: DictConfig, overrides: Sequence[str]) -> list[str]:
    """The single run of a job, through the door and with the Hydra settings of this process."""
    sources = {source.provider: source.path for source in config.hydra.runtime.config_sources}
    door = sys.modules["__main__"].__spec__
    assert door is not None, "a sweep is started with python -m"
    where = [f"--config-path={sources['main']}", f"--config-name={config.hydra.job.config_name}"]
    if "command-line" in sources:
        where.append(f"--config-dir={sources['command-line']}")
    hydra = [o for o in config.hydra.overrides.hydra if not o.startswith("hydra.mode=")]
    run = [*where, *overrides, *hydra, "hydra.mode=RUN"]
    return [sys.executable, "-m", door.name, *run]


def _folder(task: DictConfig) -> RunFolder | None:
    """The run folder of a training that keeps something."""
    if not OmegaConf.is_missing(task, "run_dir") or task.trainer.fast_dev_run:
        return None
    return RunFolder.of(task)


@contextmanager
def _sigterm_exits() -> Iterator[None]:
    """Let SIGTERM unwind the stack as Ctrl-C does, with exit code 143."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
