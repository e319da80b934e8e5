"""Leaving in time when the machine is taken away."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import time
from types import FrameType
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.exceptions import SIGTERMException

from cage_lightning.callbacks.resume import resumable_here
from cage_lightning.runs.slurm import requeue

log = logging.getLogger(__name__)

_ONE_SIGNAL_S = 2.0  # `timeout` and srun send theirs twice in a row


class Preemption(Callback):
    """Leave between two steps, on all ranks together, when a signal asks for it.

    SIGTERM asks to leave; a second one leaves at once, whatever is unsaved: a step may never end,
    where a loader's worker cannot send what it has read. SIGUSR1, which SLURM sends some time
    before a job's limit, asks to leave and be queued again. Lightning's own handlers are replaced:
    on SIGTERM they begin a collective wherever a rank happens to be, and on SIGUSR1 they save in
    the middle of a step.
    """

    def __init__(self) -> None:
        self._asked: signal.Signals | None = None
        self._told_to_leave: float | None = None  # when, by SIGTERM
        self._in_fit = False
        self._process = os.getpid()
        self._trainer: Trainer | None = None

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
        if number == signal.SIGTERM:
            self._leave_if_told_before()
        self._asked = signal.Signals(number)
        if not self._in_fit:  # nothing is half done that has to be saved
            raise SIGTERMException(143)

    def _leave_if_told_before(self) -> None:
        now = time.monotonic()
        if self._told_to_leave is None:
            self._told_to_leave = now
        elif now - self._told_to_leave > _ONE_SIGNAL_S:
            log.warning("stopped by a second SIGTERM; the same command resumes from the last save")
            self._end_ranks(signal.SIGKILL)
            for worker in multiprocessing.active_children():
                worker.kill()
            os._exit(143)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Know the other ranks."""
        self._trainer = trainer

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """From here on steps are not interrupted; Lightning has just set its own handlers."""
        self._in_fit = True
        self.listen()

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning has set its own handlers again."""
        self.listen()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Leave as soon as any rank was asked to: all at the same step."""
        if resumable_here(trainer, batch_idx):
            self._leave_together(trainer)

    def trained(self, trainer: Trainer) -> None:
        """Leave if any rank was asked to after its last step; at any moment from now on."""
        self._leave_together(trainer)
        self._in_fit = False

    def _leave_together(self, trainer: Trainer) -> None:
        def any_rank(decision: bool) -> bool:
            return trainer.strategy.reduce_boolean_decision(decision, all=False)

        if any_rank(self._asked is not None):
            if any_rank(self._asked is signal.SIGUSR1):
                self._asked = signal.SIGUSR1  # also where it was not heard yet
            raise SIGTERMException(143)

    def left(self) -> None:
        """Do what is to be done when all is saved; to be called by every rank.

        Tells the ranks that this process started, which may wait for it for ever. Has SLURM start
        the job again, if that was asked for, and does not return then.
        """
        self._end_ranks(signal.SIGTERM)
        if self._asked is signal.SIGUSR1:
            log.info("near the time limit: the job goes back into the queue")
            requeue()

    def _end_ranks(self, number: signal.Signals) -> None:
        """Send a signal to the ranks that this process started."""
        launcher = self._trainer.strategy.launcher if self._trainer else None
        if launcher is not None:
            launcher.kill(number)
