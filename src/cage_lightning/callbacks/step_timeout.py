"""The end of a run in which nothing moves any more, with the stacks of its threads."""

from __future__ import annotations

import faulthandler
import logging
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import RunningStage

from cage_lightning.callbacks.preemption import end_at_once
from cage_lightning.data.loading import SHOW_STACKS
from cage_lightning.errors import CageError, ConfigError
from cage_lightning.runs.folder import RunFolder
from cage_lightning.system.atomic import open_log, write_atomic

log = logging.getLogger(__name__)

EXIT_CODE = os.EX_TEMPFAIL
"""75, by which sysexits.h means that the same command may succeed later."""

_LOOK_S = 1.0  # between two looks at whether anything has moved
_PATIENCE_S = 10.0  # with a write: what hangs may be the file system of the run folder
_ONE_WORKER_S = 0.2  # in which a loader process prints its stacks, not among those of others
_FIRST_RANK_S = 5.0  # that rank 0 leaves the others for their stacks
_OTHER_RANKS_S = 30.0  # that the others leave rank 0, which ends them and speaks for all
_DEBUGGERS = ("bdb", "pydevd")
_STAGES: dict[RunningStage | None, str] = {
    RunningStage.TRAINING: "the training",
    RunningStage.SANITY_CHECKING: "the sanity check",
    RunningStage.VALIDATING: "the validation",
    RunningStage.TESTING: "the test",
}


class StepTimeout(Callback):
    """End a run of which no step, and no batch of a validation or test, ends within a bound.

    What hangs may be a rank that is gone or stopped, in whose collective the others wait for ever,
    a file system that no longer answers, or a loader. Every rank looks from a thread of its own
    whether Lightning calls any hook, writes the stacks of its threads into the run folder, and
    ends with exit code 75. Rank 0 waits for the stacks of the others, writes error.txt and ends
    the ranks that it has started, also stopped ones. The run resumes from its last save.

    Time in which the process is suspended, or a debugger waits for somebody, does not count. A rank
    does not notice what keeps Python's global lock while it hangs; the others do.

    Args:
        seconds: The bound.
        folder: The run folder.

    Raises:
        ConfigError: The bound is not above 0.
    """

    def __init__(self, seconds: float, folder: str) -> None:
        if not seconds > 0:
            raise ConfigError(
                f"callbacks.step_timeout.seconds={seconds} is not above 0; "
                "callbacks.step_timeout=null does without a bound"
            )
        self.seconds, self.folder = seconds, RunFolder(Path(folder))
        self._moves = 0
        self._over = threading.Event()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Begin to watch a training or a test."""
        self._over = threading.Event()
        watch = threading.Thread(target=self._watch, args=(trainer, self._over), daemon=True)
        watch.start()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Watch no longer."""
        self._over.set()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Watch no longer."""
        self._over.set()

    def _moved(self, *_: Any, **__: Any) -> None:
        self._moves += 1

    on_train_start = on_train_epoch_start = on_train_epoch_end = _moved
    on_train_batch_start = on_train_batch_end = on_save_checkpoint = _moved
    on_validation_start = on_validation_end = on_test_start = on_test_end = _moved
    on_validation_batch_start = on_validation_batch_end = _moved
    on_test_batch_start = on_test_batch_end = _moved

    def _watch(self, trainer: Trainer, over: threading.Event) -> None:
        """Count the looks at which nothing has moved: no clock runs while a process is stopped."""
        pause = min(self.seconds / 10, _LOOK_S)
        still, seen = 0.0, self._moves
        while not over.wait(pause):
            still = 0.0 if seen != self._moves or _debugged() else still + pause
            seen = self._moves
            if still >= self.seconds:
                self._end(trainer)

    def _end(self, trainer: Trainer) -> None:
        rank = trainer.global_rank
        stacks = self.folder.path / f"stacks-rank{rank}.txt"
        where = (
            f"{_STAGES.get(trainer.state.stage, 'the start')}, "
            f"step {trainer.global_step + 1}, epoch {trainer.current_epoch + 1}"
        )
        if not _in_time(lambda: _write_stacks(stacks, where)):
            _in_time(lambda: faulthandler.dump_traceback(2))
        if trainer.world_size > 1:
            time.sleep(_OTHER_RANKS_S if rank else _FIRST_RANK_S)
        hung = CageError(
            f"nothing has moved for {self.seconds:g} s on rank {rank} in {where}: a loader, "
            "another rank, or the file system of the data or of the run hangs; the stacks of the "
            f"threads are in {stacks}. The same command goes on from the last save; "
            "callbacks.step_timeout.seconds=N waits longer"
        )
        _in_time(lambda: print(f"error: {hung}", file=sys.stderr, flush=True))
        _in_time(lambda: write_atomic(self.folder.error_file, f"{hung}\n"))
        _in_time(lambda: log.error("%s failed", self.folder.path, exc_info=hung))
        end_at_once(trainer, EXIT_CODE)


def _debugged() -> bool:
    """Whether a debugger is at work in the main thread, perhaps waiting for somebody."""
    main = threading.main_thread().ident
    frame = None if main is None else sys._current_frames().get(main)
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] in _DEBUGGERS:
            return True
        frame = frame.f_back
    return False


def _write_stacks(file: Path, where: str) -> None:
    """Append the stacks of this process to a file; those of loader processes go to stderr.

    No line of code is read for them, which could be on a file system that hangs as well.
    """
    for worker in multiprocessing.active_children():
        if worker.pid is not None:
            os.kill(worker.pid, SHOW_STACKS)
            time.sleep(_ONE_WORKER_S)
    with open_log(file) as opened:
        opened.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}, in {where}\n")
        opened.flush()
        faulthandler.dump_traceback(opened)


def _in_time(task: Callable[[], object]) -> bool:
    """Do what may hang or fail, and say whether it is done."""
    done = threading.Event()

    def work() -> None:
        with suppress(Exception):
            task()
            done.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(_PATIENCE_S)
    return done.is_set()
