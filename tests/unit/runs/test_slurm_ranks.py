"""Decisions, signals and requeueing of the ranks of a SLURM job, tested without SLURM."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch.utilities.exceptions import SIGTERMException
from omegaconf import OmegaConf

from cage_lightning.callbacks import LastCheckpoint, Preemption
from cage_lightning.errors import ConfigError
from cage_lightning.runs.folder import Stage
from cage_lightning.runs.slurm import one_decision, requeue, restarted
from hydra_plugins.cage_slurm.launcher import SlurmLauncher


def trainer_that(reduce: Callable[[bool], bool]) -> Any:
    """Return a trainer whose ranks decide together by `reduce`."""
    strategy = SimpleNamespace(
        reduce_boolean_decision=lambda mine, all: reduce(mine), launcher=None
    )
    return SimpleNamespace(
        is_last_batch=False,
        accumulate_grad_batches=1,
        check_val_every_n_epoch=1,
        val_check_batch=1000,
        should_stop=False,
        fit_loop=SimpleNamespace(epoch_loop=SimpleNamespace(batch_idx=0)),
        strategy=strategy,
        _logger_connector=SimpleNamespace(update_train_step_metrics=lambda: None),
    )


MODULE = SimpleNamespace(on_train_batch_end=lambda *step: None)
ALONE = trainer_that(bool)


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in {"NTASKS": "2", "JOB_ID": "7", "STEP_ID": "0", "PROCID": "1"}.items():
        monkeypatch.setenv(f"SLURM_{key}", value)


@pytest.fixture
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_all_ranks_receive_the_decision_of_the_first(job: None, tmp_path: Path) -> None:
    # An earlier start of the same job has left this file behind.
    (tmp_path / ".decision-7-0-9").write_text("old")
    received: list[str] = []
    other = threading.Thread(
        target=lambda: received.append(one_decision(tmp_path, lambda: "new", first=False))
    )
    other.start()
    other.join(0.5)
    assert other.is_alive()
    assert one_decision(tmp_path, lambda: "begun", first=True) == "begun"
    other.join()
    assert received == ["begun"]


def test_a_failure_of_the_first_ends_the_others(job: None, tmp_path: Path) -> None:
    def fail() -> Stage:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        one_decision(tmp_path, fail, first=True)
    assert (tmp_path / ".decision-7-0-0").read_text() == "failed"
    for content in ("failed", "no stage"):
        (tmp_path / ".decision-7-0-0").write_text(content)
        with pytest.raises(ConfigError, match="rank 0"):
            one_decision(tmp_path, lambda: "new", first=False)


def test_a_restart_decides_again(
    job: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not restarted()
    one_decision(tmp_path, lambda: "new", first=True)
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert restarted()
    assert one_decision(tmp_path, lambda: "begun", first=True) == "begun"


@pytest.mark.parametrize("first", [True, False])
def test_outside_slurm_each_decides(tmp_path: Path, first: bool) -> None:
    assert one_decision(tmp_path, lambda: "new", first) == "new"
    assert not list(tmp_path.iterdir())


def test_signals_are_heard_between_steps_only(job: None, handlers: None) -> None:
    preemption: Any = Preemption()
    preemption.listen()
    with pytest.raises(SIGTERMException):
        signal.raise_signal(signal.SIGUSR1)

    preemption = Preemption()
    preemption.on_train_start(ALONE, None)
    preemption.on_train_batch_end(ALONE, MODULE, None, None, 0)
    signal.raise_signal(signal.SIGUSR1)  # raises nothing here
    with pytest.raises(SIGTERMException) as left:
        preemption.on_train_batch_end(ALONE, MODULE, None, None, 1)
    assert left.value.code == 143


@pytest.mark.parametrize(
    ("validation_next", "accumulating", "leaves"), [(1, 1, 0), (0, 2, 0), (0, 1, 1)]
)
def test_it_leaves_only_where_a_checkpoint_resumes_exactly(
    handlers: None, validation_next: bool, accumulating: int, leaves: bool
) -> None:
    preemption: Any = Preemption()
    trainer = trainer_that(lambda mine: True)  # another rank has received a signal
    trainer.is_last_batch, trainer.accumulate_grad_batches = validation_next, accumulating
    with pytest.raises(SIGTERMException) if leaves else nullcontext():
        preemption.on_train_batch_end(trainer, MODULE, None, None, 0)


def test_all_ranks_agree_on_the_requeue(
    job: None, handlers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("cage_lightning.callbacks.preemption.requeue", lambda: asked.append("yes"))
    preemption: Any = Preemption()
    with pytest.raises(SIGTERMException):
        preemption.on_train_batch_end(trainer_that(lambda mine: True), MODULE, None, None, 0)
    preemption.left()
    assert asked == ["yes"]  # though this rank has received no signal


def test_the_other_ranks_are_taken_along() -> None:
    told: list[int] = []
    trainer = trainer_that(bool)
    trainer.strategy.launcher = SimpleNamespace(kill=told.append)
    preemption: Any = Preemption()
    preemption.setup(trainer, None, "fit")
    preemption.left()
    assert told == [signal.SIGTERM]


def test_a_signal_after_the_last_step_counts_on_every_rank(job: None, handlers: None) -> None:
    preemption: Any = Preemption()
    preemption.on_train_start(None, None)
    with pytest.raises(SIGTERMException):
        preemption.trained(trainer_that(lambda mine: True))
    preemption = Preemption()
    preemption.on_train_start(None, None)
    preemption.trained(ALONE)
    with pytest.raises(SIGTERMException):  # from now on a signal stops at once
        signal.raise_signal(signal.SIGUSR1)


def test_only_the_state_of_the_training_is_saved() -> None:
    saved: list[str] = []
    trainer: Any = SimpleNamespace(
        global_step=3,
        should_stop=False,
        save_checkpoint=saved.append,
        lightning_module=torch.nn.Linear(1, 1),
    )
    last: Any = LastCheckpoint("last.ckpt", every_n_steps=5)
    stop = SIGTERMException()
    last.on_exception(trainer, None, stop)  # the weights are not restored yet
    assert not saved
    last.on_train_start(trainer, None)
    last.on_exception(trainer, None, stop)
    assert saved == ["last.ckpt"]
    last.on_train_end(trainer, None)
    last.on_exception(trainer, None, stop)  # the test has loaded the weights of the best epoch
    assert saved == ["last.ckpt"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGUSR1, 0), (signal.SIGTERM, 143)])
def test_workers_are_not_asked(
    job: None, handlers: None, number: signal.Signals, code: int
) -> None:
    preemption = Preemption()
    preemption.listen()
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            signal.raise_signal(number)
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == code


def test_sigterm_asks_for_no_requeue(
    job: None, handlers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cage_lightning.callbacks.preemption.requeue", pytest.fail)
    preemption = Preemption()
    preemption.listen()
    with pytest.raises(SIGTERMException):
        signal.raise_signal(signal.SIGTERM)
    preemption.left()


def test_a_second_sigterm_leaves_at_once(handlers: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends a step that hangs; `timeout` sends a signal twice in a row, which counts as one."""
    ended: list[int] = []
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("os._exit", ended.append)
    trainer = trainer_that(bool)
    trainer.strategy.launcher = SimpleNamespace(kill=ended.append)
    preemption: Any = Preemption()
    preemption.setup(trainer, None, "fit")
    preemption.on_train_start(trainer, None)
    for now[0] in (0.0, 0.1, 1.0):
        signal.raise_signal(signal.SIGTERM)
    assert ended == []
    worker = multiprocessing.get_context("fork").Process(target=signal.pause)
    worker.start()
    now[0] = 5.0
    signal.raise_signal(signal.SIGTERM)
    monkeypatch.undo()
    assert ended == [signal.SIGKILL, 143]
    worker.join()
    assert worker.exitcode == -signal.SIGKILL


def test_no_rank_leaves_before_slurm_ends_it(
    job: None, handlers: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # `scontrol` ends this rank, which would otherwise wait for a minute.
    (tmp_path / "scontrol").write_text("#!/bin/sh\nkill -TERM $PPID\n")
    (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("SLURM_PROCID", "0")
    child = os.fork()
    if child == 0:
        requeue()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM


def test_outside_slurm_usr1_is_not_ours(handlers: None) -> None:
    Preemption().listen()
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    monkeypatch.delitem(sys.modules, "hydra_plugins.cage_slurm._jobs", raising=False)
    launcher = SlurmLauncher()
    nothing: Any = None
    launcher.setup(hydra_context=nothing, task_function=nothing, config=OmegaConf.create())
    with pytest.raises(ConfigError, match=r"cage-lightning\[slurm\]"):
        launcher.launch([["seed=0"]], 0)
