"""The search without trainings: the same trials after any kill, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.storages.journal import JournalFileBackend

from cage_lightning.errors import CageError, ConfigError, DataError
from hydra_plugins.cage_search import _suggestions
from hydra_plugins.cage_search._record import Record, Trial, opened
from hydra_plugins.cage_search._search import Outcome, search, summary
from hydra_plugins.cage_search._space import Space, Value, space_of
from hydra_plugins.cage_search._suggestions import Direction, SamplerName, Suggestions

NUMBERS = ("x=interval(0,1)", "y=tag(log,interval(1e-3,1e1))", "n=int(interval(1,9))")
MIXED = (*NUMBERS, "c=a,b")
LISTED = ("x=range(0,1,0.25)", "c=a,b,d", "n=range(3)")
ONE: tuple[Direction, ...] = ("minimize",)
TWO: tuple[Direction, ...] = ("minimize", "maximize")


class Killed(BaseException):
    """In place of SIGKILL."""


def space(*overrides: str) -> Space:
    return space_of(OverridesParser.create().parse_overrides(list(overrides)))


def values(chosen: Mapping[str, Value], count: int) -> tuple[float, ...] | None:
    """The result of a trial; some fail."""
    x, n = float(chosen["x"]), float(chosen["n"])
    if int(1000 * x) % 4 == 0:
        return None
    return (x * x + n, 3 * x - float(chosen.get("y", 0)))[:count]


class Runs:
    """The run folders: a trial that has been run is found again.

    Args:
        count: How many objectives there are.
        fatal: Each batch is killed once, after its first trial.
    """

    def __init__(self, count: int = 1, fatal: bool = False) -> None:
        self.count, self.fatal = count, fatal
        self.finished: dict[str, Outcome] = {}
        self.killed: set[str] = set()

    def __call__(self, trials: Mapping[int, Mapping[str, Value]]) -> list[Outcome]:
        chosen = [*trials.values()]
        first = json.dumps(chosen[0])
        for number, one in trials.items():
            name = json.dumps(one)
            if name not in self.finished:
                self.finished[name] = self.outcome(number, one)
            if self.fatal and first not in self.killed:
                self.killed.add(first)
                raise Killed
        return [self.finished[json.dumps(one)] for one in chosen]

    def outcome(self, number: int, chosen: Mapping[str, Value]) -> Outcome:
        return Outcome(values(chosen, self.count), f"runs/{json.dumps(chosen)}")


def go(
    file: Path,
    runs: Runs,
    *,
    of: Space,
    sampler: SamplerName = "tpe",
    seed: int = 0,
    n_trials: int = 16,
    n_jobs: int = 2,
) -> list[Trial]:
    directions = TWO[: runs.count]
    suggestions = Suggestions(of, sampler, seed, directions)
    with opened(file, of, directions, {"seed": seed}) as record:
        search(record, suggestions, n_trials, n_jobs, ("p", "q")[: runs.count], runs)
        return record.trials


@contextmanager
def dying(monkeypatch: pytest.MonkeyPatch, after: int) -> Iterator[None]:
    """Write so many times to the record, and half a line the next time."""
    append, left = JournalFileBackend.append_logs, [after]

    def write(self: Any, logs: list[dict[str, Any]]) -> None:
        if not left[0]:
            with Path(self._file_path).open("a", encoding="utf-8") as file:
                file.write(json.dumps(logs[0])[:9])
            raise Killed
        left[0] -= 1
        append(self, logs)

    with monkeypatch.context() as patch:
        patch.setattr(JournalFileBackend, "append_logs", write)
        patch.setattr("os.fsync", lambda _: None)
        with suppress(Killed):
            yield


@pytest.mark.parametrize(
    ("sampler", "overrides", "objectives"),
    [
        pytest.param("tpe", MIXED, 1, marks=pytest.mark.slow),
        pytest.param("tpe", NUMBERS, 2, marks=pytest.mark.slow),
        pytest.param("cmaes", NUMBERS, 1, marks=pytest.mark.slow),
        pytest.param("random", MIXED, 1, marks=pytest.mark.slow),
        pytest.param("grid", LISTED, 1, marks=pytest.mark.slow),
    ],
)
def test_a_search_killed_at_every_point_ends_as_undisturbed(
    sampler: SamplerName,
    overrides: Sequence[str],
    objectives: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def searched(name: str, runs: Runs) -> list[Trial]:
        of = space(*overrides)
        return go(tmp_path / name, runs, of=of, sampler=sampler, n_trials=14)

    undisturbed = searched("undisturbed.journal", Runs(objectives))
    runs, starts = Runs(objectives, fatal=True), 0
    ended: list[Trial] = []
    while not ended:
        starts += 1
        assert starts < 200
        with dying(monkeypatch, after=1):
            ended = searched("killed.journal", runs)
    assert starts > 3 * 14  # begun, folder and result of each trial, and every batch
    assert ended == undisturbed
    assert len({json.dumps(trial.chosen) for trial in ended}) == len(runs.finished)
    assert {trial.values is None for trial in ended} == {True, False}


def test_other_seeds_and_results_lead_elsewhere(tmp_path: Path) -> None:
    tried = [
        [trial.chosen for trial in go(tmp_path / f"{seed}", Runs(), of=space(*MIXED), seed=seed)]
        for seed in (0, 1)
    ]
    assert tried[0] != tried[1]
    first = go(tmp_path / "batches", Runs(), of=space(*MIXED), n_jobs=4)
    assert [trial.chosen for trial in first[:10]] == tried[0][:10]  # at first all are random
    assert [trial.chosen for trial in first] != tried[0]  # TPE knows other results


def test_a_search_that_grows_is_the_longer_one(tmp_path: Path) -> None:
    short, long = tmp_path / "short.journal", tmp_path / "long.journal"
    for n_trials in (13, 16):  # the first ends within a batch
        grown = go(short, Runs(), of=space(*MIXED), n_trials=n_trials)
    assert grown == go(long, Runs(), of=space(*MIXED))


def test_what_was_begun_keeps_its_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, runs = tmp_path / "search.journal", Runs(fatal=True)
    with suppress(Killed):
        go(file, runs, of=space(*MIXED))
    with monkeypatch.context() as patch:  # as another version of Optuna would
        patch.setattr(_suggestions, "_seed_of", lambda seed, number: number + 77)
        trials = go(file, Runs(), of=space(*MIXED))
    first = go(tmp_path / "other.journal", Runs(), of=space(*MIXED))
    assert [trial.chosen for trial in trials[:2]] == [trial.chosen for trial in first[:2]]
    assert trials[2:] != first[2:]


def test_settings_that_come_twice_run_once(tmp_path: Path) -> None:
    runs, calls = Runs(), []

    def run(trials: Mapping[int, Mapping[str, Value]]) -> list[Outcome]:
        calls.append([*trials.values()])
        return runs(trials)

    of = space("n=choice(1,2)", "x=choice(0.25,0.75)")
    with opened(tmp_path / "search.journal", of, ONE, {}) as record:
        search(record, Suggestions(of, "random", 0, ONE), 8, 8, ("p",), run)
        assert len(record.trials) == 8
        assert len(calls[0]) == 4
        assert all(trial.values == values(trial.chosen, 1) for trial in record.trials)


def test_the_end_of_a_search(tmp_path: Path) -> None:
    of = space("x=choice(0.75,0.25,0.5)", "n=1,2")
    with opened(tmp_path / "search.journal", of, ONE, {}) as record:
        search(record, Suggestions(of, "grid", 0, ONE), 20, 4, ("monitor",), Runs())
        said = summary(record, ("monitor",))
    assert said.splitlines()[0].startswith("6 trials: 4 finished, 2 failed; ")
    assert "best: trial 1, monitor 1.0625: n=1 x=0.25 (runs/" in said
    table = (tmp_path / "search.csv").read_text().splitlines()
    assert table[0] == "trial,state,best,objective.monitor,n,x,run"
    assert table[1].startswith("0,finished,,1.5625,1,0.75,")
    assert table[3].startswith("2,failed,,,1,0.5,")
    of = space("x=choice(0.5,0.0)", "n=1,2")
    with (
        opened(tmp_path / "failing.journal", of, ONE, {}) as record,
        pytest.raises(CageError, match="none of the 2 trials has a result"),
    ):
        search(record, Suggestions(of, "tpe", 0, ONE), 2, 1, ("monitor",), Runs())


def test_spaces_are_those_of_hydra() -> None:
    found = space("model=tiny", "b=range(1,8,2)", *NUMBERS, "c=choice('a b',1,true)", "+d@e=1,2")
    assert found.fixed == ("model=tiny",)
    assert list(found.distributions) == ["+d@e", "b", "c", "n", "x", "y"]  # however it is typed
    shown = {key: str(one) for key, one in found.distributions.items()}
    assert shown["b"] == "IntDistribution(high=7, log=False, low=1, step=2)"
    assert shown["c"] == "CategoricalDistribution(choices=('a\\\\ b', '1', 'True'))"
    assert shown["n"] == "IntDistribution(high=9, log=False, low=1, step=1)"
    assert shown["x"] == "FloatDistribution(high=1.0, log=False, low=0.0, step=None)"
    assert shown["y"] == "FloatDistribution(high=10.0, log=True, low=0.001, step=None)"
    assert found.searched["y"] == "tag(log,interval(1e-3,1e1))"
    chosen: dict[str, Value] = {"n": 3, "x": 1e-05}
    assert found.overrides(chosen) == ["model=tiny", "n=3", "x=1e-05"]
    # The later one counts, as on the command line after a file.
    assert space("x=1,2", "c=1,2", "x=3").fixed == ("x=3",)
    grid = space("x=range(0,0.3,0.1)", "b=range(3,0,-1)").grid()
    assert [one["x"] for one in grid[:3]] == [0.0, 0.1, 0.2]
    assert [one["b"] for one in grid[::3]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("x=1", "nothing is searched"),
        ("x=tag(low,interval(1,2))", "there is no tag low"),
        ("x=tag(log,choice(1,2))", r"x=tag\(log,choice\(1,2\)\): tag\(log,...\) is for interval"),
        ("x=shuffle(choice(1,2))", "leave shuffle"),
        ("x=interval(2,1)", r"x=interval\(2,1\): "),
        ("x=tag(log,interval(0,1))", r"x=tag\(log,interval\(0,1\)\): "),
        ("x=tag(log,range(0.5,4,0.5))", "use interval"),
        ("x=range(3,1)", "the range is empty"),
    ],
)
def test_what_is_no_space_is_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        space(override)


@pytest.mark.parametrize(
    ("sampler", "overrides", "directions", "message"),
    [
        ("cmaes", MIXED, ONE, "numbers only, and c is a choice"),
        ("cmaes", NUMBERS[:1], ONE, "two settings or more"),
        ("cmaes", NUMBERS, TWO, "one objective"),
        ("grid", MIXED, ONE, r"x: hydra.sweeper.sampler=grid needs choice"),
    ],
)
def test_what_a_sampler_cannot_do_is_refused(
    sampler: SamplerName, overrides: Sequence[str], directions: Sequence[Direction], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Suggestions(space(*overrides), sampler, 0, directions)


def test_another_search_under_the_same_name_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "search.journal"
    go(file, Runs(), of=space(*MIXED), n_trials=2)
    with pytest.raises(ConfigError, match=r"holds another search: seed is 1 here and 0 there"):
        go(file, Runs(), of=space(*MIXED), seed=1)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"params":{"c":', '"params":{"model._target_":', "no record of a search"),
        ('"n":9.0', '"n":900.0', "trial 1 is none of this search"),
        ('"params":{"c":1', '"params":{"c":7', "no record of a search"),
        ('[\\"a\\"', '[\\"b\\"', "trial 0 is none of this search"),
        ('"distributions":{"c":', '"distributions":{"m":', "no record of a search"),
        ('"state":0', '"state":2', "none of this search"),
        ('"values":[', '"values":[NaN,', "no record|none of this"),
        ('"directions":[1]', '"directions":[1,1]', "another number of objectives"),
        ("{", "[", "no record of a search"),
    ],
)
def test_a_record_of_somebody_else_is_data(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    file, of = tmp_path / "search.journal", space(*MIXED)
    go(file, Runs(), of=of, n_trials=2)
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    with pytest.raises(DataError, match=message):
        Record(file, of, ONE, {"seed": 0})
