"""The W&B workspace and report: their serialised form, and saving them to something like W&B."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Command
from tests.fabricated_runs import write_run
from tests.wandb_service import Service

pytest.importorskip("wandb_workspaces", reason="pip install 'cage-lightning[dashboard]'")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two rows of a table, two seeds each."""
    for loss in ("combined", "va"):
        for seed in (0, 1):
            own = ("data=affectnet8", f"loss={loss}", f"seed={seed}", "group=table6")
            write_run(tmp_path / "runs", *own, "logger=wandb")
    return tmp_path / "runs"


def read(file: Path) -> dict[str, Any]:
    spec: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["spec"]
    return spec


def found(node: Any, key: str) -> Iterator[Any]:
    """Every value of `key`, however deep."""
    if isinstance(node, dict):
        if key in node:
            yield node[key]
        for value in node.values():
            yield from found(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from found(value, key)


BY_ROW = [{"section": "run", "name": "jobType"}]


@pytest.mark.slow
def test_both_show_the_rows_of_the_table(command: Command, runs: Path, tmp_path: Path) -> None:
    command("dashboard", "table=table6", "runs=runs/table6", "entity=me", "output=out")
    workspace, report = (read(tmp_path / f"out/{name}.json") for name in ("workspace", "report"))

    for view in (workspace, report):
        runsets = [runset for runsets in found(view, "runSets") for runset in runsets]
        assert runsets
        for runset in runsets:
            (only,) = runset["filters"]["filters"]
            assert (only["key"]["name"], only["op"], only["value"]) == ("group", "=", "table6")
            assert runset["grouping"] == BY_ROW
        # What the logger logs, under the names that it has there.
        charts = {key for keys in found(view, "metrics") for key in keys}
        assert {"test/f1_weighted", "test/ccc_pooled", "train/loss", "val/ccc_valence"} <= charts
        assert set(found(view, "xAxis")) >= {"trainer/global_step"}
        assert "test/samples" in json.dumps(view)
        tables = {args["value"] for args in found(view, "args") for args in args if "value" in args}
        assert {"test/confusion_matrix_table", "test/circumplex_table"} <= tables

    (text, _) = list(found(report["blocks"], "content"))
    lines = text.splitlines()
    paper = "| data | model | loss | seeds | P | R | F1 | MSE | MAE | RMSE | CCC |"
    assert lines[0] == f"{paper} F1 macro | CCC mean |"
    assert [line.split("|")[3].strip() for line in lines if "affectnet8" in line] == [
        "combined",
        "va",
    ]


@pytest.mark.slow
def test_both_are_saved_in_the_project_of_the_runs(command: Command, runs: Path) -> None:
    with Service.running() as service:
        done = command("dashboard", "table=table6", "runs=runs/table6", **service)
    assert [(view["entityName"], view["projectName"]) for view in Service.saved] == [
        ("me", "cage_lightning")
    ] * 2
    for view in Service.saved:
        assert view["displayName"].startswith("table6: Table 6")
        assert "test/ccc_pooled" in view["spec"]
    told = [
        line.split()[0] for line in done.stdout.splitlines() if service["WANDB_BASE_URL"] in line
    ]
    assert told == ["workspace:", "report:"]


@pytest.mark.slow
def test_what_is_missing_is_named(command: Command, runs: Path) -> None:
    done = command("dashboard", "table=table6", "runs=runs", check=False)
    assert "wandb login" in done.stderr
    write_run(runs, "data=affectnet8", "logger=wandb", "group=other")
    done = command("dashboard", "table=table6", "runs=runs", "entity=me", check=False)
    assert "several groups (other in cage_lightning, table6 in cage_lightning)" in done.stderr
    write_run(runs, "data=affectnet8", "group=plain")
    done = command("dashboard", "table=table6", "runs=runs/plain", "entity=me", check=False)
    assert "trained with logger=wandb" in done.stderr
