"""A place that cannot be written and a full disk are reported in one clear line."""

from __future__ import annotations

import errno
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from cage_lightning.callbacks import AtomicCheckpointIO
from cage_lightning.errors import ConfigError, DataError, OutputError
from cage_lightning.system import storage
from cage_lightning.system.atomic import write_atomic
from cage_lightning.system.storage import (
    check_shared_memory,
    check_writable,
    check_writable_file,
    room_for,
)

PLACE = Path("runs/x")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def little_is_free(monkeypatch: pytest.MonkeyPatch, *places: Path) -> None:
    """Make 1 KiB free in some places, and 1 TiB in all others."""
    monkeypatch.setattr(
        shutil,
        "disk_usage",
        lambda place: SimpleNamespace(total=2**16, free=2**10 if Path(place) in places else 2**40),
    )


def test_a_place_need_not_be_there_yet(tmp_path: Path) -> None:
    check_writable(tmp_path / "a/b/c", "output=DIR")
    check_writable_file(tmp_path / "a/b.json", "output=FILE")
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file/below", Path("/proc/nothing/below")):
        with pytest.raises(ConfigError, match=rf"cannot write to {place}: .*output=DIR"):
            check_writable(place, "output=DIR")
    with pytest.raises(ConfigError, match="it is a folder; name a file with output=FILE"):
        check_writable_file(tmp_path, "output=FILE")


def test_a_file_that_finds_no_room_is_named_and_the_old_one_stays(small_disk: Path) -> None:
    file = small_disk / "checkpoint.ckpt"
    write_atomic(file, "old")
    with pytest.raises(OutputError, match=rf"{file}: No space left on device: make room, and"):
        write_atomic(file, b"x" * 2**17)
    with pytest.raises(OutputError, match=rf"{file}: No space left on device: make room, and"):
        AtomicCheckpointIO().save_checkpoint({"a": torch.zeros(2**15)}, file)
    assert file.read_text() == "old"
    assert list(small_disk.iterdir()) == [file]


def test_what_torch_says_of_a_full_disk_is_not_what_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    little_is_free(monkeypatch, tmp_path)
    with (
        pytest.raises(OutputError) as told,
        room_for(PLACE),
        Path("/dev/full").open("wb") as file,
    ):
        torch.save({"a": torch.zeros(10)}, file)
    assert str(told.value).startswith("runs/x: No space left on device: make room")


def test_the_first_error_is_told_not_that_of_the_clean_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    little_is_free(monkeypatch, tmp_path)

    def fail(code: int) -> None:
        raise OSError(code, "not this time")

    monkeypatch.setattr("os.fsync", lambda _: fail(errno.EDQUOT))
    monkeypatch.setattr("pathlib.Path.unlink", lambda *_, **__: fail(errno.EROFS))
    with pytest.raises(OutputError, match=r"file: not this time: make room"):
        write_atomic(tmp_path / "file", "content")


def test_what_torch_says_of_too_little_memory() -> None:
    size = 2**50
    told = rf"tried to allocate {size} bytes\): lower the batch size"
    with pytest.raises(OutputError, match=told), room_for(PLACE):
        torch.empty(size, dtype=torch.uint8)


def test_a_read_only_place_and_an_error_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"^a/b: Read-only file system$"), room_for(PLACE):
        raise OSError(errno.EROFS, "Read-only file system", "a/b")
    for error in (OSError(errno.EIO, "I/O"), RuntimeError("a bug"), DataError("a broken picture")):
        with pytest.raises(type(error)) as seen, room_for(PLACE):
            raise error
        assert seen.value is error


def test_a_folder_that_is_deleted_while_it_is_written_to_is_named(tmp_path: Path) -> None:
    lost = tmp_path / "run/csv"
    with (
        pytest.raises(OutputError, match=f"^{lost} is no longer there"),
        room_for(tmp_path / "run"),
    ):
        (lost / "metrics.csv").write_text("step")
    with pytest.raises(FileNotFoundError), room_for(tmp_path / "run"):
        (tmp_path / "pictures/0.jpg").read_bytes()


@pytest.mark.parametrize(
    "reported",
    [
        "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that "
        "dataloader's workers are out of shared memory. Please try to raise your shared memory "
        "limit.",
        "Caught RuntimeError in DataLoader worker process 0.\nOriginal Traceback (most recent "
        "call last):\nRuntimeError: unable to allocate shared memory(shm) for file </torch_1_2_0>: "
        "No space left on device (28)",
    ],
)
def test_too_little_shared_memory_says_what_helps(reported: str) -> None:
    error = RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly")
    with pytest.raises(OutputError) as told, room_for(PLACE):
        raise error from RuntimeError(reported)
    message = str(told.value)
    for part in ("/dev/shm", "data.num_workers=0", "--shm-size=", "the same command goes on"):
        assert part in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "reported",
    [
        "DataLoader worker (pid 7) is killed by signal: Killed. ",
        "DataLoader worker (pid 7) is killed by signal: Terminated. ",
        "DataLoader worker (pid 7) exited unexpectedly with exit code 143. Details are lost due to "
        "multiprocessing. Rerunning with num_workers=0 may give better error trace.",
        "DataLoader worker (pid(s) 7, 8) exited unexpectedly",
    ],
)
def test_a_loader_process_that_was_ended_is_one_line(reported: str) -> None:
    with pytest.raises(OutputError, match=r"^a process that decodes .* goes on$"), room_for(PLACE):
        raise RuntimeError(reported)


def test_a_loader_process_that_crashes_keeps_its_traceback() -> None:
    crashed = "DataLoader worker (pid 7) is killed by signal: Segmentation fault. "
    with pytest.raises(RuntimeError, match="exited unexpectedly"), room_for(PLACE):
        raise RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly") from RuntimeError(
            crashed
        )


def test_a_nameless_error_blames_the_place_that_is_full(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    def told() -> str:
        with pytest.raises(OutputError) as error, room_for(PLACE):
            raise OSError(errno.ENOSPC, "No space left on device")
        return str(error.value)

    little_is_free(monkeypatch, tmp_path, storage.SHARED_MEMORY)
    assert told().startswith("runs/x: No space")
    little_is_free(monkeypatch, storage.SHARED_MEMORY)
    assert told().startswith("the shared memory in /dev/shm")
    little_is_free(monkeypatch)
    assert told() == "No space left on device: make room, and the same command goes on"


def test_a_batch_that_finds_no_room_is_refused_before_the_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    little_is_free(monkeypatch, storage.SHARED_MEMORY)
    check_shared_memory(2**10)
    with pytest.raises(OutputError, match=r"data\.num_workers=0 does without"):
        check_shared_memory(2**10 + 1)
    monkeypatch.setattr(storage, "SHARED_MEMORY", Path("/nowhere"))  # as on a Mac
    check_shared_memory(2**30)


def test_ctrl_c_inside_a_save_stays_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unexpected() -> None:
        raise RuntimeError("unexpected pos 704 vs 598")

    def save(*_: object) -> None:
        with ExitStack() as archive:
            archive.callback(unexpected)  # as torch does where it closes the file
            raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", save)
    with pytest.raises(KeyboardInterrupt):
        AtomicCheckpointIO().save_checkpoint({}, tmp_path / "last.ckpt")
    assert list(tmp_path.iterdir()) == []
