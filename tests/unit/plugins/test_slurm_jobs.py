"""What `hydra/launcher=slurm` hands to sbatch, which is a program of this test."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("submitit", reason="needs the extra slurm")

from hydra_plugins.cage_slurm._jobs import _submit


@pytest.mark.parametrize("module", ["cage_lightning.train", None], ids=["module", "program"])
def test_a_job_searches_where_the_sweep_does(
    module: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("srun", "sbatch"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\ncp "$1" {tmp_path}/script\necho Submitted batch job 7\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    main = SimpleNamespace(__spec__=module and SimpleNamespace(name=module))
    monkeypatch.setitem(sys.modules, "__main__", main)
    job: Any = SimpleNamespace(folder=None, starts_from=None, overrides=[], label="x", number=0)
    settings = {"submitit_folder": str(tmp_path / "%j"), "timeout_min": 1}
    assert _submit(print, job, settings, {}).id == "7"  # type: ignore[arg-type]
    options = "-u -m" if module else "-P -u -m"
    script = (tmp_path / "script").read_text()
    assert f"{sys.executable} {options} submitit.core._submit" in script
