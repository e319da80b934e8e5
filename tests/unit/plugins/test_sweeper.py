"""`hydra/sweeper=optuna` as Hydra calls it, with a launcher that trains nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, RunMode
from omegaconf import OmegaConf

import hydra_plugins.cage_search
from cage_lightning.app.schema import CONF_DIR, register
from cage_lightning.errors import CageError, ConfigError
from cage_lightning.runs.objective import TrialResult
from cage_lightning.runs.pruning import Pruned, Pruning, mark_pruned, read_pruning
from hydra_plugins.cage_launcher._plan import plan
from hydra_plugins.cage_launcher._returns import Failed, Failure, returns
from tests.planning import planned

RATE = "optimizer.lr=tag(log,interval(1e-5,1e-2))"
SPACE = ("data=demo8", "model=tiny", RATE, "loss=discrete,combined")
PRUNED = ("hydra.sweeper.pruner=median", "hydra.sweeper.pruning.n_startup_trials=2")
Result = Callable[[int], Any]
KILLED = CageError("it was killed")


class Launcher:
    """Returns results by the number of the job; an exception is that of a job that failed."""

    def __init__(self, result: Result) -> None:
        self.result, self.jobs = result, list[list[str]]()

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> list[JobReturn]:
        done = []
        for number, job in enumerate(job_overrides, initial_job_idx):
            self.jobs.append([*job])
            result = self.result(number)
            run = f"runs/default/{number}"
            done.append(
                Failed(job, None, None, run, None, JobStatus.FAILED, result, result == KILLED)
                if isinstance(result, Exception)
                else JobReturn(job, None, None, run, None, JobStatus.COMPLETED, result)
            )
        return done


@pytest.fixture
def search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Launcher]:
    """Search in tmp_path, as `train -m hydra/sweeper=optuna ...` does."""
    monkeypatch.chdir(tmp_path)
    register()

    def run(*arguments: str, result: Result = float, command: str = "train") -> Launcher:
        launcher = Launcher(result)
        monkeypatch.setattr(Plugins, "instantiate_launcher", lambda *_, **__: launcher)
        with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
            loader = GlobalHydra.instance().config_loader()
            chosen = [] if "sweep=mine" in arguments else ["hydra/sweeper=optuna"]
            words = [*chosen, *arguments]
            config = loader.load_configuration(command, words, run_mode=RunMode.MULTIRUN)
            HydraConfig.instance().set_config(config)
            sweeper = Plugins.instance().instantiate_sweeper(
                hydra_context=HydraContext(config_loader=loader, callbacks=None),  # type: ignore[arg-type]
                task_function=lambda _: None,
                config=config,
            )
            sweeper.sweep(list(OmegaConf.to_container(config.hydra.overrides.task)))  # type: ignore[arg-type]
        return launcher

    return run


def test_a_search_on_a_launcher(
    search: Callable[..., Launcher], capsys: pytest.CaptureFixture[str]
) -> None:
    def result(number: int) -> Any:
        return {2: CageError("1 of 2 jobs failed"), 3: None}.get(number, 5.0 - number)

    settings = ("hydra.sweeper.n_trials=5", "hydra.sweeper.n_jobs=2")
    launcher = search(*SPACE, *settings, result=result)
    assert [job[:2] for job in launcher.jobs] == [["data=demo8", "model=tiny"]] * 5
    assert {job[2].partition("=")[0] for job in launcher.jobs} == {"loss"}
    rates = [float(job[3].removeprefix("optimizer.lr=")) for job in launcher.jobs]
    assert len(set(rates)) == 5
    assert all(1e-5 <= rate <= 1e-2 for rate in rates)
    said = capsys.readouterr().out
    assert "1 of 2 jobs failed\n" in said
    assert "5 trials: 3 finished, 2 failed; runs/default/.search/search.journal" in said
    assert "best: trial 4, monitor 1: " in said  # val/loss, the less the better
    assert "(runs/default/4)" in said
    # The same command, in whatever order it is typed, with another device: all is done.
    again = search(*reversed(SPACE), *settings, "trainer.devices=2", result=result)
    assert again.jobs == []
    assert search(*SPACE, "hydra.sweeper.n_trials=6", settings[1]).jobs[0][:2] == [*SPACE[:2]]


def test_a_job_that_was_killed_starts_again(
    search: Callable[..., Launcher], capsys: pytest.CaptureFixture[str]
) -> None:
    # Of four trials at once, two are killed, one of them again, then once more, which is enough.
    results: dict[int, Any] = {1: KILLED, 3: KILLED, 5: KILLED, 6: KILLED}
    settings = ("hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=4")
    jobs = search(*SPACE, *settings, result=lambda number: results.get(number, number)).jobs
    assert [*jobs[4:6], jobs[6]] == [jobs[1], jobs[3], jobs[3]]
    assert len(jobs) == 7
    said = capsys.readouterr().out
    assert said.count("were killed, and start again") == 2
    assert "4 trials: 3 finished, 1 failed" in said
    table = Path("runs/default/.search/search.csv").read_text("utf-8").splitlines()
    assert [line.split(",")[1:4:2] for line in table[1:]] == [
        ["finished", "0"],
        ["finished", "4"],
        ["finished", "2"],
        ["failed", ""],
    ]


def test_every_trial_has_a_run_folder_of_its_own(search: Callable[..., Launcher]) -> None:
    jobs = search(*SPACE, "hydra.sweeper.n_trials=4").jobs
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        words = ["hydra/sweeper=optuna", *SPACE]
        config = loader.load_configuration("train", words, run_mode=RunMode.MULTIRUN)
        names = [job.folder.path.name for job in plan(config, loader, jobs, 0) if job.folder]
    rates = [job[3].removeprefix("optimizer.lr=") for job in jobs]
    losses = [job[2].removeprefix("loss=") for job in jobs]
    assert names == [
        f"demo8-tiny-{loss}-s0-lr{rate}" for loss, rate in zip(losses, rates, strict=True)
    ]


def test_a_search_that_prunes(
    search: Callable[..., Launcher], capsys: pytest.CaptureFixture[str]
) -> None:
    """What a trial may know is in its file: the validations of the trials before its batch."""

    def result(number: int) -> TrialResult:
        curve = (5.0 - number, 4.0 - number, 3.0 - number)
        return TrialResult(None, (9.0,), True) if number == 4 else TrialResult(curve[-1], curve)

    settings = (*PRUNED, "hydra.sweeper.n_trials=6", "hydra.sweeper.n_jobs=2")
    jobs = search(*SPACE, *settings, result=result).jobs
    files = [Path(job[-1].removeprefix("pruning='").removesuffix("'")) for job in jobs]
    assert files == [Path(f"runs/default/.search/search/{number}.json") for number in range(6)]
    bounds = [read_pruning(str(file)).bounds for file in files]
    assert bounds[:2] == [{}, {}]
    assert bounds[2:4] == [{1: 4.5, 2: 3.5}] * 2  # of trials 0 and 1
    assert bounds[4:] == [{1: 3.5, 2: 2.5}] * 2
    assert read_pruning(str(files[4])).search == "default/search"
    assert "6 trials: 5 finished, 1 pruned; " in capsys.readouterr().out
    assert search(*SPACE, *settings, result=result).jobs == []
    with pytest.raises(ConfigError, match="holds another search: pruner is 'absent' here"):
        search(*SPACE, *settings[2:])


def test_what_a_trial_may_know_is_no_setting_of_its_run(tmp_path: Path) -> None:
    """It is in no tag and no label; a trial that was pruned is known again by it."""
    runs = (f"runs={tmp_path}", "data=demo8", "model=tiny", "loss=discrete")
    (plain,) = planned(*runs)
    pruning = Pruning("default/search", 4, "min", "best", {1: 0.5})
    pruning.write(tmp_path / "4.json")
    searched = (*runs, f"pruning='{tmp_path}/4.json'")
    (job,) = planned(*searched)
    assert (job.folder, job.label, job.finished) == (plain.folder, plain.label, False)
    assert job.folder is not None
    job.folder.path.mkdir(parents=True)
    mark_pruned(job.folder, Pruned(pruning, (1.0,)))
    assert planned(*searched)[0].finished
    (done,) = returns(planned(*searched), {})
    assert done.return_value == TrialResult(None, (1.0,), pruned=True)
    assert not planned(*runs)[0].finished
    Pruning("default/search", 4, "min", "best", {1: 0.6}).write(tmp_path / "4.json")
    assert not planned(*searched)[0].finished


def test_a_file_may_hold_the_search(search: Callable[..., Launcher], tmp_path: Path) -> None:
    file = tmp_path / "more/sweep/mine.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(
        "# @package _global_\ndefaults: [override /hydra/sweeper: optuna]\n"
        "hydra: {mode: MULTIRUN, sweeper: {n_trials: 3, params: {\n"
        '  optimizer.lr: "tag(log, interval(1e-5, 1e-2))", loss: "discrete,combined", seed: 4}}}\n',
        encoding="utf-8",
    )
    more = (f"hydra.searchpath=[file://{tmp_path}/more]", "sweep=mine", "data=demo8", "model=tiny")
    jobs = search(*more, "loss=va").jobs
    assert len(jobs) == 3
    assert {*map(tuple, (sorted(job[:5]) for job in jobs))} == {
        ("data=demo8", "loss=va", "model=tiny", "seed=4", "sweep=mine")
    }
    assert all(job[5].startswith("optimizer.lr=") for job in jobs)


def test_several_objectives(
    search: Callable[..., Launcher], capsys: pytest.CaptureFixture[str]
) -> None:
    settings = (
        *("objective=[monitor,meta.wall_time_s]", "hydra.sweeper.direction=[maximize,minimize]"),
        *("hydra.sweeper.n_trials=4", "monitor.mode=max"),
    )
    search(
        *SPACE, *settings, result=lambda number: [[1.0, 5.0], [2.0, 6.0], [0.5, 9.0]][number % 3]
    )
    best = [line for line in capsys.readouterr().out.splitlines() if line.startswith("best: ")]
    assert [line.partition(":")[2].partition(":")[0].strip() for line in best] == [
        "trial 0, monitor 1, meta.wall_time_s 5",
        "trial 1, monitor 2, meta.wall_time_s 6",
        "trial 3, monitor 1, meta.wall_time_s 5",
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("hydra.sweeper.sampler=best",), "choose one of tpe, cmaes, random, grid"),
        (("hydra.sweeper.n_trials=0",), "n_trials=0: a whole number from 1 on"),
        (("hydra.sweeper.n_jobs=two",), "n_jobs=two: a whole number from 1 on"),
        (("hydra.sweeper.seed=-1",), "seed=-1: a whole number from 0 on"),
        (("hydra.sweeper.study_name='../x'",), "cannot be the name of a file"),
        (("hydra.sweeper.direction=up",), "choose one of minimize, maximize"),
        (("hydra.sweeper.direction=[minimize,maximize]",), "give one for each objective"),
        (("objective=meta.wall_time_s",), "direction=None: give one for each objective"),
        (("objective=test/accuracy",), "score of the test split.* objective_on_test=true"),
        (("protocol=published_code",), "data.selection=test chooses the epoch.*=true"),
        (("hydra.sweeper.pruner=worst",), "choose one of none, median, hyperband"),
        (("hydra.sweeper.pruning.n_startup_trials=3",), "has no effect with .*pruner=none"),
        (
            (*PRUNED, "objective=meta.wall_time_s", "hydra.sweeper.direction=minimize"),
            "compares validations by monitor.metric, and the objective is meta.wall_time_s",
        ),
        (
            (
                *(*PRUNED, "objective=[monitor,meta.wall_time_s]"),
                "hydra.sweeper.direction=[minimize,minimize]",
            ),
            "the objective is monitor, meta.wall_time_s: choose objective=monitor",
        ),
        (("optimizer.lr=1",), None),
    ],
)
def test_what_cannot_be_searched_is_refused(
    settings: Sequence[str], message: str | None, search: Callable[..., Launcher], tmp_path: Path
) -> None:
    space = SPACE if message else ("data=demo8", "model=tiny")
    with pytest.raises(ConfigError, match=message or "nothing is searched"):
        search(*space, *settings)
    assert not (tmp_path / "runs").exists()


def test_the_test_split_counts_when_asked_for(search: Callable[..., Launcher]) -> None:
    search(
        *(*SPACE, "objective=test/accuracy", "objective_on_test=true"),
        *("hydra.sweeper.direction=maximize", "hydra.sweeper.n_trials=1"),
    )
    search(*SPACE, "protocol=published_code", "objective_on_test=true", "group=b", result=float)


def test_only_training_is_searched(search: Callable[..., Launcher]) -> None:
    with pytest.raises(ConfigError, match="searches settings of train"):
        search("data=demo8", "checkpoint=a,b", command="evaluate")


def test_the_missing_extra_is_named(
    search: Callable[..., Launcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    for name in [name for name in sys.modules if name.startswith("hydra_plugins.cage_search._")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(hydra_plugins.cage_search, "_record", raising=False)
    with pytest.raises(ConfigError, match=r"cage-lightning\[search\]"):
        search(*SPACE)


def test_launchers_hand_back_the_objective(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    jobs = planned("data=demo8", "model=tiny", "loss=discrete,combined", "seed=0,1")
    for job in jobs[:3]:
        assert job.folder is not None
        job.folder.path.mkdir(parents=True)
        selection = {"split": "val", "value": float(job.number)}
        job.folder.metrics_file.write_text(json.dumps({"meta": {"selection": selection}}))
    done = returns([*reversed(jobs)], {3: Failure("\n  why", killed=False)})
    assert [job.return_value for job in done[:3]] == [0.0, 1.0, 2.0]
    assert done[1].working_dir == "runs/default/demo8-tiny-discrete-s1"
    with pytest.raises(CageError, match=r"^1 of 4 jobs failed\n  why$"):
        _ = done[3].return_value
    assert capsys.readouterr().err == ""
