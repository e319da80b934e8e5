"""The commands as programs of their own, which do not search the current folder for code."""

from __future__ import annotations

import importlib
import sys
import tomllib
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from cage_lightning.app.schema import SCHEMAS
from hydra_plugins.cage_launcher._grid import _command
from tests.documentation import ROOT


def test_every_command_is_a_program() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {
        f"cage-{command}": f"cage_lightning.{command}:main" for command in SCHEMAS
    }


@pytest.mark.parametrize("command", SCHEMAS)
def test_it_composes_as_the_module_does(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", [f"cage-{command}", "--help"])
    importlib.import_module(f"cage_lightning.{command}").main()
    assert f"python -m cage_lightning.{command}" in capsys.readouterr().out


@pytest.mark.parametrize("started", ["as a module", "as a program"])
def test_a_job_of_a_sweep_searches_where_the_sweep_does(
    started: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = OmegaConf.create(
        {
            "hydra": {
                "runtime": {"config_sources": [{"provider": "main", "path": "conf"}]},
                "job": {"config_name": "train"},
                "overrides": {"hydra": []},
            }
        }
    )
    module = SimpleNamespace(name="cage_lightning.train") if started == "as a module" else None
    monkeypatch.setitem(sys.modules, "__main__", SimpleNamespace(__spec__=module))
    job = SimpleNamespace(number=3, overrides=["seed=1"])
    made = _command(config, job, [])  # type: ignore[arg-type]
    safe = [] if module else ["-P"]
    assert made[: len(safe) + 3] == [sys.executable, *safe, "-m", "cage_lightning.train"]
    assert "seed=1" in made
