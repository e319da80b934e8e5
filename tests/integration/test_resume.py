"""A killed run, started again, ends with the weights of an undisturbed one, bit for bit."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.conftest import TINY, Command, environment, forks

EPOCHS = 2
SETTINGS = (
    *TINY,
    f"trainer.max_epochs={EPOCHS}",
    "data.batch_size=16",
    "callbacks.last.every_n_steps=2",
    # Stochastic depth and dropout must come back as well.
    "model=maxvit_mini",
)


def weights(runs: Path) -> dict[str, torch.Tensor]:
    checkpoint = torch.load(
        runs / "default/demo8-maxvit_mini-combined-s0/checkpoints/last.ckpt", weights_only=True
    )
    assert checkpoint["global_step"] == EPOCHS * 15
    return checkpoint["state_dict"]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def undisturbed() -> dict[int, dict[str, torch.Tensor]]:
    """The weights of the run left alone, by workers; the first test that needs them trains it."""
    return {}


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM])
def test_interrupted_equals_undisturbed(
    command: Command,
    tmp_path: Path,
    demo_root: Path,
    undisturbed: dict[int, dict[str, torch.Tensor]],
    workers: int,
    blow: signal.Signals,
) -> None:
    settings = (*SETTINGS, f"data.num_workers={workers}")
    if workers not in undisturbed:
        command("train", *settings, "runs=undisturbed")
        undisturbed[workers] = weights(tmp_path / "undisturbed")

    interrupted = [*settings, "runs=interrupted"]
    last = tmp_path / "interrupted/default/demo8-maxvit_mini-combined-s0/checkpoints/last.ckpt"
    moments = random.Random(workers)
    blows = 0
    for _ in range(4):
        seen = last.stat().st_mtime_ns if last.exists() else 0
        with (tmp_path / "output.log").open("w") as output, forks():
            process = subprocess.Popen(
                [sys.executable, "-m", "cage_lightning.train", *interrupted],
                cwd=tmp_path,
                env=environment(demo_root),
                stderr=output,
                stdout=output,
                stdin=subprocess.DEVNULL,
            )
        # Strike some time after the process has got further than its predecessor.
        while process.poll() is None and (not last.exists() or last.stat().st_mtime_ns == seen):
            time.sleep(0.02)
        time.sleep(moments.uniform(0, 0.3))
        process.send_signal(blow)
        code = process.wait(60)
        if code == 0:
            break
        left_with = 143 if blow == signal.SIGTERM else -signal.SIGKILL
        assert code == left_with, (tmp_path / "output.log").read_text()
        assert not (last.parents[1] / "metrics.json").exists()
        blows += 1
    assert blows
    command("train", *interrupted)

    expected, got = undisturbed[workers], weights(tmp_path / "interrupted")
    assert expected.keys() == got.keys()
    assert all(torch.equal(expected[name], got[name]) for name in expected)
    assert not list(tmp_path.rglob(".part-*"))
