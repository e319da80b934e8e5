"""What a process of a SLURM job does on its own: ask for a restart, agree with the other ranks.

It uses the environment, `scontrol` and files, so that it works before there is a process group.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, get_args

from cage_lightning.errors import ConfigError
from cage_lightning.runs.folder import Stage
from cage_lightning.system.atomic import write_atomic

_POLL_S = 0.2
_STAGES: tuple[Stage, ...] = get_args(Stage)
_FAILED = "failed"  # what rank 0 writes instead of a stage
_SLURM_ENDS_JOBS_WITHIN_S = 60


def restarted() -> bool:
    """Whether this job is a requeued one, which SLURM has started before."""
    return int(os.environ.get("SLURM_RESTART_COUNT", "0")) > 0


def requeue() -> NoReturn:
    """Have SLURM end this job and queue it again.

    Every rank calls this, and only rank 0 asks SLURM. SLURM then ends all ranks with SIGTERM. Until
    then no rank may exit: under KillOnBadExit, SLURM would kill rank 0 before it has asked.

    Raises:
        CalledProcessError: `scontrol requeue` fails, on rank 0.
    """
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.stdout.flush()
    if os.environ["SLURM_PROCID"] == "0":
        subprocess.run(["scontrol", "requeue", os.environ["SLURM_JOB_ID"]], check=True)
    time.sleep(_SLURM_ENDS_JOBS_WITHIN_S)
    sys.exit(143)


def one_decision(folder: Path, decide: Callable[[], Stage], first: bool) -> Stage:
    """Let rank 0 of a SLURM job decide for all ranks how far the run has come.

    Otherwise each rank would look at the run folder for itself, at another moment and through the
    cache of another node, and one could resume where another begins.

    Args:
        folder: The run folder, which all ranks see; the decision is written to a file in it.
        decide: Called by rank 0 only. Outside SLURM every rank calls it: Lightning starts the other
            ranks after rank 0 has decided.
        first: Whether this is rank 0.

    Returns:
        The decision of rank 0.

    Raises:
        ConfigError: On the other ranks, if rank 0 could not decide.
    """
    if int(os.environ.get("SLURM_NTASKS", "1")) == 1:
        return decide()
    start = [os.environ.get(f"SLURM_{key}", "0") for key in ("JOB_ID", "STEP_ID", "RESTART_COUNT")]
    file = folder / f".decision-{'-'.join(start)}"
    if first:
        try:
            decision = decide()
        except BaseException:
            write_atomic(file, _FAILED)
            raise
        write_atomic(file, decision)
        return decision
    while not file.is_file():  # rank 0 may be waiting for the lock of the folder
        time.sleep(_POLL_S)
    text = file.read_text(encoding="utf-8")
    for stage in _STAGES:
        if text == stage:
            return stage
    raise ConfigError("rank 0 could not begin; its log says why")
