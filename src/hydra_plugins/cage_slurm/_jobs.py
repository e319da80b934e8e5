"""Jobs of a sweep in the queue of SLURM.

submitit writes the job scripts and carries results; what is in the queue is asked of `squeue`,
which unlike `sacct` exists without accounting.
"""

from __future__ import annotations

import getpass
import math
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import submitit
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, setup_globals
from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher
from submitit.core.utils import FailedJobError

from cage_lightning.errors import ConfigError
from cage_lightning.runs.folder import RunFolder
from cage_lightning.runs.slurm import requeue
from cage_lightning.system.machine import MOST_WORKERS
from hydra_plugins.cage_launcher._plan import SHORT_WAIT, Planned, interpreter, plan
from hydra_plugins.cage_launcher._returns import Failure, returns

_POLL_S = 2
_GONE_S = 60  # SLURM kills after KillWait, 30 s by default
_ANSWERS_S = 60  # within which squeue answers, before anything is submitted
_VISIBLE_S = 15  # until a file of another node is seen
_LOST = "it left the queue without a result: cancelled, or killed"


class Task(SlurmLauncher):  # type: ignore[misc]  # untyped
    """One rank of a job."""

    def __call__(self, *arguments: Any) -> JobReturn:
        """Train. A failure leaves as an exception: SLURM must not count the job as completed."""
        signal.signal(signal.SIGUSR1, _again)  # until the training has its own handler
        done: JobReturn = super().__call__(*arguments)
        _ = done.return_value
        return done


def _again(*_: object) -> None:
    """Near the time limit, and nothing to save yet."""
    requeue()
    sys.exit(143)


class Queued(NamedTuple):
    """A job as `squeue` shows it: `sweep` is that of the command that submitted it."""

    id: str
    sweep: str
    run: str


@dataclass(frozen=True)
class Submitted:
    """A job of this sweep in the queue.

    Attributes:
        planned: What it runs.
        id: The number that SLURM gave it.
        job: None if an earlier command submitted it.
    """

    planned: Planned
    id: str
    job: submitit.Job[JobReturn] | None


def run(
    sweep: dict[str, Any], job_overrides: Sequence[Sequence[str]], first: int
) -> list[JobReturn]:
    """Submit the jobs and wait until none is in the queue; however this ends, none is left there.

    A job that starts from another one waits for it in the queue. A run that an earlier command has
    left there is waited for, not submitted again.

    Args:
        sweep: What Hydra hands to the `setup` of a launcher.
        job_overrides: For each job, what the sweep says.
        first: The number of the first job.

    Returns:
        As `returns` of the other launcher.

    Raises:
        CageError: This is no machine of a cluster, or a job cannot be submitted.
    """
    if shutil.which("sbatch") is None:
        raise ConfigError("hydra/launcher=slurm: there is no sbatch here; use a login node")
    setup_globals()
    planned = plan(sweep["config"], sweep["hydra_context"].config_loader, job_overrides, first)
    token = uuid.uuid4().hex[:8]  # finds all jobs of this command, and only these
    wanted = [(job, _settings(job, token)) for job in planned if not job.finished]
    print(f"{len(planned)} jobs, {len(planned) - len(wanted)} finished before", flush=True)
    task = Task()
    task.setup(**sweep)
    jobs: list[Submitted] = []
    there = {queued.run: queued.id for queued in _queue(_ANSWERS_S) if queued.run}
    try:
        for job, settings in wanted:
            jobs.append(_submit(task, job, settings, there))
        waiting = list(jobs)
        while waiting:
            time.sleep(_POLL_S)
            queued = {queued.id for queued in _queue()}
            for one in [one for one in waiting if one.id not in queued]:
                waiting.remove(one)
                left = f"; {len(waiting)} left" if waiting else ""
                print(f"{one.id} has left the queue: {one.planned.label}{left}", flush=True)
    except Exception:
        _cancel(token, set())
        raise
    except BaseException:  # Ctrl-C, SIGTERM: those of an earlier command as well
        _cancel(token, {one.id for one in jobs})
        raise
    patience = time.monotonic() + _VISIBLE_S
    failures = {
        one.planned.number: Failure(
            f"\n  {one.planned.label}: {problem}{_log_of(one)}", problem == _LOST
        )
        for one in jobs
        if (problem := _problem(one, patience))
    }
    return returns(planned, failures)


def _settings(job: Planned, token: str) -> dict[str, Any]:
    """The resources of a job, by its own config, and what it is called in the queue."""
    trainer, settings = job.task.trainer, dict(job.launcher)
    if not str(trainer.devices).isdigit():
        raise ConfigError(
            f"hydra/launcher=slurm: trainer.devices is {trainer.devices}; "
            "give the number of devices on each node"
        )
    del settings["_target_"]
    if trainer.accelerator == "cpu":
        settings["gpus_per_node"] = None
    if settings["cpus_per_task"] is None:
        workers = job.task.data.num_workers
        settings["cpus_per_task"] = 1 + (MOST_WORKERS if workers == "auto" else workers)
    # From SLURM 22.05 to 23.02 srun does not take it over from sbatch.
    settings["srun_args"] = [f"--cpus-per-task={settings['cpus_per_task']}"]
    settings["name"] = "cage_lightning" if job.folder is None else job.folder.path.name
    settings["comment"] = f"{token}:{_run(job.folder)}"
    return settings


def _run(folder: RunFolder | None) -> str:
    return "" if folder is None else str(folder.path.absolute())


def _submit(task: Task, job: Planned, settings: dict[str, Any], there: dict[str, str]) -> Submitted:
    """Put a job into the queue, and note it in `there`: id by run folder."""
    run = _run(job.folder)
    if run in there:
        print(f"{there[run]} is in the queue already: {job.label}", flush=True)
        return Submitted(job, there[run], None)
    overrides = list(job.overrides)
    if start := there.get(_run(job.starts_from)):
        settings["additional_parameters"] |= {"dependency": f"afterany:{start}"}
        overrides.append(SHORT_WAIT)
    executor = submitit.AutoExecutor(
        settings.pop("submitit_folder"), cluster="slurm", slurm_python=shlex.join(interpreter())
    )
    executor.update_parameters(
        **{
            key if key in BaseQueueConf.__dataclass_fields__ else f"slurm_{key}": value
            for key, value in settings.items()
        }
    )
    number, state = job.number, Singleton.get_state()
    arguments = (overrides, "hydra.sweep.dir", number, str(number), state)
    try:
        submitted: submitit.Job[JobReturn] = executor.submit(task, *arguments)
    except FailedJobError as error:
        raise ConfigError(f"sbatch refuses the job: {error}") from error
    print(f"{submitted.job_id} submitted: {job.label}", flush=True)
    if run:
        there[run] = submitted.job_id
    return Submitted(job, submitted.job_id, submitted)


def _queue(limit_s: float = math.inf) -> list[Queued]:
    """The jobs of this user that wait, run or are about to end.

    Args:
        limit_s: How long to ask, in seconds, where SLURM's controller does not answer: it may be
            busy or restart, which says nothing about the jobs.

    Raises:
        ConfigError: There is no answer within that time.
    """
    command = ["squeue", "--noheader", "--user", getpass.getuser(), "--format", "%A:%k"]
    until = time.monotonic() + limit_s
    while True:
        with suppress(subprocess.TimeoutExpired):
            asked = subprocess.run(command, stdout=subprocess.PIPE, timeout=_ANSWERS_S)
            if asked.returncode == 0:
                lines = (line.split(":", 2) for line in os.fsdecode(asked.stdout).splitlines())
                return [Queued(*x) if len(x) == 3 else Queued(x[0], "", "") for x in lines]
        if time.monotonic() > until:
            raise ConfigError(
                f"hydra/launcher=slurm: squeue does not answer within {limit_s:g} s; is this "
                "machine part of a cluster that runs?"
            )
        time.sleep(_POLL_S)


def _cancel(token: str, ids: set[str]) -> None:
    """Take the jobs of a sweep out of the queue, and those with the given ids."""
    patience = time.monotonic() + _GONE_S
    while left := [job.id for job in _queue(_GONE_S) if job.sweep == token or job.id in ids]:
        if time.monotonic() > patience:
            print(f"still in the queue: {', '.join(left)}")
            return
        subprocess.run(["scancel", *left])
        time.sleep(1)
    print("the jobs are cancelled")


def _problem(one: Submitted, patience: float) -> str | None:
    """How a job failed that has left the queue; None if it did not.

    Args:
        one: The job.
        patience: The moment until which its files may become visible here.
    """
    if one.job is None:
        return _problem_of_run(one.planned, patience)
    folder = one.planned.folder
    problem = _problem_of_job(one.job, patience)
    if problem is None and folder is not None and not _ends(folder, patience):
        return _LOST
    return problem


def _problem_of_run(planned: Planned, patience: float) -> str | None:
    folder = planned.folder
    assert folder is not None, "only trainings are recognised in the queue"
    if not _ends(folder, patience):
        return (
            folder.error_file.read_text(encoding="utf-8").strip()
            if folder.error_file.is_file()
            else _LOST
        )
    try:
        folder.claim(planned.task)
    except ConfigError as error:  # the earlier command had other settings
        return str(error)
    return None


def _problem_of_job(job: submitit.Job[JobReturn], patience: float) -> str | None:
    tasks = [job.task(rank) for rank in range(job.num_tasks)]
    ended = [task for task in tasks if _comes(task.paths.result_pickle, patience)]
    for task in ended:
        if (error := task.exception()) is not None:
            # submitit frames the traceback; the error itself is its last line.
            return str(error).split("\n----------------------\n")[1].strip().splitlines()[-1]
    return _LOST if len(ended) < len(tasks) else None


def _ends(folder: RunFolder, patience: float) -> bool:
    """Whether a run has ended, as its folder says, perhaps after some time."""
    return _becomes(lambda: folder.ended, patience)


def _comes(file: Path, patience: float) -> bool:
    """Whether a file is there, perhaps after some time."""
    return _becomes(file.is_file, patience)


def _becomes(true: Callable[[], bool], patience: float) -> bool:
    while not true():
        if time.monotonic() > patience:
            return False
        time.sleep(0.5)
    return True


def _log_of(one: Submitted) -> str:
    """Where to read on."""
    if one.job is not None:
        return f"\n    {one.job.paths.stdout}"
    assert one.planned.folder is not None
    return f"\n    {one.planned.folder.log_file}"
