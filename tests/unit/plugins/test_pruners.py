"""The bounds of a trial: those of Optuna's pruners, the same however a search is stopped."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner

from cage_lightning.errors import ConfigError
from cage_lightning.runs.pruning import Pruning
from hydra_plugins.cage_search._pruners import Pruner, PrunerName
from hydra_plugins.cage_search._record import Trial, opened
from hydra_plugins.cage_search._search import Outcome, search, summary
from hydra_plugins.cage_search._space import Value
from hydra_plugins.cage_search._suggestions import Direction, Suggestions
from tests.unit.plugins.test_search import MIXED, Runs, dying, space

LENGTH = 9
FEW = settings(max_examples=40)
CURVES = st.lists(
    st.lists(st.integers(0, 12).map(float), min_size=LENGTH, max_size=LENGTH),
    min_size=1,
    max_size=25,
)


def ours(pruner: Pruner, curves: Sequence[Sequence[float]]) -> list[int | None]:
    """After which validation each trial is pruned, told one after the other."""
    told: list[Trial] = []
    for number, curve in enumerate(curves):
        bounds = pruner.bounds(number, told)
        after = Pruning("s", number, pruner.mode, pruner.compared, bounds).pruned_after(curve)
        values = (0.0,) if after is None else None
        told.append(Trial({}, True, values, "", tuple(curve[:after]), after is not None))
    return [len(trial.curve) if trial.pruned else None for trial in told]


def optunas(
    pruner: BasePruner, curves: Sequence[Sequence[float]], direction: Direction, first: int
) -> list[int | None]:
    """The same as Optuna decides; its steps are counted from `first`."""
    study = optuna.create_study(study_name="3", direction=direction, pruner=pruner)
    decided: list[int | None] = []
    for curve in curves:
        trial, after = study.ask(), None
        for number, value in enumerate(curve, 1):
            trial.report(value, number - 1 + first)
            if number < LENGTH and trial.should_prune():
                after = number
                break
        state = optuna.trial.TrialState.PRUNED if after else optuna.trial.TrialState.COMPLETE
        study.tell(trial, None if after else 0.0, state=state)
        decided.append(after)
    return decided


@FEW
@given(CURVES, st.sampled_from(["minimize", "maximize"]), st.integers(0, 6), st.integers(0, 3))
def test_median_is_that_of_optuna(
    curves: list[list[float]], direction: Direction, startup: int, warmup: int
) -> None:
    chosen = {"n_startup_trials": startup, "n_warmup_steps": warmup}
    theirs = optunas(MedianPruner(**chosen), curves, direction, first=0)
    assert ours(Pruner("median", chosen, 3, direction), curves) == theirs


@FEW
@given(CURVES, st.sampled_from(["minimize", "maximize"]), st.integers(1, 3), st.integers(2, 4))
@example([[float(n % 7)] * LENGTH for n in range(25)], "minimize", 1, 2)
def test_hyperband_is_that_of_optuna(
    curves: list[list[float]], direction: Direction, least: int, factor: int
) -> None:
    chosen = {"min_resource": least, "max_resource": LENGTH, "reduction_factor": factor}
    theirs = optunas(HyperbandPruner(**chosen), curves, direction, first=1)
    assert ours(Pruner("hyperband", chosen, 3, direction), curves) == theirs


def test_hyperband_measures_by_the_first_trial_that_finished() -> None:
    pruner = Pruner("hyperband", {}, 3, "minimize")
    failed = Trial({}, True)
    assert pruner.bounds(4, [failed]) == {}
    told = [failed, *(Trial({}, True, (0.0,), "", (5.0, 4.0, 3.0, 2.0)) for _ in range(6))]
    bounds = [pruner.bounds(number, told) for number in range(20)]
    assert {step for one in bounds for step in one} == {1, 3}  # never after the fourth, the last


def test_what_is_not_finite_bounds_nothing() -> None:
    told = [Trial({}, True, (0.0,), "", (math.nan, value, value)) for value in (1.0, 2.0, 4.0)]
    assert Pruner("median", {"n_startup_trials": 1}, 0, "minimize").bounds(3, told) == {2: 2.0}
    # A trial of an older version has no validations, and counts as finished.
    told.append(Trial({}, True, (0.0,), ""))
    assert Pruner("median", {"n_startup_trials": 4}, 0, "minimize").bounds(4, told) == {2: 2.0}


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("worst", {}, "choose one of none, median, hyperband"),
        ("none", {"n_startup_trials": 1}, "n_startup_trials has no effect with .*=none: leave"),
        ("median", {"min_resource": 1}, "which takes n_startup_trials, n_warmup_steps: leave"),
        ("median", {"interval": 1}, "interval has no effect"),
        ("median", {"n_warmup_steps": -1}, "n_warmup_steps=-1: a whole number from 0 on"),
        ("hyperband", {"reduction_factor": 1}, "reduction_factor=1: a whole number from 2 on"),
        ("hyperband", {"max_resource": "auto"}, "max_resource=auto: a whole number from 1 on"),
    ],
)
def test_what_is_no_pruner_is_refused(
    name: PrunerName, changed: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Pruner(name, changed, 0, "minimize")


class PrunedRuns(Runs):
    """Trials with validations, of which a pruner gives up some; some fail."""

    def __init__(self, pruner: Pruner, fatal: bool = False) -> None:
        super().__init__(fatal=fatal)
        self.pruner = pruner
        self.trials: Sequence[Trial] = ()

    def outcome(self, number: int, chosen: Mapping[str, Value]) -> Outcome:
        x, n = float(chosen["x"]), float(chosen["n"])
        run = f"runs/{number}"
        if int(1000 * x) % 5 == 0:
            return Outcome(None, run)
        curve = tuple(n + x * 10 / step for step in range(1, 6))
        bounds = self.pruner.bounds(number, self.trials)
        pruning = Pruning("s", number, self.pruner.mode, self.pruner.compared, bounds)
        after = pruning.pruned_after(curve)
        return Outcome(None if after else (min(curve),), run, curve[:after], after is not None)


def go(file: Path, runs: PrunedRuns, n_trials: int = 24) -> list[Trial]:
    of = space(*MIXED)
    with opened(file, of, ("minimize",), {}) as record:
        runs.trials = record.trials
        search(record, Suggestions(of, "tpe", 0, ("minimize",)), n_trials, 2, ("p",), runs)
        return record.trials


def test_a_search_that_prunes_and_is_killed_ends_as_undisturbed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pruner = Pruner("median", {"n_startup_trials": 2}, 0, "minimize", 2)
    undisturbed = go(tmp_path / "undisturbed.journal", PrunedRuns(pruner), n_trials=14)
    assert {(trial.pruned, trial.values is None) for trial in undisturbed} == {
        (True, True),
        (False, False),
        (False, True),
    }
    runs = PrunedRuns(pruner, fatal=True)
    ended: list[Trial] = []
    for starts in itertools.count():
        assert starts < 400
        with dying(monkeypatch, after=3):
            ended = go(tmp_path / "killed.journal", runs, n_trials=14)
        if ended:
            break
    assert ended == undisturbed
    tables = [(tmp_path / f"{one}.csv").read_text() for one in ("undisturbed", "killed")]
    assert tables[0] == tables[1]
    # Read from the file by another process, it is the same.
    assert go(tmp_path / "killed.journal", PrunedRuns(pruner), n_trials=14) == undisturbed


def test_pruned_trials_are_marked(tmp_path: Path) -> None:
    runs, of = PrunedRuns(Pruner("median", {}, 0, "minimize", 2)), space(*MIXED)
    trials = go(tmp_path / "search.journal", runs)
    number, pruned = next((n, trial) for n, trial in enumerate(trials) if trial.pruned)
    header, *rows = [line.split(",") for line in (tmp_path / "search.csv").read_text().splitlines()]
    row = dict(zip(header, rows[number], strict=True))
    assert header[:5] == ["trial", "state", "best", "objective.p", "validations"]
    assert (row["state"], row["best"]) == ("pruned", "")
    assert float(row["objective.p"]) == min(pruned.curve)
    assert int(row["validations"]) == len(pruned.curve) < 5
    with opened(tmp_path / "search.journal", of, ("minimize",), {}) as record:
        assert f" {sum(trial.pruned for trial in trials)} pruned, " in summary(record, ("p",))
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(tmp_path / "search.journal"))
    )
    told = optuna.load_study(study_name="search", storage=storage).trials[number]
    assert told.state == optuna.trial.TrialState.PRUNED
    assert told.intermediate_values == dict(enumerate(pruned.curve, 1))
    about = json.loads((tmp_path / "search.settings.json").read_text())
    assert [one["scale"] for one in about.values()] == ["linear", "linear", "linear", "log"]
    assert math.isclose(sum(one["importance"] for one in about.values()), 1)


def test_equal_settings_share_the_result_of_the_first(tmp_path: Path) -> None:
    """Also where it was pruned, and a later one would be pruned elsewhere."""
    of = space("n=choice(1,2)", "x=choice(0.21,0.61)")
    started: list[int] = []

    def run(trials: Mapping[int, Mapping[str, Value]]) -> list[Outcome]:
        started.extend(trials)
        return [
            Outcome(None, f"runs/{n}", (float(n),), pruned=True)
            if chosen["n"] == "2"
            else Outcome((float(n),), f"runs/{n}", (float(n), 0.0))
            for n, chosen in trials.items()
        ]

    with opened(tmp_path / "search.journal", of, ("minimize",), {}) as record:
        search(record, Suggestions(of, "random", 0, ("minimize",)), 12, 3, ("p",), run)
        first = {json.dumps(trial.chosen): n for n, trial in reversed([*enumerate(record.trials)])}
        assert sorted(first.values()) == started
        for trial in record.trials:
            assert trial == record.trials[first[json.dumps(trial.chosen)]]


def test_what_runs_beside_a_trial_does_not_count() -> None:
    """Also where it has ended before a kill, and the trial has not."""
    pruner = Pruner("median", {"n_startup_trials": 1}, 0, "minimize", n_jobs=3)
    told = [Trial({}, True, (value,), "", (value, value)) for value in (3.0, 5.0, 7.0, 0.0, 0.0)]
    assert [pruner.bounds(number, told) for number in range(3)] == [{}] * 3
    assert [pruner.bounds(number, told) for number in range(3, 6)] == [{1: 5.0}] * 3
