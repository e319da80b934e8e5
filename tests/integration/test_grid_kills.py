"""A grid, or a search, that is killed at random moments ends as if nothing had happened."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import Command, environment, forks

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


def saved_since(moment: float, runs: Path) -> Iterator[Path]:
    """The runs that have got further since then."""
    for file in runs.rglob("last.ckpt"):
        if file.stat().st_mtime > moment:
            yield file


def strike(victim: str, launcher: subprocess.Popen[bytes], folder: Path) -> None:
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


def started(settings: Sequence[str], folder: Path, demo_root: Path) -> subprocess.Popen[bytes]:
    """The command, since when a checkpoint was saved; or it has ended."""
    with forks():
        launcher = subprocess.Popen(
            [sys.executable, "-m", "cage_lightning.train", *settings, SLOTS, "runs=killed"],
            cwd=folder,
            env=environment(demo_root),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    began = time.time()
    while launcher.poll() is None and not any(saved_since(began, folder / "killed")):
        time.sleep(0.02)
    return launcher


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_grid_that_is_killed_at_random(command: Command, tmp_path: Path, demo_root: Path) -> None:
    # In this process, one after the other: the results are the same.
    command("train", *GRID, "runs=undisturbed", "hydra/launcher=basic")
    moments = random.Random(5)
    finished: dict[Path, int] = {}
    for victim in itertools.cycle(("everything", "launcher", "everything", "launcher", "job")):
        launcher = started(GRID, tmp_path, demo_root)
        with suppress(subprocess.TimeoutExpired):
            launcher.wait(moments.choice((0, 0.1, 0.2, 0.4, 0.8, 1.6)))
        strike(victim, launcher, tmp_path)
        for file in (tmp_path / "killed").rglob("metrics.json"):
            changed = file.stat().st_mtime_ns
            assert finished.setdefault(file, changed) == changed, f"{file} was written again"
        if launcher.returncode == 0:
            break
    last = command("train", *GRID, SLOTS, "runs=killed")
    assert "6 jobs: 6 skipped" in last.stdout
    assert len(finished) == 6
    resumed = [
        log.read_text().count("resuming from") for log in tmp_path.glob("killed/*/*/train.log")
    ]
    assert sum(resumed) > 0

    for runs in ("undisturbed", "killed"):
        command("collect", "table=table6", f"runs={runs}", f"output={runs}")
    tables = [(tmp_path / runs / "results.csv").read_bytes() for runs in ("undisturbed", "killed")]
    assert tables[0] == tables[1]


def history(runs: Path) -> list[list[str]]:
    """The trials of a search: state, value, validations and settings."""
    table = (runs / "default/.search/search.csv").read_text().splitlines()
    return [line.split(",")[:-1] for line in table]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_search_that_is_killed_at_random(
    command: Command, tmp_path: Path, demo_root: Path
) -> None:
    undisturbed = command("train", *SEARCH, "runs=undisturbed", "hydra/launcher=basic")
    moments = random.Random(7)
    # One that is killed leaves the search as it is: its job starts again.
    for victim in itertools.cycle(("everything", "job", "launcher")):
        launcher = started(SEARCH, tmp_path, demo_root)
        with suppress(subprocess.TimeoutExpired):
            launcher.wait(moments.choice((0, 0.2, 0.8, 1.6)))
        strike(victim, launcher, tmp_path)
        if launcher.returncode == 0:
            break
    last = command("train", *SEARCH, SLOTS, "runs=killed")
    assert history(tmp_path / "killed") == history(tmp_path / "undisturbed")
    assert {row[1] for row in history(tmp_path / "killed")[1:]} == {"finished", "pruned"}
    assert "jobs: " not in last.stdout  # nothing is left to run
    best = [
        next(line for line in done.stdout.splitlines() if line.startswith("best: "))
        for done in (undisturbed, last)
    ]
    assert best[0].partition(" (")[0] == best[1].partition(" (")[0]
    logs = tmp_path.glob("killed/default/*/train.log")
    assert sum(log.read_text().count("resuming from") for log in logs) > 0
