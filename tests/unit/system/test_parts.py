"""The hidden files in which others are written: none stays for good, and none is taken away."""

from __future__ import annotations

import fcntl
import multiprocessing
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from cage_lightning.system.atomic import replacing, write_atomic

FORK = multiprocessing.get_context("fork")


def writer(path: Path, begun: Event, end: Event) -> None:
    with replacing(path) as part:
        part.write_text("content")  # which opens and closes the file
        begun.set()
        end.wait()


def at_work(path: Path) -> tuple[multiprocessing.process.BaseProcess, Event]:
    """A process that is writing a file, and what lets it come to its end."""
    begun, end = FORK.Event(), FORK.Event()
    process = FORK.Process(target=writer, args=(path, begun, end), daemon=True)
    process.start()
    assert begun.wait(60)
    return process, end


def test_what_a_killed_process_left_is_removed_and_what_is_at_work_is_not(tmp_path: Path) -> None:
    killed, _ = at_work(tmp_path / "a")
    killed.kill()
    killed.join()
    (left,) = tmp_path.iterdir()
    busy, end = at_work(tmp_path / "b")  # it has removed what it found
    assert not left.exists()
    write_atomic(tmp_path / "c", "content")
    assert len(list(tmp_path.iterdir())) == 2
    end.set()
    busy.join()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["b", "c"]


def test_parts_of_other_machines_stay(tmp_path: Path) -> None:
    others = {".part-00000000-dead", ".part-0123", "partial"}
    for name in others:
        (tmp_path / name).touch()
    write_atomic(tmp_path / "file", "content")
    assert {file.name for file in tmp_path.iterdir()} == others | {"file"}


def test_one_that_is_removed_before_it_is_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[Path] = []

    def late(descriptor: int, kind: int) -> None:
        if not removed:
            removed.extend(tmp_path.glob(".part-*"))
            removed[0].unlink()
        flock(descriptor, kind)

    flock = fcntl.flock
    monkeypatch.setattr(fcntl, "flock", late)
    with replacing(tmp_path / "file") as part:
        assert removed != [part]
        assert part.exists()
