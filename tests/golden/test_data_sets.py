"""A short run on each data set and in each mode against what commit 11b5277 made of it.

So are the tables that `analyze` writes of each, and what `evaluate` writes of an older run on it.

The fingerprints hold every split, and the hold-out, to the last label: older runs resume on no
others. `python -m tests.golden.test_data_sets` writes the numbers anew.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cage_lightning.demo import emotic, faces
from cage_lightning.models.tiny import TinyNetwork
from tests.conftest import Command, environment, in_process
from tests.unit.data.readers import test_ferplus as ferplus
from tests.unit.data.readers import test_rafdb as rafdb

GOLDEN = Path(__file__).with_name("data_sets.json")
OLD_RUN = Path(__file__).with_name("run_479195c") / "finished/demo8-tiny-combined-s0"
FACES = {f"{split}_{n:05d}": str(n % 7 + 1) for split in ("train", "test") for n in range(60)}
SETTINGS = ("model=tiny", "model.image_size=32", "trainer=cpu", "trainer.max_epochs=1")
STEPS = ("optimizer._target_=torch.optim.SGD", "optimizer.lr=0.002", "data.num_workers=0")
RUNS = {
    "demo7": ("data.size=tiny", "loss=va"),
    "demo8": ("data.size=tiny", "loss=combined"),
    "demo_emotic": ("data.size=tiny", "loss=combined"),
    "rafdb": ("data.root=rafdb", "loss=discrete"),
    "ferplus": ("data.root=ferplus", "loss=discrete"),
}


def write_data(folder: Path) -> None:
    """The drawn data sets in the folder CAGE_DATA, and the others where the runs look for them."""
    rafdb.write_list(folder / "rafdb", FACES)
    ferplus.write_list(folder / "ferplus", ferplus.ROWS)


def outcome(folder: Path) -> dict[str, Any]:
    """Of the only run below a folder: the fingerprints of its splits, and its scores."""
    (file,) = folder.glob("runs/default/*/metrics.json")
    metrics = json.loads(file.read_text(encoding="utf-8"))
    splits = {split: about["fingerprint"] for split, about in metrics["meta"]["data"].items()}
    return {"splits": splits, "scores": {k: v for k, v in metrics.items() if k.startswith("test/")}}


def reading(data: str, run: Callable[[str, tuple[str, ...]], Any], folder: Path) -> dict[str, Any]:
    """The tables of `analyze`, and the results of `evaluate` for an older run, of a data set."""
    where = (f"data={data}", RUNS[data][0])
    run("analyze", (*where, "output=analysis"))
    loading = ("trainer=cpu", "data.num_workers=0", "output=evaluation")
    run("evaluate", (f"checkpoint={OLD_RUN}", *where, *loading))
    files = sorted(folder.glob("analysis/*.csv"))
    tables = {file.name: file.read_text(encoding="utf-8").splitlines() for file in files}
    metrics = json.loads((folder / "evaluation/metrics.json").read_text(encoding="utf-8"))
    return {"tables": tables, "metrics": metrics | {"meta": dict.fromkeys(metrics["meta"])}}


def leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """What is in nested mappings and lists, by its place."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        if isinstance(inner, dict | list):
            yield from leaves(inner, f"{place}/{key}")
        else:
            yield f"{place}/{key}", inner


def is_same(found: Any, stored: Any) -> bool:
    """Whether two values, or rows of values, are equal, numbers but for rounding."""
    if isinstance(found, str) and isinstance(stored, str) and "," in stored:
        rows = found.split(","), stored.split(",")
        return len(rows[0]) == len(rows[1]) and all(map(is_same, *rows))
    try:
        one, other = float(found), float(stored)
    except (TypeError, ValueError):
        return bool(found == stored)
    return math.isclose(one, other, rel_tol=1e-4, abs_tol=1e-5) or (one != one and other != other)


def is_drawn_otherwise(data: str, key: str) -> bool:
    """Whether it is an interval of EMOTIC, whose pictures have been drawn whole since."""
    return data == "demo_emotic" and key.startswith("/metrics/intervals/")


def as_meant(data: str, key: str, value: Any) -> Any:
    """A stored value without the paper's weights, which stood beside data sets it has none of."""
    of_paper = key.startswith("/tables/table4.csv/") and data in ("rafdb", "ferplus")
    return value.rpartition(",")[0] if of_paper else value


@pytest.mark.slow
@pytest.mark.parametrize("data", RUNS)
@pytest.mark.usefixtures("demo_persons")
def test_a_run_gives_the_stored_numbers(data: str, command: Command, tmp_path: Path) -> None:
    write_data(tmp_path)
    command("train", f"data={data}", *RUNS[data], *SETTINGS, *STEPS)
    found, stored = outcome(tmp_path), json.loads(GOLDEN.read_text())[data]
    assert found["splits"] == stored["splits"]
    assert found["scores"].keys() - stored["scores"].keys() <= {"test/ccc_mean"}  # came later
    scores = {key: found["scores"].get(key) for key in stored["scores"]}
    assert scores == pytest.approx(stored["scores"], rel=1e-4, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("data", RUNS)
@pytest.mark.usefixtures("demo_persons")
def test_analyze_and_evaluate_give_the_stored_numbers(
    data: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TinyNetwork.__init__, "__defaults__", (64, (16, 16, 16, 16)))
    monkeypatch.setattr("cage_lightning.report.figures.FORMATS", ())
    write_data(tmp_path)
    result = reading(data, lambda name, arguments: command(name, *arguments), tmp_path)
    found, stored = dict(leaves(result)), dict(leaves(json.loads(GOLDEN.read_text())[data]))
    expected = {
        key: as_meant(data, key, value)
        for key, value in stored.items()
        if key[1:].startswith(tuple(result)) and not is_drawn_otherwise(data, key)
    }
    other = {key: found.get(key) for key in expected if not is_same(found.get(key), expected[key])}
    assert other == {}
    tables = {key for key in found if key.startswith("/tables/")}
    assert tables == {key for key in expected if key.startswith("/tables/")}


if __name__ == "__main__":
    golden: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as drawn, pytest.MonkeyPatch.context() as patch:
        faces.write_release(Path(drawn, "demo_faces/tiny"), "tiny")
        emotic.write_release(Path(drawn, "demo_emotic/tiny"), "tiny")
        for name, settings in RUNS.items():
            with tempfile.TemporaryDirectory() as work:
                place = Path(work)

                def run(door: str, arguments: tuple[str, ...], place: Path = place) -> None:
                    done = in_process()(door, arguments, place, environment(Path(drawn)))
                    assert done.returncode == 0, done.stderr

                write_data(place)
                run("train", (f"data={name}", *settings, *SETTINGS, *STEPS))
                golden[name] = outcome(place)
                with patch.context() as narrow:
                    narrow.setattr(TinyNetwork.__init__, "__defaults__", (64, (16, 16, 16, 16)))
                    golden[name] |= reading(name, run, place)
    GOLDEN.write_text(json.dumps(golden, indent=2) + "\n")
