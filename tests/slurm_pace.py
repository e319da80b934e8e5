"""Callbacks that hold a training up, without work for the processor, until something happens."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

_WAKING = {signal.SIGUSR1, signal.SIGTERM}


class Pace(Callback):
    """Wait before every step, whatever signal comes.

    Args:
        seconds: How long.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def on_train_batch_start(self, *arguments: Any) -> None:
        time.sleep(self.seconds)


class Hold(Callback):
    """Wait before some steps until a signal comes that ends the training, or the file NAME-go.

    Rank 0 waits, in whose absence the others get no further than the gradients of the step.

    Args:
        name: The file NAME-STEP is made where it waits.
        steps: Before which steps, as Lightning counts them: `global_step`.
    """

    def __init__(self, name: str, steps: Sequence[int]) -> None:
        self.name = name
        self.steps = steps

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if trainer.is_global_zero and trainer.global_step in self.steps:
            self._wait(Path(f"{self.name}-{trainer.global_step}"))

    def _wait(self, here: Path) -> None:
        heard, wakes = socket.socketpair()
        with heard, wakes:
            wakes.setblocking(False)
            before = signal.set_wakeup_fd(wakes.fileno())
            self._ready(here)
            while not Path(f"{self.name}-go").exists() and not _heard(heard):
                pass
            signal.set_wakeup_fd(before)

    def _ready(self, here: Path) -> None:
        """Every signal from now on is heard."""
        here.touch()


class NearLimit(Hold):
    """Hold until SLURM says that the time limit of the job is near, and be far from it then.

    The job has an hour, and asks to be told ten minutes before its end (JOBS of the tests). Here it
    gets ten minutes instead: SLURM, which looks at the limits twice a minute, then tells it at
    once, however long the start has taken.
    """

    def _wait(self, here: Path) -> None:
        super()._wait(here)
        _set_limit(60)

    def _ready(self, here: Path) -> None:
        _set_limit(10)
        super()._ready(here)


def _heard(signals: socket.socket) -> bool:
    """Whether such a signal has come, now or within a moment."""
    ready, _, _ = select.select([signals], [], [], 0.1)
    return bool(ready) and not _WAKING.isdisjoint(signals.recv(64))


def _set_limit(minutes: int) -> None:
    job = os.environ["SLURM_JOB_ID"]
    command = ["scontrol", "update", f"JobId={job}", f"TimeLimit={minutes}"]
    # In a session of its own: what SLURM signals is the group of the training.
    subprocess.run(command, check=True, start_new_session=True)
