"""What a command imports when it starts: not what takes seconds and is of no use to it."""

from __future__ import annotations

import atexit
import gc
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from cage_lightning.app import cli
from cage_lightning.app.arguments import as_choices
from cage_lightning.app.command import Command
from cage_lightning.app.data_nodes import LOADING, OF_LOADING
from cage_lightning.data.module import ExpressionData

# In one process, one after the other: each would also bring what those before it must not.
WITHOUT_A_NETWORK = (
    *("commands.score", "commands.collect", "commands.dry_run", "runs.log"),
    *("data.datasets", "commands.analyze", "commands.prepare"),
)


HEAVY = {"torch", "lightning", "torchmetrics", "torchvision", "timm"}


def test_commands_without_a_network_import_none() -> None:
    code = f"""
import importlib, sys
for name in {WITHOUT_A_NETWORK}:
    importlib.import_module("cage_lightning." + name)
    heavy = sorted({HEAVY} & {{*sys.modules}})
    assert not heavy, f"{{name}} imports {{heavy}}"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_files_of_choices_are_read_only_for_one_that_looks_like_a_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[str] = []

    def choices(_: Command, group: str) -> list[str]:
        read.append(group)
        return ["nan"]

    monkeypatch.setattr(Command, "_choices", choices)
    typed = ["data=demo8", "data.batch_size=32", "loss=va,combined", "hydra/launcher=slurm"]
    assert as_choices(typed, Command("train")) == typed
    assert not read
    assert as_choices(["debug=nan"], Command("train")) == ['debug="nan"']
    assert "debug" in read


def test_no_garbage_is_looked_for_while_a_command_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_to_import.py").write_text("import gc; ENABLED = gc.isenabled()")
    (tmp_path / "fails_to_import.py").write_text('raise OSError(5, "gone")')
    monkeypatch.syspath_prepend(tmp_path)
    frozen: list[None] = []
    monkeypatch.setattr(gc, "freeze", lambda: frozen.append(None))
    monkeypatch.setattr(atexit, "register", lambda _: None)
    for _ in range(2):  # once: later there may be garbage
        cli._import("slow_to_import")
    assert not sys.modules["slow_to_import"].ENABLED
    assert gc.isenabled()
    assert len(frozen) == 1
    with pytest.raises(OSError, match="gone"):
        cli._import("fails_to_import")
    assert gc.isenabled()


def test_the_loaders_take_what_is_listed() -> None:
    assert f"{ExpressionData.__module__}.{ExpressionData.__qualname__}" == LOADING
    assert {*OF_LOADING} == {*inspect.signature(ExpressionData).parameters}
