"""The sweeps that a newcomer tries first, killed and typed again in another order."""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import TINY, Command, environment, forks

REST = (*TINY[3:], "trainer.max_epochs=1")
TIMM = ("test_resnet.r160_in1k", "test_vit.r160_in1k")
SWEEPS = {
    "lr": (
        ("model=tiny", "optimizer.lr=1e-3,3e-3"),
        ("optimizer.lr=.003,.001", "model=tiny"),
        ["tiny-combined-s0-lr0.001", "tiny-combined-s0-lr0.003"],
    ),
    "modes": (
        ("model=tiny,maxvit_mini", "loss=discrete,combined"),
        ("loss=combined,discrete", "model=maxvit_mini,tiny"),
        [f"{m}-{loss}-s0" for m in ("maxvit_mini", "tiny") for loss in ("combined", "discrete")],
    ),
    "networks": (
        (
            "model=timm",
            f"model.name={','.join(TIMM)}",
            "model.weights=none",
            "model.image_size=160",
        ),
        (
            f"model.name={','.join(reversed(TIMM))}",
            *("model.image_size=160", "model.weights=none", "model=timm"),
        ),
        [f"{name}-combined-s0" for name in TIMM],
    ),
}


def killed(arguments: Sequence[str], folder: Path, data: Path) -> None:
    """Kill the launcher, and with it its jobs, once a run has saved its state."""
    with forks():
        sweep = subprocess.Popen(
            [sys.executable, "-m", "cage_lightning.train", *arguments],
            cwd=folder,
            env=environment(data),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    deadline = time.monotonic() + 120
    while sweep.poll() is None and not list(folder.rglob("last.ckpt")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    sweep.kill()
    sweep.wait()


@pytest.mark.slow
@pytest.mark.usefixtures("only_png")
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_that_is_killed_and_typed_again(
    name: str, command: Command, tmp_path: Path, demo_root: Path, few_faces: Path
) -> None:
    typed, again, expected = SWEEPS[name]
    few = (*TINY[:2], f"data.root={few_faces}")
    killed(("-m", *few, *typed, *REST), tmp_path, demo_root)
    command("train", "-m", *REST, *again, *few, "hydra.launcher.cpu_slots=2", process="forked")
    done = sorted(file.parent for file in tmp_path.glob("runs/default/*/metrics.json"))
    assert [folder.name for folder in done] == [f"demo8-{run}" for run in expected]
    assert sorted(tmp_path.glob("runs/default/demo8-*")) == done
    skipped = command("train", "-m", *few, *typed, *REST, process="forked")
    assert f"{len(done)} skipped" in skipped.stdout

    command("collect", "table=runs", "runs=runs", "output=out")
    with (tmp_path / "out/results.csv").open() as lines:
        rows = [row for row in csv.DictReader(lines) if row["predictor"] == "model"]
    labels = {(row["model"], row["loss"], row.get("optimizer.lr")) for row in rows}
    assert len(labels) == len(done)
    assert (rows[0].get("optimizer.lr") is not None) == (name == "lr")
