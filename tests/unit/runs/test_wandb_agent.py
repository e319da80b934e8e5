"""The settings that `wandb agent` chooses, as its client passes them to a command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from cage_lightning.app.sweeps import automatic_tag, chosen_for_this_process
from cage_lightning.runs.wandb_agent import chosen_keys, hydra_overrides, run_id
from tests.conftest import TINY, Command, composed
from tests.wandb_files import read_run


def started_by_agent(place: Path, run: str, **chosen: Any) -> tuple[list[str], dict[str, str]]:
    """Arguments and environment of a run, as `wandb.wandb_agent` makes them."""
    from wandb.sdk.launch.sweeps.utils import create_sweep_command_args  # takes seconds
    from wandb.sdk.lib.config_util import save_config_file_from_dict

    args = {name.replace("__", "."): {"value": value} for name, value in chosen.items()}
    file = place / f"wandb/sweep-abc/config-{run}.yaml"
    save_config_file_from_dict(str(file), args)
    env = {
        "WANDB_SWEEP_ID": "abc",
        "WANDB_RUN_ID": run,
        "WANDB_SWEEP_PARAM_PATH": str(file),
    }
    return create_sweep_command_args({"args": args})["args_no_hyphens"], env


CHOSEN = {
    "optimizer__lr": 0.003,
    "trainer__gradient_clip_val": None,
    "data__balance": True,
    "data__class_weights": [1, 2.5, "a b"],
    "warmup": "1e-3",  # YAML reads it as a text
    "init_from": "it's a=b, {c}",
    "augment": "none",
    "group": "g",
    "monitor": {"metric": "val/loss", "deep": {"er": None}},
}


@pytest.mark.slow
def test_its_command_line_means_what_it_chose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, env = started_by_agent(tmp_path, "r1", **CHOSEN)
    assert list(hydra_overrides(["seed=1", *arguments])) == ["seed=1", *arguments]
    assert run_id() is None
    for key, value in env.items():
        monkeypatch.setenv(key, value)
    given = list(hydra_overrides(["data=demo8", *arguments, "seed=1"]))
    assert (given[0], given[-1]) == ("data=demo8", "seed=1")
    parsed = OverridesParser.create().parse_overrides(given[1:-1])
    assert {one.key_or_group: one.value() for one in parsed} == {
        "optimizer.lr": 0.003,
        "trainer.gradient_clip_val": None,
        "data.balance": True,
        "data.class_weights": [1, 2.5, "a b"],
        "warmup": 0.001,
        "init_from": "it's a=b, {c}",
        "augment": "none",
        "group": "g",
        "monitor.metric": "val/loss",
        "monitor.deep.er": None,
    }
    assert chosen_keys() == {one.key_or_group for one in parsed}
    assert run_id() == "r1"


@pytest.mark.slow
def test_what_it_chose_becomes_the_tag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {"optimizer__lr": 0.003, "augment": "none", "loss": "va", "seed": 1, "group": "g"}
    arguments, env = started_by_agent(tmp_path, "r1", **chosen)
    for key, value in env.items():
        monkeypatch.setenv(key, value)
    config = composed("data=demo8", "trainer.max_epochs=1", *hydra_overrides(arguments))
    # This is the tag of `train -m optimizer.lr=... augment=...`.
    assert automatic_tag(config, chosen_for_this_process()) == "augment-none-lr0.003"


@pytest.mark.slow
def test_runs_of_an_agent(command: Command, tmp_path: Path) -> None:
    fixed = (*TINY, "trainer.max_epochs=1", "logger=wandb", "group=sweep")
    arguments, env = started_by_agent(tmp_path, "r1", optimizer__lr=1e-3)
    command("train", *fixed, *arguments, **env)
    folder = tmp_path / "runs/sweep/demo8-tiny-combined-s0-lr0.001"
    first = read_run(folder)
    assert first["run"].run_id == "r1"
    assert first["config"]["optimizer"]["lr"] == 1e-3
    assert "val/loss" in {key for row in first["history"] for key in row}

    # If it is chosen again, it is not trained again, and the agent gets its results.
    arguments, env = started_by_agent(tmp_path, "r2", optimizer__lr=1e-3)
    done = command("train", *fixed, *arguments, **env)
    assert "is finished already" in done.stderr
    again = read_run(folder, 1)
    assert (again["run"].run_id, again["exit"]) == ("r2", 0)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert again["summary"]["test/accuracy"] == metrics["test/accuracy"]
    assert again["summary"]["val/loss"] == metrics["meta"]["selection"]["value"]
