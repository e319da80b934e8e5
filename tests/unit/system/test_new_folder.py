"""A folder that is there as a whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cage_lightning.errors import ConfigError
from cage_lightning.system.atomic import new_folder


def test_a_folder_appears_as_a_whole(tmp_path: Path) -> None:
    with new_folder(tmp_path / "deep" / "out") as part:
        (part / "file").write_text("content")
        assert not (tmp_path / "deep" / "out").exists()
    assert [file.name for file in (tmp_path / "deep").iterdir()] == ["out"]
    assert (tmp_path / "deep/out/file").read_text() == "content"


def test_what_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with new_folder(tmp_path / "out") as part:
            (part / "file").write_text("content")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_what_came_in_between_stays(tmp_path: Path) -> None:
    def late() -> None:
        with new_folder(tmp_path / "out") as part:
            (part / "file").write_text("mine")
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "file").write_text("theirs")

    with pytest.raises(ConfigError, match="exists already"):
        late()
    assert [file.name for file in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out/file").read_text() == "theirs"


def test_what_a_killed_process_left_is_removed_and_what_is_at_work_is_not(tmp_path: Path) -> None:
    for name in ("out-dead", "out-busy", "other-dead"):
        (tmp_path / f".part-{name}").mkdir()
        (tmp_path / f".part-{name}" / ".lock").touch()
    busy = "import sys, fcntl; f = open(sys.argv[1], 'r+'); fcntl.lockf(f, fcntl.LOCK_EX)"
    wait = f"{busy}; print(flush=True); sys.stdin.read()"
    held = [sys.executable, "-c", wait, str(tmp_path / ".part-out-busy/.lock")]
    with subprocess.Popen(held, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with new_folder(tmp_path / "out"):
            pass
        process.communicate()
    names = {folder.name for folder in tmp_path.iterdir()}
    assert names == {"out", ".part-out-busy", ".part-other-dead"}
    assert list((tmp_path / "out").iterdir()) == []
