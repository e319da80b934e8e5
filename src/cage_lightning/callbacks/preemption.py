"""Stopping on a signal, with everything saved, before the machine is taken away."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import time
from types import FrameType
from typing import Any, NoReturn

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.exceptions import SIGTERMException

from cage_lightning.callbacks.resume import resumable_here
from cage_lightning.runs.slurm import requeue
from cage_lightning.system.sigterm import ONE_SIGNAL_S

log = logging.getLogger(__name__)


class OwnSigterm(Callback):
    """Keep the handler of SIGTERM in a test, where Lightning puts its own, as `Preemption` says."""

    def __init__(self) -> None:
        self._handler = signal.getsignal(signal.SIGTERM)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Replace the handler that Lightning has just installed."""
        signal.signal(signal.SIGTERM, self._handler)


class Preemption(Callback):
    """Stop the training between two steps, on all ranks together, after a signal.

    SIGTERM stops the training. A second SIGTERM ends the process at once, without saving, since a
    step may hang: for example, when a worker of the DataLoader cannot send its batch. SIGUSR1,
    which SLURM sends some time before the time limit of a job, stops the training and requeues the
    job. Lightning's own handlers are replaced: on SIGTERM they start a collective at any point of a
    rank's work, and on SIGUSR1 they save in the middle of a step.
    """

    def __init__(self) -> None:
        self._asked: signal.Signals | None = None
        self._first_sigterm: float | None = None  # its time, in seconds of time.monotonic
        self._in_fit = False
        self._process = os.getpid()
        self._trainer: Trainer | None = None

    @property
    def asked(self) -> bool:
        """Whether this process has received a signal."""
        return self._asked is not None

    def listen(self) -> None:
        """Install the signal handlers: SIGTERM, and in a SLURM job SIGUSR1."""
        signal.signal(signal.SIGTERM, self._hear)
        if "SLURM_JOB_ID" in os.environ:
            signal.signal(signal.SIGUSR1, self._hear)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a forked worker; SLURM signals those as well
            if number == signal.SIGTERM:
                os._exit(143)
            return
        if number == signal.SIGTERM:
            self._exit_on_second_sigterm()
        self._asked = signal.Signals(number)
        if not self._in_fit:  # there is nothing to save, so the process may end at any point
            raise SIGTERMException(143)

    def _exit_on_second_sigterm(self) -> None:
        now = time.monotonic()
        if self._first_sigterm is None:
            self._first_sigterm = now
        elif now - self._first_sigterm > ONE_SIGNAL_S:
            log.warning("stopped by a second SIGTERM; the same command resumes from the last save")
            end_at_once(self._trainer, 143)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Keep the trainer, which knows the ranks that this process has started."""
        self._trainer = trainer

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Replace the handlers that Lightning has just installed; steps are not interrupted now."""
        self._in_fit = True
        self.listen()

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Replace the handlers that Lightning has installed again for the test."""
        self.listen()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop all ranks after this step, if any rank has received a signal.

        Raises:
            SIGTERMException: A rank has received one, and a checkpoint here resumes exactly.
        """
        if resumable_here(trainer, batch_idx) and self._asked_anywhere(trainer):
            # Lightning logs a step after this hook, and the run that resumes does not take it.
            pl_module.on_train_batch_end(outputs, batch, batch_idx)
            trainer._logger_connector.update_train_step_metrics()
            raise SIGTERMException(143)

    def trained(self, trainer: Trainer) -> None:
        """Stop all ranks if one has received a signal since the last step; for after the training.

        From then on, a signal stops this process at any point.

        Raises:
            SIGTERMException: A rank has received one.
        """
        if self._asked_anywhere(trainer):
            raise SIGTERMException(143)
        self._in_fit = False

    def _asked_anywhere(self, trainer: Trainer) -> bool:
        """Whether any rank has received a signal; all ranks ask together."""

        def any_rank(decision: bool) -> bool:
            return trainer.strategy.reduce_boolean_decision(decision, all=False)

        asked = any_rank(self._asked is not None)
        if asked and any_rank(self._asked is signal.SIGUSR1):
            self._asked = signal.SIGUSR1  # also on ranks that have not received it yet
        return asked

    def left(self) -> None:
        """Finish the stop after everything is saved; every rank calls this.

        It ends the ranks that this process has started, which could otherwise wait for it for ever.
        After SIGUSR1 it has SLURM queue the job again, and does not return.
        """
        _end_ranks(self._trainer, signal.SIGTERM)
        if self._asked is signal.SIGUSR1:
            log.info("near the time limit: the job goes back into the queue")
            requeue()


def end_at_once(trainer: Trainer | None, code: int) -> NoReturn:
    """End this process, those of its loaders and the ranks that it has started; nothing is saved.

    Args:
        trainer: It knows these ranks.
        code: The exit code.
    """
    _end_ranks(trainer, signal.SIGKILL)
    for worker in multiprocessing.active_children():
        worker.kill()
    os._exit(code)


def _end_ranks(trainer: Trainer | None, number: signal.Signals) -> None:
    """Send a signal to the ranks that this process has started."""
    launcher = trainer.strategy.launcher if trainer else None
    if launcher is not None:
        launcher.kill(number)
