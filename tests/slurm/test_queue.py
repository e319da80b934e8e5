"""Asking for the queue where SLURM's controller does not answer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cage_lightning.errors import ConfigError

_jobs = pytest.importorskip("hydra_plugins.cage_slurm._jobs", reason="needs the extra slurm")
pytestmark = [pytest.mark.slurm, pytest.mark.xdist_group("failures")]


@pytest.mark.parametrize("squeue", ["exit 1", "sleep 30"], ids=["an error", "no answer"])
def test_a_controller_that_does_not_answer_is_an_error(
    squeue: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "squeue"
    program.write_text(f"#!/bin/sh\n{squeue}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(_jobs, "_ANSWERS_S", 0.1)
    monkeypatch.setattr(_jobs, "_POLL_S", 0.1)
    with pytest.raises(ConfigError, match=r"squeue does not answer within 0\.2 s"):
        _jobs._queue(0.2)


def test_a_controller_that_is_busy_at_first_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "squeue"
    program.write_text(
        f"#!/bin/sh\n[ -e {tmp_path}/asked ] && echo 7:token:/run || "
        f"{{ touch {tmp_path}/asked; exit 1; }}\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(_jobs, "_POLL_S", 0.1)
    assert _jobs._queue() == [_jobs.Queued("7", "token", "/run")]
