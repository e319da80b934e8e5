"""Grids and searches that are killed while they run, for the tests that type them again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from tests.conftest import environment, forks

Victim = Literal["launcher", "job", "everything"]

# Two stages: `va` starts from the combined run of its seed.
GRID = (
    *("sweep=table6", "at=demo", "data=demo8", "data.size=tiny", "trainer.max_epochs=3"),
    *("data.batch_size=16", "model.image_size=32", "callbacks.last.every_n_steps=2"),
    "figures=false",
)
SLOTS = "hydra.launcher.cpu_slots=2"
SEARCH = (
    *("-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=6", "hydra.sweeper.n_jobs=2"),
    *("hydra.sweeper.pruner=median", "hydra.sweeper.pruning.n_startup_trials=1"),
    *("optimizer.lr=tag(log,interval(1e-5,1e-1))", "hydra.sweeper.seed=3"),
    *("data=demo8", "model=tiny", "trainer=cpu", "data.size=tiny", "trainer.max_epochs=3"),
    *("data.batch_size=16", "model.image_size=32", "callbacks.last.every_n_steps=2"),
    "data.num_workers=0",
)


def processes(folder: Path) -> list[int]:
    """Those that work in `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is not ours
            if (process / "cwd").readlink() == folder:
                found.append(int(process.name))
    return found


def jobs(folder: Path) -> Iterator[int]:
    """The jobs of a grid in `folder`: each has a group of its own, in the session of its guard."""
    for pid in processes(folder):
        with suppress(ProcessLookupError):
            if os.getpgid(pid) == pid != os.getsid(pid):
                yield pid


def started(settings: Sequence[str], folder: Path, data: Path) -> subprocess.Popen[bytes]:
    """The command, since when a checkpoint was saved below `killed`; or it has ended."""
    with forks():
        launcher = subprocess.Popen(
            [sys.executable, "-m", "cage_lightning.train", *settings, SLOTS, "runs=killed"],
            cwd=folder,
            env=environment(data),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    began = time.time()
    while launcher.poll() is None and not any(_saved_since(began, folder / "killed")):
        time.sleep(0.02)
    return launcher


def _saved_since(moment: float, runs: Path) -> Iterator[Path]:
    """The runs that have got further since then."""
    for file in runs.rglob("last.ckpt"):
        if file.stat().st_mtime > moment:
            yield file


def strike(victim: Victim, launcher: subprocess.Popen[bytes], folder: Path) -> None:
    """SIGKILL one or all of a grid's processes; returns when the launcher has ended."""
    while victim == "job" and launcher.poll() is None and not any(jobs(folder)):
        time.sleep(0.02)
    pids = {
        "launcher": lambda: [launcher.pid],
        "job": lambda: list(jobs(folder))[:1],
        "everything": lambda: processes(folder),
    }[victim]()
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    launcher.wait(300)


def resumed(runs: Path) -> int:
    """How often a run below the folder went on from a checkpoint."""
    return sum(log.read_text().count("resuming from") for log in runs.glob("*/*/train.log"))


def history(runs: Path) -> list[list[str]]:
    """The trials of a search: state, value, validations and settings."""
    table = (runs / "default/.search/search.csv").read_text().splitlines()
    return [line.split(",")[:-1] for line in table]


def best_line(output: str) -> str:
    """What a search says of its best trial, without the place of the run."""
    line = next(line for line in output.splitlines() if line.startswith("best: "))
    return line.partition(" (")[0]
