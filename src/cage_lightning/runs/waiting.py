"""Waiting for the run from which another run starts, under every launcher."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

from cage_lightning.errors import CheckpointError
from cage_lightning.runs.folder import RunFolder, run_of
from cage_lightning.runs.log import first_process
from cage_lightning.system.atomic import is_held

log = logging.getLogger(__name__)

# A job that was started before this one locks its run folder within this time, or has failed.
_SECONDS_TO_START = 120.0
_POLL_S = 1.0


def wait_for_run(path: Path, limit_s: float) -> None:
    """Wait until the run in a folder is finished, as long as a process trains it.

    In a SLURM job only the limit counts, since the other run may still be in the queue.

    Args:
        path: The run folder, or a checkpoint in it. For any other file there is no waiting.
        limit_s: The longest wait in seconds; with 0 a checkpoint is taken as it is, and an
            unfinished run is refused.

    Raises:
        CheckpointError: The run failed, no process trains it, that cannot be determined, or it is
            not finished in time.
        DataError: Its lock file is a link, or not a regular file.
    """
    folder, began = run_of(path), time.monotonic()
    if folder is None or folder.finished or (limit_s == 0 and not path.is_dir()):
        return
    log.info("waiting for %s, from which this run starts", path)
    trained = began  # the last moment at which a process trained it
    while not folder.finished:
        now = time.monotonic()
        if _is_trained(folder):
            trained = now
        failed = folder.error_file.is_file()  # perhaps of an earlier attempt; a new one deletes it
        queued = "SLURM_JOB_ID" in os.environ and not failed
        nobody = now - trained > _SECONDS_TO_START and not queued
        if not nobody and now - began < limit_s:
            time.sleep(_POLL_S)
            continue
        problem = (
            "is not finished, and no process trains it"
            if nobody
            else f"is not finished after {limit_s:g} s"
        )
        if failed:
            problem = f"failed: see {folder.log_file}"
        elif nobody:
            problem += ": train it first, or start from other weights with start=none"
        best = f"; {folder.best} has its best epoch so far" if folder.best.is_file() else ""
        raise CheckpointError(f"{path}, from which this run starts, {problem}{best}")


def _is_trained(folder: RunFolder) -> bool:
    """Whether another process trains the run."""
    if not first_process():
        return True  # only rank 0 looks, and ends all ranks if nobody trains it
    try:
        return is_held(folder.lock_file)
    except OSError as error:
        raise CheckpointError(
            f"{folder.path}, from which this run starts, is not finished, and whether anybody "
            f"trains it cannot be told ({error}): start again when it is finished"
        ) from error
