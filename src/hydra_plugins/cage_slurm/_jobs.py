"""Jobs of a sweep in the queue of SLURM.

submitit writes the job scripts and carries results; whether a job is still in the queue is asked of
`squeue`, which unlike `sacct` exists without accounting.
"""

from __future__ import annotations

import getpass
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import submitit
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, setup_globals
from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher
from omegaconf import DictConfig, OmegaConf
from submitit.core.utils import FailedJobError

from cage_lightning.errors import CageError, ConfigError
from cage_lightning.slurm import requeue

_POLL_S = 2
_GONE_S = 60  # SLURM kills after KillWait, 30 s by default
_VISIBLE_S = 15  # until a file of another node is seen


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


def run(
    sweep: dict[str, Any], job_overrides: Sequence[Sequence[str]], first: int
) -> list[JobReturn]:
    """Submit the jobs and wait until none is in the queue; however this ends, none is left there.

    Args:
        sweep: What Hydra hands to the `setup` of a launcher.
        job_overrides: For each job, what the sweep says.
        first: The number of the first job.

    Raises:
        CageError: This is no machine of a cluster, a job cannot be submitted, or jobs failed.
    """
    if shutil.which("sbatch") is None:
        raise ConfigError("hydra/launcher=slurm: there is no sbatch here; use a login node")
    setup_globals()
    task = Task()
    task.setup(**sweep)
    name = f"cage-{uuid.uuid4().hex[:8]}"  # finds all jobs of this command, and only these
    common = set(job_overrides[0]).intersection(*job_overrides) if len(job_overrides) > 1 else set()
    settings = [_settings(sweep, overrides) | {"name": name} for overrides in job_overrides]
    jobs: dict[str, submitit.Job[JobReturn]] = {}
    with _sigterm_exits():
        try:
            for number, overrides in enumerate(job_overrides):
                label = " ".join([f"#{first + number}", *(o for o in overrides if o not in common)])
                jobs[label] = _submit(task, settings[number], overrides, first + number)
                print(f"{jobs[label].job_id} submitted: {label}", flush=True)
            waiting = dict(jobs)
            while waiting:
                time.sleep(_POLL_S)
                queued = _queued(name)
                for label in [label for label, job in waiting.items() if job.job_id not in queued]:
                    print(f"{waiting.pop(label).job_id} has left the queue: {label}", flush=True)
        except BaseException:
            _cancel(name)
            raise
    results = {label: _result(job) for label, job in jobs.items()}
    failed = [
        f"\n  {label}: {result}\n    {jobs[label].paths.stdout}"
        for label, result in results.items()
        if isinstance(result, str)
    ]
    if failed:
        raise CageError(f"{len(failed)} of {len(jobs)} jobs failed{''.join(failed)}")
    return [result for result in results.values() if isinstance(result, JobReturn)]


def _settings(sweep: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The resources of a job, by its own config."""
    config: DictConfig = sweep["hydra_context"].config_loader.load_sweep_config(
        sweep["config"], list(overrides)
    )
    HydraConfig.instance().set_config(config)
    if not str(config.trainer.devices).isdigit():
        raise ConfigError(
            f"hydra/launcher=slurm: trainer.devices is {config.trainer.devices}; "
            "give the number of devices on each node"
        )
    settings: dict[str, Any] = OmegaConf.to_container(  # type: ignore[assignment]
        config.hydra.launcher, resolve=True
    )
    del settings["_target_"]
    if config.trainer.accelerator == "cpu":
        settings["gpus_per_node"] = None
    if settings["cpus_per_task"] is None:
        settings["cpus_per_task"] = config.data.num_workers + 1
    return settings


def _submit(
    task: Task, settings: dict[str, Any], overrides: Sequence[str], number: int
) -> submitit.Job[JobReturn]:
    executor = submitit.AutoExecutor(settings.pop("submitit_folder"), cluster="slurm")
    executor.update_parameters(
        **{
            key if key in BaseQueueConf.__dataclass_fields__ else f"slurm_{key}": value
            for key, value in settings.items()
        }
    )
    arguments = (list(overrides), "hydra.sweep.dir", number, str(number), Singleton.get_state())
    try:
        job: submitit.Job[JobReturn] = executor.submit(task, *arguments)
    except FailedJobError as error:
        raise ConfigError(f"sbatch refuses the job: {error}") from error
    return job


def _queued(name: str) -> set[str]:
    """The ids of the jobs called `name` that wait, run or are about to end."""
    command = [
        "squeue",
        "--noheader",
        "--user",
        getpass.getuser(),
        "--name",
        name,
        "--format",
        "%A",
    ]
    while True:
        asked = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if asked.returncode == 0:
            return set(asked.stdout.split())
        time.sleep(_POLL_S)  # the controller is busy, or restarts: says nothing about the jobs


def _cancel(name: str) -> None:
    """Take all jobs called `name` out of the queue."""
    patience = time.monotonic() + _GONE_S
    while (left := _queued(name)) and time.monotonic() < patience:
        subprocess.run(["scancel", "--user", getpass.getuser(), "--name", name])
        time.sleep(1)
    print(f"still in the queue: {', '.join(left)}" if left else "the jobs are cancelled")


def _result(job: submitit.Job[JobReturn]) -> JobReturn | str:
    """What rank 0 returned, or how the job failed."""
    tasks = [job.task(rank) for rank in range(job.num_tasks)]
    patience = time.monotonic() + _VISIBLE_S
    while not all(task.paths.result_pickle.exists() for task in tasks):
        if time.monotonic() > patience:
            break
        time.sleep(0.5)
    ended = [task for task in tasks if task.paths.result_pickle.exists()]
    for task in ended:
        if (error := task.exception()) is not None:
            # submitit frames the traceback; the error itself is its last line.
            return str(error).split("\n----------------------\n")[1].strip().splitlines()[-1]
    if len(ended) < len(tasks):
        return "it left the queue without a result: cancelled, or killed"
    result: JobReturn = tasks[0].result()
    return result


@contextmanager
def _sigterm_exits() -> Iterator[None]:
    """Let SIGTERM unwind the stack as Ctrl-C does, with exit code 143."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
