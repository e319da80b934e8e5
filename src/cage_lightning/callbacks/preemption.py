"""Leaving in time when the machine is taken away."""

from __future__ import annotations

import logging
import os
import signal
import time
from types import FrameType
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.exceptions import SIGTERMException

from cage_lightning.slurm import requeue

log = logging.getLogger(__name__)

_SLURM_ENDS_JOBS_WITHIN_S = 60


class Preemption(Callback):
    """Leave between two steps, on all ranks together, when a signal asks for it.

    SIGTERM asks to leave. SIGUSR1, which SLURM sends some time before a job's limit, asks to leave
    and be queued again. Lightning's own handlers are replaced: on SIGTERM they begin a collective
    wherever a rank happens to be, and on SIGUSR1 they save in the middle of a step.
    """

    def __init__(self) -> None:
        self._asked: signal.Signals | None = None
        self._in_fit = False
        self._process = os.getpid()

    def listen(self) -> None:
        """Hear the signals from now on."""
        signal.signal(signal.SIGTERM, self._hear)
        if "SLURM_JOB_ID" in os.environ:
            signal.signal(signal.SIGUSR1, self._hear)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # forked; SLURM signals the loader's workers as well
            if number == signal.SIGTERM:
                os._exit(143)
            return
        self._asked = signal.Signals(number)
        if not self._in_fit:  # nothing is half done that has to be saved
            raise SIGTERMException(143)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """From here on steps are not interrupted; Lightning has just set its own handlers."""
        self._in_fit = True
        self.listen()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Leave as soon as any rank was asked to: all at the same step.

        Not before the validation of an epoch: Lightning would take it for done when it resumes.
        """
        if trainer.is_last_batch:
            return
        if trainer.strategy.reduce_boolean_decision(self._asked is not None, all=False):
            raise SIGTERMException(143)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Take along the ranks that this process started: they may wait for it for ever."""
        launcher = trainer.strategy.launcher
        if isinstance(exception, SIGTERMException) and launcher is not None:
            launcher.kill(signal.SIGTERM)

    def trained(self) -> None:
        """Leave at any moment from now on, or at once if asked after the last step."""
        self._in_fit = False
        if self._asked is not None:
            raise SIGTERMException(143)

    def requeue(self) -> bool:
        """Have SLURM start this job again, if that was asked for. To be called by every rank.

        Returns:
            Whether the job was to be queued again.
        """
        if self._asked is not signal.SIGUSR1:
            return False
        log.info("near the time limit: the job goes back into the queue")
        requeue()
        # SLURM ends all ranks with SIGTERM. With KillOnBadExit, one that left before would end
        # rank 0 too early.
        patience = time.monotonic() + _SLURM_ENDS_JOBS_WITHIN_S
        while self._asked is signal.SIGUSR1 and time.monotonic() < patience:
            time.sleep(0.1)
        return True
