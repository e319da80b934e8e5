"""From the overrides of a sweep to its results."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from cage_lightning.errors import ConfigError
from cage_lightning.runs.folder import RunFolder
from hydra_plugins.cage_launcher._job import Job, State
from hydra_plugins.cage_launcher._overview import Overview
from hydra_plugins.cage_launcher._plan import SHORT_WAIT, Planned, interpreter
from hydra_plugins.cage_launcher._returns import Failure
from hydra_plugins.cage_launcher._slots import Slots, devices_needed


def jobs_of(
    planned: Sequence[Planned],
    config: DictConfig,
    devices_per_job: int | None,
    slots: Slots,
) -> list[Job]:
    """The processes for the jobs of a sweep; those whose run is finished are marked as skipped.

    Args:
        planned: The jobs, each after the one it starts from.
        config: The config of the sweep.
        devices_per_job: None: what the job's trainer asks for.
        slots: Where the jobs will run.

    Raises:
        ConfigError: A job needs more devices than there are.
    """
    jobs: list[Job] = []
    owners: dict[RunFolder | None, Job] = {}
    for one in planned:
        asked = devices_per_job or OmegaConf.select(one.task, "trainer.devices")
        accelerator = OmegaConf.select(one.task, "trainer.accelerator", default="cpu")
        count = devices_needed(accelerator, asked, len(slots.devices))
        if count > len(slots.devices):
            raise ConfigError(
                f"{one.label} needs {count} devices and there are {len(slots.devices)}: "
                "lower trainer.devices, or name more in hydra.launcher.devices=[...]"
            )
        start = owners.get(one.starts_from)
        job = Job(
            number=one.number,
            label=one.label,
            command=_command(config, one, [SHORT_WAIT] if start else []),
            log=Path(config.hydra.sweep.dir) / f"{one.number}.log",
            count=count,
            folder=one.folder,
            threads=slots.threads,
            starts_from=start,
            state=State.SKIPPED if one.finished else State.WAITING,
        )
        if one.folder is not None:
            owners[one.folder] = job
        jobs.append(job)
    return jobs


def work(jobs: Sequence[Job], slots: Slots) -> dict[int, Failure]:
    """Run what waits, in the given order; a failure stops no other job.

    A job that starts from another one waits for its end without taking a place. However this ends,
    no process of a job is left.

    Returns:
        The jobs that failed, by their numbers: label, last line of the output, and log.
    """
    overview = Overview(jobs)
    waiting = [job for job in jobs if job.state is State.WAITING]
    running: list[Job] = []
    with overview.shown():
        try:
            while waiting or running:
                for job in [job for job in waiting if job.can_start()]:
                    devices = slots.take(job.count)
                    if devices is None:  # no other overtakes it: it might wait for ever
                        break
                    waiting.remove(job)
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
    return {
        job.number: Failure(f"\n  {job.label}: {job.result}\n    {job.log}", job.killed)
        for job in jobs
        if job.state is State.FAILED
    }


def _command(config: DictConfig, job: Planned, more: Sequence[str]) -> list[str]:
    """The command line of a single run, with the Hydra settings of this process."""
    sources = {source.provider: source.path for source in config.hydra.runtime.config_sources}
    module = sys.modules["__main__"].__spec__  # None for a console script
    name = f"cage_lightning.{config.hydra.job.config_name}" if module is None else module.name
    where = [f"--config-path={sources['main']}", f"--config-name={config.hydra.job.config_name}"]
    if "command-line" in sources:
        where.append(f"--config-dir={sources['command-line']}")
    hydra = [o for o in config.hydra.overrides.hydra if not o.startswith("hydra.mode=")]
    # The number marks it as a job of a sweep, for `cli.in_sweep`.
    own = ["hydra.mode=RUN", f"hydra.job.num={job.number}"]
    run = [*where, *job.overrides, *more, *hydra, *own]
    return [*interpreter(), "-m", name, *run]
