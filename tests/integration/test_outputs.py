"""Where commands write and print: places that cannot be written, full disks, other locales."""

from __future__ import annotations

import errno
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cage_lightning.commands import collect, evaluate, prepare, score
from cage_lightning.data.source import Source
from tests.conftest import TINY, Command
from tests.fabricated_runs import write_run

RUN = "runs/default/demo8-tiny-combined-s0"
ON_CPU = ("data=demo8", "data.size=tiny", "data.num_workers=0", "trainer=cpu")
FACES = ("data=demo8", "data.size=tiny")


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A finished run, below the folder that the commands work in."""
    shutil.copytree(trained / "runs", tmp_path / "runs")
    return tmp_path / RUN


def errors(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return [line for line in done.stderr.splitlines() if line.startswith("error: ")]


UNWRITABLE = {
    "evaluate": (("evaluate", f"checkpoint={RUN}", *ON_CPU), "output"),
    "score": (("score", f"predictions={RUN}/predictions.parquet"), "output"),
    "figures of score": (("score", f"predictions={RUN}/predictions.parquet"), "figures"),
    "collect": (("collect", "table=table6", "runs=runs"), "output"),
    "dashboard": (("dashboard", "table=table6", "runs=runs", "entity=me"), "output"),
    "analyze": (("analyze", *FACES), "output"),
    "prepare": (("prepare", *FACES), "data.store"),
    "train": (("train", *TINY), "runs"),
    "a sweep": (("train", "-m", *TINY, "seed=0,1"), "runs"),
}


@pytest.mark.parametrize("command_line", UNWRITABLE)
def test_a_place_that_cannot_be_written_is_named_before_the_work(
    command: Command, run: Path, monkeypatch: pytest.MonkeyPatch, command_line: str
) -> None:
    def work(*_: Any, **__: Any) -> None:
        raise AssertionError("the work has begun")

    monkeypatch.setattr(Source, "own_split", work)
    monkeypatch.setattr(evaluate, "gather", work)
    monkeypatch.setattr(score, "results_of", work)
    monkeypatch.setattr(collect, "read_runs", work)
    monkeypatch.setattr(prepare, "_pack", work)
    arguments, setting = UNWRITABLE[command_line]
    for place in ("/proc/nothing", f"{RUN}/metrics.json/below"):
        (error,) = errors(command(*arguments, f"{setting}={place}", check=False))
        assert error.startswith(f"error: cannot write to {place}")
        assert f"say where the results go with {setting}=" in error


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (("evaluate", f"checkpoint={RUN}", *ON_CPU), "evaluations/demo8/predictions.parquet"),
        (("score", f"predictions={RUN}/predictions.parquet"), "metrics.json"),
    ],
    ids=["evaluate", "score"],
)
def test_what_was_computed_is_seen_although_it_cannot_be_written(
    command: Command,
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    file: str,
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    done = command(*arguments, check=False)
    assert "CCC valence" in done.stdout
    (error,) = errors(done)
    assert "No space left on device: make room" in error
    assert not list(run.rglob(".part-*"))


@pytest.mark.slow
def test_a_training_that_finds_no_room_goes_on_when_there_is_some(
    command: Command, tmp_path: Path, trained: Path
) -> None:
    disk = tmp_path / "runs"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        # Room for best.ckpt, not for last.ckpt.
        (error,) = errors(command("train", *TINY, "loss=combined", check=False))
        assert error == (
            f"error: {RUN}/checkpoints/last.ckpt: No space left on device: "
            "make room, and the same command goes on"
        )
        assert (tmp_path / RUN / "error.txt").read_text() == f"{error.removeprefix('error: ')}\n"
        assert (tmp_path / RUN / "checkpoints/best.ckpt").is_file()
        subprocess.run([*mount[:4], "remount,size=64m", str(disk)], check=True)
        command("train", *TINY, "loss=combined")
        predictions = [place / RUN / "predictions.parquet" for place in (tmp_path, trained)]
        assert predictions[0].read_bytes() == predictions[1].read_bytes()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_locale_without_our_characters_ends_no_command(command: Command, run: Path) -> None:
    latin = {"PYTHONIOENCODING": "iso-8859-1"}
    done = command("evaluate", f"checkpoint={RUN}", *ON_CPU, "output='größe'", **latin)
    assert "| CCC valence" in done.stdout
    assert "größe" in done.stdout


@pytest.mark.slow
def test_a_page_is_the_same_in_every_locale(command: Command, tmp_path: Path) -> None:
    write_run(tmp_path / "runs", "data=affectnet8", log="größe\n")
    collect = ("collect", "table=table6", "runs=runs")
    command(*collect, "output=here")
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command(*collect, "output=elsewhere", process="started", **ascii_only)
    for name in ("page.html", "results.csv", "results.md", "results.tex"):
        here, elsewhere = (tmp_path / place / name for place in ("here", "elsewhere"))
        assert here.read_bytes() == elsewhere.read_bytes(), name
