"""`dry=true`: the jobs, their states and times; nothing is started or written."""

from __future__ import annotations

import json
import platform
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from cage_lightning.commands.outlook import Job, Outlook, show
from cage_lightning.commands.sample_counts import Counts, sample_counts
from cage_lightning.runs.folder import RunFolder
from cage_lightning.runs.measured import keep_rates, rates_file
from cage_lightning.runs.rates import Device, Measured, Rates, Workload
from hydra_plugins.cage_launcher._dry import makespan
from hydra_plugins.cage_launcher._slots import Slots
from tests.conftest import TINY, Command, composed, locked_elsewhere
from tests.fabricated_runs import write_run
from tests.planning import folders
from tests.unit.runs.test_rates import TIMING, plain

RUNS = Path("runs")
CPU = Device("cpu", platform.machine(), 1, 1)
RATES = Rates(train=100.0, evaluation=200.0, start_s=5.0, results_s=2.0)
SAMPLES = {"train": 229, "val": 27, "test": 63}
# 2 epochs of 229 and 27 samples, the test, the start and the scores.
SECONDS = 5 + 2 * 229 / 100 + (2 * 27 + 63) / 200 + 2


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file and folder below, with size and time of the last change."""
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in [folder, *folder.rglob("*")]
    }


def keep(runs: Path, *overrides: str) -> None:
    """What `benchmark` would have measured for a training."""
    settings = plain(*TINY, *overrides)
    measured = Measured(Workload.of(settings), CPU, RATES, "", SAMPLES, from_run=False)
    keep_rates(rates_file(runs, CPU), measured, {})


def lines(command: Command, cwd: Path, *arguments: str, door: str = "train") -> list[str]:
    """What a dry run prints, which changes nothing."""
    before = tree(cwd)
    done = command(door, *arguments, "dry=true")
    assert done.stderr == ""
    assert tree(cwd) == before
    said = done.stdout.splitlines()
    assert said[-1].startswith("dry=true: nothing was started")
    return said


def begin(folder: Path, step: int) -> None:
    (folder / "checkpoints").mkdir()
    torch.save({"global_step": step}, folder / "checkpoints/last.ckpt")


def test_a_sweep_is_told_by_state_and_time(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    grid = (*TINY, "start=combined")
    write_run(RUNS, *grid, "loss=discrete")
    half = write_run(RUNS, *grid, "loss=discrete", "seed=1", finished=False)
    begin(half, 4)  # of 4 steps in each of 2 epochs
    keep(RUNS, "loss=combined")
    said = lines(
        *(command, tmp_path, "-m", *grid, "loss=discrete,combined,va", "seed=0,1"),
        "hydra.launcher.cpu_slots=2",
    )
    rows = [re.split(r"  +", line) for line in said[:6]]
    assert [row[1] for row in rows[:4]] == [
        "finished",
        "half trained, after 1 of 2 epochs",
        "new",
        "new",
    ]
    assert rows[4][1] == "waiting for runs/default/demo8-tiny-combined-s0"
    assert rows[0][0] == "runs/default/demo8-tiny-discrete-s0"
    assert rows[2][2:] == ["0:00:12", "[2]"]
    assert rows[1][2] == "0:00:10"
    assert said[6] == "6 jobs: 1 finished, 1 half trained, 2 waiting, 2 new"
    assert re.fullmatch(
        r"about 0\.0\d CPU hours, 0:00:\d\d until all is done \(places on the CPU: 2\)", said[7]
    )
    source = (
        f"tiny at 64 pixels in batches of 64 on {CPU}: 100 pictures/s in training, "
        "200 in evaluation, from benchmark{}; samples as in how many are drawn"
    )
    assert said[8:10] == [
        f"[1] {source.format(' of loss=combined')}",
        f"[2] {source.format('')}",
    ]


def test_without_rates_the_command_that_measures_them_is_told(
    command: Command, tmp_path: Path
) -> None:
    said = lines(command, tmp_path, *TINY, "augment=light", "sam=0.05")
    assert re.split(r"  +", said[0]) == [
        "runs/default/demo8-tiny-combined-s0", "new", "unknown", "[1]",
    ]  # fmt: skip
    (unknown,) = [line for line in said if line.startswith("[1]")]
    prefix = "[1] unknown: OMP_NUM_THREADS=1 python -m cage_lightning.benchmark "
    assert unknown.startswith(prefix)
    typed = unknown.removeprefix(prefix).split()
    measured: Any = OmegaConf.to_container(composed(*typed, config_name="benchmark"), resolve=True)
    assert Workload.of(plain(*TINY, "augment=light", "sam=0.05")) == Workload.of(measured)


def test_a_run_that_another_process_trains_is_running(command: Command, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "runs", *TINY, finished=False)
    with locked_elsewhere(folder / ".lock"):
        assert "running" in lines(command, tmp_path, *TINY)[0]


def test_a_damaged_state_and_a_start_that_nobody_trains_are_said(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = write_run(RUNS, *TINY, "loss=va", finished=False)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints/last.ckpt").write_text("no checkpoint")
    assert "last.ckpt cannot be read" in lines(command, tmp_path, *TINY, "loss=va")[0]
    said = lines(command, tmp_path, *TINY, "loss=va", "seed=3", "start=combined")
    assert "which no job of this command trains" in said[0]


def test_other_settings_under_the_same_name_are_refused(command: Command, tmp_path: Path) -> None:
    write_run(tmp_path / "runs", *TINY, "optimizer.lr=1e-4")
    done = command("train", *TINY, "dry=true", check=False)
    assert done.returncode == 1
    assert "holds a run with another config: optimizer.lr" in done.stderr


def test_a_damaged_file_of_rates_is_one_line(command: Command, tmp_path: Path) -> None:
    file = rates_file(tmp_path / "runs", CPU)
    file.parent.mkdir(parents=True)
    file.write_text("{")
    assert any(
        line.startswith(f"{rates_file(RUNS, CPU)} is left out")
        for line in lines(command, tmp_path, *TINY)
    )


def test_a_search_is_told_by_its_trials(command: Command, tmp_path: Path) -> None:
    keep(tmp_path / "runs")
    search = (
        "hydra/sweeper=optuna",
        "optimizer.lr=interval(1e-4,1e-2)",
        "hydra.sweeper.n_trials=24",
    )
    said = lines(command, tmp_path, "-m", *TINY, *search)
    assert any(line.startswith("a search of 24 trials at most") for line in said)
    assert any("hours for 24 trials like this one" in line for line in said)
    table = tmp_path / "runs" / "default" / ".search" / "search.csv"
    table.parent.mkdir(parents=True)
    rows = ["finished,,0.5", "pruned,,0.6", "failed,,", "running,,"]
    text = "\n".join(f"{number},{row},0.001,r" for number, row in enumerate(rows))
    table.write_text(f"trial,state,best,objective.monitor,optimizer.lr,run\n{text}\n")
    said = lines(command, tmp_path, "-m", *TINY, *search)
    assert any("of which 3 have ended" in line for line in said)
    assert any("hours for 21 trials like this one" in line for line in said)


def test_on_a_cluster_all_jobs_may_run_at_once(command: Command, tmp_path: Path) -> None:
    keep(tmp_path / "runs")
    said = lines(command, tmp_path, "-m", *TINY, "seed=0,1", "hydra/launcher=slurm")
    assert said[2] == "2 jobs: 2 new"
    assert "0:00:12 until all is done (if the cluster runs all of them at once)" in said[3]


def test_evaluations_are_told_too(command: Command, tmp_path: Path) -> None:
    said = lines(
        command, tmp_path, "-m", "data=demo8,demo7", "checkpoint=runs/default/x", door="evaluate"
    )
    assert said[2] == "2 jobs: 2 waiting"
    assert "for runs/default/x, which has no checkpoint" in said[0]
    assert said[3] == "the time of 2 of the jobs is unknown"


def test_the_time_of_an_evaluation_is_known_from_the_run(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = write_run(RUNS, *TINY)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints/best.ckpt").touch()
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["meta"]["timing"] = TIMING | {"threads": 1}
    metrics["meta"]["device"] |= {"type": "cpu", "name": CPU.name}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    known = (f"checkpoint={folder}", "data=demo7", "data.size=tiny", "trainer=cpu")
    said = lines(command, tmp_path, *known, door="evaluate")
    assert said[0].split("  ")[1:] == ["new", "0:00:07", "[1]"]
    assert said[3] == f"[1] the rates of {folder}"


def test_the_sweep_of_hydra_itself_is_refused(command: Command, tmp_path: Path) -> None:
    basic = ("-m", *TINY, "seed=0,1", "hydra/launcher=basic", "dry=true")
    done = command("train", *basic, check=False)
    assert done.returncode == 1
    assert "hydra/launcher=gpus" in done.stderr


@pytest.mark.slow
def test_the_grid_of_table_6_is_counted_as_it_would_run(command: Command, tmp_path: Path) -> None:
    grid = ("sweep=table6", "at=demo", "seed=0")
    said = lines(command, tmp_path, *grid)
    named = [line.split()[0].removeprefix("runs/") for line in said if line.startswith("runs/")]
    assert sorted(named) == sorted(folders(*grid))
    assert said[len(named)] == "6 jobs: 2 waiting, 4 new"
    assert sum(line.startswith("[") for line in said) == 1  # one measurement serves them all


@pytest.mark.slow
def test_what_a_dry_run_counts_is_what_runs(
    command: Command, tmp_path: Path, few_faces: Path
) -> None:
    grid = (*TINY, f"data.root={few_faces}", "model.image_size=32", "loss=combined,va")
    sweep = ("-m", *grid, "start=combined", "trainer.max_epochs=1")
    before = lines(command, tmp_path, *sweep)
    assert before[2] == "2 jobs: 1 waiting, 1 new"
    assert "2 jobs: 2 done" in command("train", *sweep).stdout
    assert lines(command, tmp_path, *sweep)[2] == "2 jobs: 2 finished"
    again = lines(command, tmp_path, *sweep, "seed=1")
    assert "from 1 finished run; samples as in a finished run" in "\n".join(again)


def job(number: int, start: int | None = None, device: Device = CPU) -> Job:
    starts = None if start is None else RunFolder(Path(f"r{start}"))
    return Job(f"{number}", [], composed(), RunFolder(Path(f"r{number}")), starts, device)


def outlooks(*times: float, starts: dict[int, int] | None = None) -> list[Outlook]:
    return [
        Outlook(job(number, (starts or {}).get(number)), "new", "", time, "")
        for number, time in enumerate(times)
    ]


@pytest.mark.parametrize(
    ("places", "starts", "expected"),
    [(1, {}, 10), (2, {}, 6), (4, {}, 4), (4, {3: 2}, 7), (None, {3: 2, 2: 1}, 9)],
)
def test_the_last_job_ends_when_the_places_allow_it(
    places: int | None, starts: dict[int, int], expected: float
) -> None:
    slots = None if places is None else Slots([], 1, places)
    assert makespan(outlooks(1, 2, 3, 4, starts=starts), slots) == expected


def test_what_is_finished_takes_no_time() -> None:
    first, second = outlooks(5, 7, starts={1: 0})
    finished = Outlook(first.job, "finished", "", 0.0, "")
    assert makespan([finished, second], Slots([], 1, 1)) == 7


def test_a_file_of_hours_counts_every_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    one = Outlook(job(0, device=Device("cuda", "A card", 4)), "new", "", 1_800.0, "said")
    show([one], None)
    assert "about 2.00 GPU hours" in capsys.readouterr().out


def counts_of(*overrides: str) -> Counts | None:
    return sample_counts(plain(*overrides), [])


def test_published_and_drawn_counts() -> None:
    affectnet = counts_of("data=affectnet8", "loss=combined")
    assert affectnet is not None
    assert affectnet.samples == {"train": 273_268, "val": 14_383, "test": 4_000}
    balanced = counts_of("data=affectnet8", "loss=va")
    assert balanced is not None
    assert balanced.samples["train"] == 8 * (3_750 - round(3_750 * 0.05))
    assert counts_of("data=rafdb") is None
    drawn = counts_of("data=demo8", "data.size=tiny")
    assert drawn is not None
    assert all(abs(drawn.samples[split] - SAMPLES[split]) <= 6 for split in SAMPLES)
