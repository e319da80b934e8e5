"""What a process of a SLURM job knows before it meets the other ranks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from cage_lightning.errors import ConfigError
from cage_lightning.system.atomic import write_atomic

_POLL_S = 0.2
_FAILED = "failed"
_SLURM_ENDS_JOBS_WITHIN_S = 60


def restarted() -> bool:
    """Whether SLURM has queued this job again."""
    return int(os.environ.get("SLURM_RESTART_COUNT", "0")) > 0


def requeue() -> NoReturn:
    """Have SLURM end this job and start it again. To be called by every rank; rank 0 asks.

    SLURM then ends all ranks with SIGTERM. Until then none may leave: with KillOnBadExit, that
    would end rank 0 before it has asked.
    """
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.stdout.flush()
    if os.environ["SLURM_PROCID"] == "0":
        subprocess.run(["scontrol", "requeue", os.environ["SLURM_JOB_ID"]], check=True)
    time.sleep(_SLURM_ENDS_JOBS_WITHIN_S)
    sys.exit(143)


def one_decision(folder: Path, decide: Callable[[], str], first: bool) -> str:
    """Let rank 0 of a SLURM job decide for all.

    Each would else look at the run folder for itself, at another moment and through the cache of
    another node, and one could resume where another begins.

    Args:
        folder: A folder that all ranks see.
        decide: Called by rank 0. Without SLURM, no rank starts before rank 0 has come this far,
            and each may decide for itself.
        first: Whether this is rank 0.

    Raises:
        ConfigError: Rank 0 could not decide, on the others.
    """
    if int(os.environ.get("SLURM_NTASKS", "1")) == 1:
        return decide()
    start = [os.environ.get(f"SLURM_{key}", "0") for key in ("JOB_ID", "STEP_ID", "RESTART_COUNT")]
    said = folder / f".decision-{'-'.join(start)}"
    if first:
        try:
            decision = decide()
        except BaseException:
            write_atomic(said, _FAILED)
            raise
        write_atomic(said, decision)
        return decision
    while not said.is_file():  # rank 0 waits for a lock, perhaps
        time.sleep(_POLL_S)
    decision = said.read_text(encoding="utf-8")
    if decision == _FAILED:
        raise ConfigError("rank 0 could not begin; its log says why")
    return decision
