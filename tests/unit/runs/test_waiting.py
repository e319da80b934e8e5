"""A run that starts from another one waits until that is finished, failed or abandoned."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from cage_lightning.errors import CheckpointError
from cage_lightning.runs import waiting
from cage_lightning.system.atomic import is_held
from tests.conftest import locked_elsewhere


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_SECONDS_TO_START", 0.2)
    monkeypatch.setattr(waiting, "_POLL_S", 0.02)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)


def test_a_finished_run_and_a_file_need_no_waiting(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text("{}")
    for limit in (0, 10):
        waiting.wait_for_run(tmp_path, limit)
        waiting.wait_for_run(tmp_path / "metrics.json", limit)


def test_without_waiting_an_unfinished_run_is_no_start(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"starts, is not finished after 0 s$"):
        waiting.wait_for_run(tmp_path, 0)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/best.ckpt").touch()
    with pytest.raises(CheckpointError, match=r"is not finished .*; .*best.ckpt has its best"):
        waiting.wait_for_run(tmp_path, 0)
    (tmp_path / "error.txt").touch()
    with pytest.raises(CheckpointError, match=r"failed: see .*train.log"):
        waiting.wait_for_run(tmp_path, 0)


def test_a_checkpoint_of_an_unfinished_run_is_waited_for_or_taken_as_it_is(tmp_path: Path) -> None:
    best = tmp_path / "run/checkpoints/best.ckpt"
    best.parent.mkdir(parents=True)
    best.touch()
    waiting.wait_for_run(best, 0)
    with pytest.raises(CheckpointError, match="is not finished"):
        waiting.wait_for_run(best, 0.1)
    waiting.wait_for_run(tmp_path / "model.pt", 10)  # this is another file, though a missing one


def test_it_waits_while_the_run_is_trained(tmp_path: Path) -> None:
    finish = threading.Timer(0.6, (tmp_path / "metrics.json").write_text, ["{}"])
    with locked_elsewhere(tmp_path / ".lock"):
        finish.start()
        waiting.wait_for_run(tmp_path, 10)
    assert (tmp_path / "metrics.json").exists()


def test_it_gives_up_on_a_run_that_nobody_trains(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(CheckpointError, match="no process trains it"):
            waiting.wait_for_run(place, 10)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EACCES])
def test_it_says_where_it_cannot_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "1")  # in a SLURM job it would wait for long
    (tmp_path / ".lock").touch()

    def fail(*arguments: object, **named: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.lockf" if number == errno.ENOLCK else "os.open", fail)
    with pytest.raises(CheckpointError, match=r"not finished, .* cannot be told \(.*\)"):
        waiting.wait_for_run(tmp_path, 10)


def test_asking_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no process trains it: train it first.*start=none"):
        waiting.wait_for_run(tmp_path, 10)
    assert not list(tmp_path.iterdir())
    (tmp_path / ".lock").touch()
    with locked_elsewhere(tmp_path / ".lock"):
        assert is_held(tmp_path / ".lock")
    assert not is_held(tmp_path / ".lock")


def test_it_gives_up_after_the_limit(tmp_path: Path) -> None:
    with (
        locked_elsewhere(tmp_path / ".lock"),
        pytest.raises(CheckpointError, match="is not finished"),
    ):
        waiting.wait_for_run(tmp_path, 0.4)


@pytest.mark.parametrize("cluster", [True, False])
def test_it_gives_up_on_a_run_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: bool
) -> None:
    if cluster:
        monkeypatch.setenv("SLURM_JOB_ID", "1")
    (tmp_path / "error.txt").write_text("no data\n")
    with pytest.raises(CheckpointError, match=r"failed: see .*train\.log"):
        waiting.wait_for_run(tmp_path, 10)


def test_on_a_cluster_a_run_may_be_queued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    with pytest.raises(CheckpointError, match="is not finished"):
        waiting.wait_for_run(tmp_path, 0.5)
