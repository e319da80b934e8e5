"""A run that is damaged, or made up, costs its own row in a table, and no other."""

from __future__ import annotations

import csv
import html
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from cage_lightning.commands.collect import collect
from cage_lightning.errors import ConfigError
from cage_lightning.report.runs import read_runs
from cage_lightning.runs.folder import RunFolder
from cage_lightning.runs.identity import read_config
from tests.conftest import composed
from tests.fabricated_runs import write_run

MODEL = ("data=affectnet8", "model=maxvit", "loss=combined")
Change = Callable[[bytes], bytes]


def by(content: bytes | str) -> Change:
    """Put another content in the place of a file's."""
    return lambda _: content if isinstance(content, bytes) else content.encode()


def cut(before: bytes) -> bytes:
    return before[: len(before) // 2]


def scores(**changed: Any) -> Change:
    """Change parts of a metrics.json; ``meta__x`` is x in meta."""

    def change(before: bytes) -> bytes:
        content = json.loads(before)
        for name, value in changed.items():
            part, _, inner = name.rpartition("__")
            (content[part] if part else content)[inner.replace("_on_", "/")] = value
        return json.dumps(content).encode()

    return change


def settings(**changed: Any) -> Change:
    """Change parts of a config.yaml, likewise."""

    def change(before: bytes) -> bytes:
        content = yaml.safe_load(before)
        for name, value in changed.items():
            part, _, inner = name.rpartition("__")
            (content[part] if part else content)[inner] = value
        return bytes(yaml.safe_dump(content), "utf-8")

    return change


def table(columns: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


BINARY = bytes(range(256)) * 4
ALIASES = b"a: &a [x, x]\n" + b"".join(
    b"%c: &%c [*%c, *%c]\n" % (letter, letter, letter - 1, letter - 1) for letter in range(98, 123)
)
LEFT_OUT: dict[str, tuple[str, Change]] = {
    "scores: empty": ("metrics.json", by(b"")),
    "scores: cut": ("metrics.json", cut),
    "scores: binary": ("metrics.json", by(BINARY)),
    "scores: a list": ("metrics.json", by("[1]")),
    "scores: nothing": ("metrics.json", by("null")),
    "scores: a text": ("metrics.json", by('"text"')),
    "scores: nested without end": ("metrics.json", by('{"meta": ' * 5000 + "1" + "}" * 5000)),
    "scores: nested in a fact": (
        "metrics.json",
        by('{"meta": {"a":' + '{"a":' * 900 + "1" + "}" * 902),
    ),
    "scores: UTF-16": ("metrics.json", lambda before: before.decode().encode("utf-16")),
    "scores: none": ("metrics.json", by('{"intervals": {}, "meta": {}}')),
    "score: a text": ("metrics.json", scores(test_on_accuracy="0.5")),
    "score: nothing": ("metrics.json", scores(test_on_accuracy=None)),
    "score: a list": ("metrics.json", scores(baseline_constant_on_accuracy=[1])),
    "score: no float": ("metrics.json", scores(test_on_accuracy=10**400)),
    "score: true": ("metrics.json", scores(test_on_accuracy=True)),
    "intervals: a list": ("metrics.json", scores(intervals=[1])),
    "interval: one limit": ("metrics.json", scores(intervals={"test/accuracy": [1]})),
    "interval: texts": ("metrics.json", scores(intervals={"test/accuracy": ["a", "b"]})),
    "meta: a list": ("metrics.json", scores(meta=[1])),
    "time: a text": ("metrics.json", scores(meta__wall_time_s="long")),
    "time: without end": ("metrics.json", scores(meta__wall_time_s=float("inf"))),
    "revision: a number": ("metrics.json", scores(meta__git_revision=7)),
    "selection by a list": ("metrics.json", scores(meta__selection={"metric": ["val/loss"]})),
    "config: empty": ("config.yaml", by(b"")),
    "config: binary": ("config.yaml", by(BINARY)),
    "config: a list": ("config.yaml", by("[1]")),
    "config: aliases": ("config.yaml", by(ALIASES)),
    "config: an object": ("config.yaml", by("a: !!python/object/apply:os.system [touch ran]")),
    "config: bytes": ("config.yaml", lambda before: before + b"\nmore: !!binary aGk=\n"),
    "config: nested without end": ("config.yaml", by("a: " + "[" * 1000)),
    "config: large": ("config.yaml", lambda before: before + b"# " + b"x" * 200_000),
    "config: a long number": ("config.yaml", lambda before: before + b"x: 0x" + b"f" * 9999),
    "choices: a list": ("config.yaml", settings(choices=["affectnet8"])),
    "choice: a list": ("config.yaml", settings(choices__data=["affectnet8"])),
    "choice: nothing": ("config.yaml", settings(choices__model=None)),
    "another choice: a list": ("config.yaml", settings(choices__augment=[1])),
    "no name of a network": ("config.yaml", settings(choices__model="timm", model=[1])),
    "seed: a text": ("config.yaml", settings(seed="0")),
    "seed: below 0": ("config.yaml", settings(seed=-1)),
    "predictions: empty": ("predictions.parquet", by(b"")),
    "predictions: cut": ("predictions.parquet", cut),
    "predictions: binary": ("predictions.parquet", by(BINARY)),
    "predictions: texts": ("predictions.parquet", by(table({"prob_Fear": ["a"]}))),
    "predictions: a bomb": (
        "predictions.parquet",
        by(table({"prob_Fear": pa.array(np.zeros(2_500_000, np.int8))})),
    ),
}
# The run itself is read all the same.
NAMED: dict[str, tuple[str, Change]] = {
    "evaluation: cut": ("evaluations/emotic/metrics.json", by("{")),
    "evaluation: a list": ("evaluations/emotic/metrics.json", by("[1]")),
    "curves: binary": ("csv/version_1/metrics.csv", by(BINARY)),
    "curves: texts": ("csv/version_1/metrics.csv", by("step,val/loss\n1,low\n")),
    "curves: no steps": ("csv/version_1/metrics.csv", by("epoch,val/loss\n1,1\n")),
    "curves: steps without end": ("csv/version_1/metrics.csv", by(f"step,val/loss\n{10**400},1\n")),
    "curves: a long field": ("csv/version_1/metrics.csv", by("step,val/loss\n1," + "1" * 200_000)),
    "search: no table": (".search/s.csv", by("a,b\n1\n")),
    "search: binary": (".search/s.csv", by(BINARY)),
}
PRUNED = {"search": "s", "trial": 1, "mode": "min", "compared": "best", "bounds": {}}
UNFINISHED: dict[str, tuple[str, Change]] = {
    "mark of a pruned run: empty": ("pruned.json", by(b"")),
    "mark of a pruned run: a list": ("pruned.json", by("[1]")),
    "mark of a pruned run: no float": (
        "pruned.json",
        by(json.dumps(PRUNED | {"validations": [10**400]})),
    ),
    "begun: cut config": ("config.yaml", cut),
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("sound"), *MODEL)


def damaged(sound: Path, folder: Path, name: str, change: Change) -> None:
    """A copy of a run in which one file is changed, or made."""
    shutil.copytree(sound, folder)
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(change(file.read_bytes() if file.is_file() else b""))


@pytest.mark.usefixtures("only_png")
@pytest.mark.slow
def test_a_table_is_made_of_the_others(
    sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places: dict[str, Path] = {}
    for name, (file, change) in (LEFT_OUT | NAMED | UNFINISHED).items():
        places[name] = tmp_path / f"runs/g/damaged-{len(places):02d}"
        damaged(sound, places[name], file, change)
        if name in UNFINISHED:
            (places[name] / "metrics.json").unlink()
    shutil.copytree(sound, tmp_path / "runs/g/sound")
    asked = ("table=table6", f"runs={tmp_path / 'runs'}", f"output={tmp_path / 'out'}")
    collect(composed(*asked, config_name="collect"))
    printed = capsys.readouterr().out.splitlines()
    for name, place in places.items():
        lines = [line for line in printed if line.startswith(f"left out: {place}")]
        assert len(lines) == 1, (name, lines)
        assert len(lines[0]) < len(str(place)) * 2 + 300, (name, lines)
    assert len([line for line in printed if line.startswith("left out: ")]) == len(places)
    assert f"{1 + len(NAMED)} runs: {tmp_path / 'out'}" in printed
    with (tmp_path / "out/results.csv").open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert {row["seeds"] for row in rows} == {str(1 + len(NAMED))}
    page = (tmp_path / "out/page.html").read_text(encoding="utf-8")
    assert "is no log of a training" in page
    shown = page.partition('aria-label="What cannot be read">')[2].partition("</pre>")[0]
    assert html.unescape(shown).splitlines() == [
        line.removeprefix("left out: ") for line in printed if line.startswith("left out: ")
    ]
    assert "<" not in shown


def test_nothing_but_damaged_runs_is_an_error_that_names_one(sound: Path, tmp_path: Path) -> None:
    damaged(sound, tmp_path / "runs/g/one", "metrics.json", by("[1]"))
    with pytest.raises(
        ConfigError, match=r"no finished run .*left out: .*one/metrics\.json is unr"
    ):
        read_runs(tmp_path / "runs", {})


@pytest.mark.parametrize("content", ["", "[1]", '{"a": 1', "null", '"{}"', "\0" * 9])
def test_a_file_that_holds_no_scores_finishes_no_run(content: str, tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text(content)
    assert not RunFolder(tmp_path).finished
    (tmp_path / "metrics.json").write_text('\n{"a": 1}\n')
    assert RunFolder(tmp_path).finished


def test_a_date_in_a_config_is_a_text(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("day: 2026-01-01\nname: '1'\n<<: {a: ~}\n")
    assert read_config(tmp_path / "config.yaml") == {"day": "2026-01-01", "name": "1", "a": None}
