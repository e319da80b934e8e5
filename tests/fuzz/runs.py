"""The files of a run folder, as `collect` reads them and shows what they say."""

from __future__ import annotations

import json
from pathlib import Path

from cage_lightning.errors import ConfigError
from cage_lightning.report.page import page
from cage_lightning.report.page.curves import unread_curves
from cage_lightning.report.paper_tables import TABLES
from cage_lightning.report.run_tables import fill
from cage_lightning.report.runs import read_affect, read_runs, read_unfinished
from cage_lightning.report.searches import read_searches
from cage_lightning.runs.folder import RunFolder
from cage_lightning.runs.measured import read_measured
from cage_lightning.runs.pruning import Pruned, Pruning, mark_pruned
from tests.fabricated_runs import write_run
from tests.fuzz.mutations import (
    either,
    of_bytes,
    of_json,
    of_table,
    of_text,
    of_yaml,
    parquet_file,
)
from tests.fuzz.target import Target

_MODEL = ("data=affectnet8", "model=maxvit", "loss=combined")
_FINISHED, _OTHER, _STOPPED = (f"default/affectnet8-maxvit-combined-s{seed}" for seed in range(3))
_SEARCH = """trial,state,best,objective.monitor,validations,model.depth,x,run
0,finished,best,1.5,3,4,b,runs/0
1,pruned,,2.5,1,16,<i>,runs/1
2,failed,,,,2,b,
"""
_SETTINGS = {"model.depth": {"scale": "log", "importance": 0.75}, "x": {"scale": "linear"}}


def _write(folder: Path) -> None:
    """Two finished runs, of which one was evaluated elsewhere too, and one that was stopped."""
    for seed in (0, 1):
        write_run(folder, *_MODEL, f"seed={seed}")
    there = folder / _FINISHED / "evaluations/other"
    there.mkdir(parents=True)
    for name in ("metrics.json", "predictions.parquet"):
        (there / name).write_bytes((folder / _FINISHED / name).read_bytes())
    stopped = write_run(folder, *_MODEL, "seed=2", finished=False, log="1\n2\n", error="broken")
    pruning = Pruning("lr", 3, "min", "best", {1: 0.5, 2: 0.25})
    mark_pruned(RunFolder(stopped), Pruned(pruning, (0.75, 0.5)))
    search = folder / "default/.search/lr.csv"
    search.parent.mkdir()
    search.write_text(_SEARCH)
    search.with_suffix(".settings.json").write_text(json.dumps(_SETTINGS))


def _read(root: Path) -> None:
    """What is read before a table is made; malformed runs cost only themselves."""
    malformed: dict[Path, str] = {}
    runs = read_runs(root, malformed)
    read_unfinished(root, malformed)
    malformed |= unread_curves(runs)
    read_affect([one for run in runs for one in run.evaluations], malformed)
    read_searches(root, malformed)
    read_measured(root, ["maxvit"])
    _tell(malformed)


def _show(root: Path) -> None:
    """The table in all its forms, and the page."""
    malformed: dict[Path, str] = {}
    runs, unfinished = read_runs(root, malformed), read_unfinished(root, malformed)
    searches = read_searches(root, malformed)
    for name in ("table6", "runs"):
        filled = fill(TABLES[name], runs)
        filled.markdown()
        filled.latex()
        filled.records()
        page(filled, runs, unfinished, searches)
    _tell(malformed)


def _tell(malformed: dict[Path, str]) -> None:
    """Count an input as refused if anything was left out."""
    for reason in malformed.values():
        raise ConfigError(reason)


_TEXT = either(of_text, of_bytes)
_JSON = either(of_json, of_json, of_json, of_bytes)
_MUTATIONS = {
    f"{_FINISHED}/config.yaml": either(of_yaml, of_yaml, of_text, of_bytes),
    f"{_FINISHED}/metrics.json": _JSON,
    f"{_FINISHED}/csv/version_0/metrics.csv": _TEXT,
    f"{_FINISHED}/csv/version_1/metrics.csv": _TEXT,
    f"{_FINISHED}/evaluations/other/metrics.json": _JSON,
    f"{_STOPPED}/config.yaml": either(of_yaml, of_text, of_bytes),
    f"{_STOPPED}/pruned.json": _JSON,
    f"{_STOPPED}/error.txt": _TEXT,
    f"{_STOPPED}/train.log": _TEXT,
    "default/.search/lr.csv": either(of_text, of_text, of_bytes),
    "default/.search/lr.settings.json": _JSON,
}
_PARQUET = {f"{_FINISHED}/predictions.parquet": either(of_table(parquet_file), of_bytes)}


TARGETS = (
    Target("run folders, read", _write, _read, _MUTATIONS | _PARQUET),
    Target("run folders, shown", _write, _show, _MUTATIONS),
)
