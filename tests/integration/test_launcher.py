"""`hydra/launcher=gpus`: a sweep is a set of single runs, each on devices of its own."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

import pytest
from omegaconf import OmegaConf

from hydra_plugins.cage_launcher import _guard
from tests.conftest import TINY, Command, environment, forks
from tests.wandb_files import read_run

PLAY = """
defaults:
  - _self_
  - override hydra/job_logging: none
  - override hydra/launcher: gpus
act: pass
name: nobody
trainer: {accelerator: gpu, devices: 1}
hydra:
  output_subdir: null
  run: {dir: .}
  sweep: {dir: sweep, subdir: .}
"""

# Only the course of these runs matters.
SMALL = "model.image_size=32"
Play = Callable[..., subprocess.Popen[str]]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Start `python -m tests.play -m ...` in tmp_path; it and its jobs are forks by default."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/play.yaml").write_text(PLAY)

    def start(
        *arguments: str, process: Literal["forked", "started"] = "forked", **env: str
    ) -> subprocess.Popen[str]:
        with forks() if process == "forked" else nullcontext():
            return subprocess.Popen(
                [sys.executable, "-m", "tests.play", "--config-dir=elsewhere", "-m", *arguments],
                cwd=tmp_path,
                env=environment(tmp_path) | {"PYTHONPATH": str(ROOT)} | env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )

    return start


def processes_in(folder: Path) -> list[str]:
    """The command lines of all processes that work in `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == folder:
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:  # it has ended, or is not ours
            continue
    return found


def wait_for(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@pytest.mark.slow
def test_no_two_jobs_hold_one_device(play: Play, tmp_path: Path) -> None:
    devices = ("trainer.devices=1,2", "hydra.launcher.devices=[3,5,7]")
    process = play("+again=0,1,2", *devices, LOCAL_RANK="1", CUDA_VISIBLE_DEVICES="9")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    assert "6 jobs: 6 done" in out
    assert "running +again=0 trainer.devices=1 on 3\n" in out
    ran = [json.loads(file.read_text()) for file in tmp_path.glob("ran-*.json")]
    counts = sorted(len(job["devices"].split(",")) for job in ran)
    assert counts == [1, 1, 1, 2, 2, 2]
    for job in ran:
        assert set(job["devices"].split(",")) < {"3", "5", "7"}
        assert f"trainer.devices={len(job['devices'].split(','))}" in job["argv"]
        assert "hydra.mode=RUN" in job["argv"]
        assert job["rank"] is None


@pytest.mark.slow
def test_jobs_on_the_cpu_take_cpu_slots(play: Play, tmp_path: Path) -> None:
    process = play(
        "+again=0,1", "trainer.accelerator=cpu", "hydra.launcher.devices=[0]", process="started"
    )
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    assert out.count(" on cpu\n") == 2
    assert "2 jobs: 1 waiting, 1 done" in out  # one at a time
    (file, _) = tmp_path.glob("ran-*.json")
    assert json.loads(file.read_text())["threads"] == "1"  # as the environment says


@pytest.mark.slow
def test_a_failure_stops_no_other_job(play: Play, tmp_path: Path) -> None:
    process = play("act=fail,pass", "+again=0,1", "hydra.launcher.devices=[0]")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert len(list(tmp_path.glob("ran-*.json"))) == 2
    assert err.splitlines() == [
        "error: 2 of 4 jobs failed",
        "  act=fail +again=0: exit code 1: error: this one fails",
        "    sweep/0.log",
        "  act=fail +again=1: exit code 1: error: this one fails",
        "    sweep/1.log",
    ]
    log = (tmp_path / "sweep/0.log").read_text().splitlines()
    assert log[0].startswith(f"$ {sys.executable} -m tests.play ")
    assert log[-1] == "error: this one fails"


@pytest.mark.parametrize(
    ("blow", "code"),
    [
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow),
        (signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_nothing_outlives_the_launcher(
    play: Play, tmp_path: Path, blow: signal.Signals, code: int
) -> None:
    process = play("act=victim", "name=a,b,c", "hydra.launcher.devices=[0,1]")
    for name in "ab":
        wait_for((tmp_path / f"ready-{name}").exists, f"job {name} does not start")
    os.killpg(process.pid, blow)  # as Ctrl-C does
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, out + err
    if blow == signal.SIGKILL:
        wait_for(lambda: not processes_in(tmp_path), "a process lives on")
    assert processes_in(tmp_path) == []
    assert {file.name for file in tmp_path.glob("saved-*")} == {"saved-a", "saved-b"}
    assert not (tmp_path / "ready-c").exists()
    assert "Traceback" not in err
    assert ("stopping 2 jobs" in err) == (blow != signal.SIGKILL)


def test_what_does_not_listen_is_killed() -> None:
    deaf = (
        "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(99)"
    )
    command = [sys.executable, "-IS", _guard.__file__, "0.3", sys.executable, "-c", deaf]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as guard:
        assert guard.stdin is not None
        assert guard.stdout is not None
        guard.stdout.readline()
        guard.stdin.close()
        assert guard.wait(60) == 128 + signal.SIGKILL


REFUSED = {
    "one folder": (
        ("optimizer.lr=1e-4,1e-3", "tag=x"),
        "optimizer.lr=0.0001 and optimizer.lr=0.001 would",
    ),
    "too many devices": (
        (
            *("trainer=gpu", "trainer.devices=2,3", "tag=d${trainer.devices}"),
            "hydra.launcher.devices=[0,1]",
        ),
        "trainer.devices=3 needs 3 devices and there are 2",
    ),
    "no device": (("trainer=gpu", "seed=0,1", "hydra.launcher.devices=[]"), "there are 0"),
    "no place": (("seed=0,1", "hydra.launcher.cpu_slots=0"), "cpu_slots are at least 1"),
    "unknown choice": (("loss=va,vaa",), "did you mean 'va'"),
    "from itself": (
        ("seed=0,1", "init_from=${runs}/default/demo8-tiny-combined-s${seed}"),
        "seed=0 would start from a run that starts from it",
    ),
    "from its own checkpoint": (
        (
            "seed=0,1",
            "init_from=${hydra:runtime.cwd}/${runs}/default/"
            "demo8-tiny-combined-s${seed}/checkpoints/best.ckpt",
        ),
        "seed=0 would start from a run that starts from it",
    ),
    "of another command": (("sweep=figure11",), "sweep=figure11 is for evaluate, not for train"),
}


@pytest.mark.parametrize("grid", REFUSED)
def test_a_grid_that_cannot_run_starts_nothing(command: Command, tmp_path: Path, grid: str) -> None:
    arguments, expected = REFUSED[grid]
    done = command("train", "-m", *TINY, *arguments, check=False)
    assert done.returncode == 1
    assert expected in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert not list(tmp_path.rglob("*.log"))


def metrics(runs: Path) -> dict[str, dict[str, Any]]:
    """The scores of every run below a folder."""
    return {
        file.parent.name: {
            key: value
            for key, value in json.loads(file.read_text()).items()
            if key.startswith("test/")
        }
        for file in runs.glob("default/*/metrics.json")
    }


@pytest.mark.slow
def test_a_grid_equals_its_single_runs(command: Command, tmp_path: Path, few_faces: Path) -> None:
    settings = (*TINY, "trainer.max_epochs=1", SMALL, f"data.root={few_faces}")
    grid = ("-m", *settings, "loss=combined,va", "seed=0,1", "hydra.launcher.cpu_slots=2")
    swept = command("train", *grid, "runs=swept")
    assert "4 jobs: 4 done" in swept.stdout
    for loss, seed in (("combined", 0), ("va", 1)):
        command("train", *settings, f"loss={loss}", f"seed={seed}", "runs=single")
    single = metrics(tmp_path / "single")
    assert len(single) == 2
    assert len(metrics(tmp_path / "swept")) == 4
    assert {run: metrics(tmp_path / "swept")[run] for run in single} == single

    # Again: what is finished is left alone.
    (tmp_path / "swept/default/demo8-tiny-va-s1/metrics.json").unlink()
    again = command("train", *grid, "runs=swept")
    assert "4 jobs: 1 waiting, 3 skipped" in again.stdout
    assert "4 jobs: 1 done, 3 skipped" in again.stdout
    other = command("train", *grid, "runs=swept", "optimizer.lr=0.5", check=False)
    assert "optimizer.lr is 0.5 here and" in other.stderr

    # A sweep of evaluations.
    runs = ",".join(f"swept/default/demo8-tiny-va-s{seed}" for seed in (0, 1))
    few = (*TINY[:2], f"data.root={few_faces}")
    command("evaluate", "-m", *few, "data.num_workers=0", f"checkpoint={runs}", "flip=true")
    assert len(list(tmp_path.rglob("evaluations/demo8/metrics.json"))) == 2


@pytest.mark.slow
@pytest.mark.usefixtures("only_png")
def test_a_failure_is_told_everywhere_and_the_rest_is_complete(
    command: Command, tmp_path: Path, few_faces: Path
) -> None:
    importlib.import_module("wandb.sdk.launch")  # once, and not in each of the jobs
    runs = tmp_path / "runs/table6_demo"
    # Of seed 1 there is nothing to start from: it cannot save its checkpoints.
    (runs / "demo8-tiny-combined-s1").mkdir(parents=True)
    (runs / "demo8-tiny-combined-s1/checkpoints").touch()
    grid = (
        *("sweep=table6", "at=demo", "data=demo8", "loss=va,combined", "seed=1,0"),
        *("data.size=tiny", f"data.root={few_faces}", SMALL, "trainer.max_epochs=1"),
        "figures=false",
        *("logger=wandb", "hydra.launcher.cpu_slots=2"),
    )
    done = command("train", *grid, check=False)
    assert done.returncode == 1
    assert "4 jobs: 2 done, 2 failed" in done.stdout
    lines = done.stdout.splitlines()
    for seed in (0, 1):  # what comes first in the grid starts after what it needs
        row = f"loss={{}} seed={seed}"
        ended = next(n for n, line in enumerate(lines) if row.format("combined") + " after" in line)
        started = lines.index(f"running {row.format('va')} on cpu")
        assert ended < started
    assert "combined-s1/checkpoints" in done.stderr
    assert "demo8-tiny-combined-s1, from which this run starts, failed: see" in done.stderr

    assert "from which this run starts, failed" in (runs / "demo8-tiny-va-s1/error.txt").read_text()
    for loss in ("combined", "va"):
        for seed, code in ((0, 0), (1, 1)):
            assert read_run(runs / f"demo8-tiny-{loss}-s{seed}")["exit"] == code
    command("collect", "table=table6", "runs=runs", "output=out")
    page = (tmp_path / "out/page.html").read_text()
    assert "2 failed" in page
    assert "from which this run starts, failed" in page


@pytest.mark.slow
def test_runs_of_one_and_of_two_processes_side_by_side(
    command: Command, tmp_path: Path, few_faces: Path
) -> None:
    # Every second job is a pair of ranks: with devices of their own, none may meet a stranger.
    grid = ("trainer.devices=1,2", "seed=0,1", "tag=d${trainer.devices}")
    ddp = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.max_epochs=1")
    few = (*TINY[:3], f"data.root={few_faces}", "data.num_workers=0", SMALL)
    command("train", "-m", *few, *ddp, *grid, "hydra.launcher.cpu_slots=4")
    for devices in (1, 2):
        for seed in (0, 1):
            run = tmp_path / f"runs/default/demo8-tiny-combined-s{seed}-d{devices}"
            config = OmegaConf.load(run / "config.yaml")
            assert (config.seed, config.trainer.devices) == (seed, devices)
            meta = json.loads((run / "metrics.json").read_text())["meta"]
            assert (meta["seed"], meta["device"]["count"]) == (seed, devices)
    assert len(metrics(tmp_path / "runs")) == 4
    assert processes_in(tmp_path) == []
