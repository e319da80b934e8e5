"""A killed run, started again, ends with the weights of an undisturbed one, bit for bit.

tests/faults kills it at many random moments.
"""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback

from tests.conftest import TINY, Command, Train, environment, forks

EPOCHS, STEPS = 2, 4
SETTINGS = (
    *TINY,
    f"trainer.max_epochs={EPOCHS}",
    "data.batch_size=16",
    "callbacks.last.every_n_steps=1",
    # Stochastic depth and dropout must come back as well.
    "model=maxvit_mini",
)
RUN = "default/demo8-maxvit_mini-combined-s0"
# With what, the exit code, and the loader's processes.
BLOWS = ((signal.SIGKILL, -signal.SIGKILL, 2), (signal.SIGTERM, 143, 0))


def weights(runs: Path) -> dict[str, torch.Tensor]:
    checkpoint = torch.load(runs / RUN / "checkpoints/last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == EPOCHS * STEPS
    return checkpoint["state_dict"]  # type: ignore[no-any-return]


@pytest.mark.slow
def test_interrupted_equals_undisturbed(
    command: Command, tmp_path: Path, demo_root: Path, few_faces: Path
) -> None:
    settings = (*SETTINGS, f"data.root={few_faces}")
    command("train", *settings, "runs=undisturbed")
    expected = weights(tmp_path / "undisturbed")
    for blow, code, workers in BLOWS:
        of_this = (*settings, f"data.num_workers={workers}", f"runs={blow.name}")
        run = tmp_path / blow.name / RUN
        with (tmp_path / "output.log").open("w") as output, forks():
            process = subprocess.Popen(
                [sys.executable, "-m", "cage_lightning.train", *of_this],
                cwd=tmp_path,
                env=environment(demo_root),
                stderr=output,
                stdout=output,
                stdin=subprocess.DEVNULL,
            )
        while process.poll() is None and not (run / "checkpoints/last.ckpt").exists():
            time.sleep(0.01)
        process.send_signal(blow)
        assert process.wait(60) == code, (tmp_path / "output.log").read_text()
        assert not (run / "metrics.json").exists()
        command("train", *of_this)

        got = weights(tmp_path / blow.name)
        assert expected.keys() == got.keys()
        assert all(torch.equal(expected[name], got[name]) for name in expected), blow
    assert not list(tmp_path.rglob(".part-*"))


class Leave(Callback):
    """Asks the training to leave after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        if trainer.global_step == self.step:
            signal.raise_signal(signal.SIGTERM)


def test_the_step_after_which_a_run_leaves_is_logged(train_here: Train, few_faces: Path) -> None:
    leave = f"+callbacks.leave={{_target_: {__name__}.Leave, step: 2}}"
    few = (f"data.root={few_faces}", "data.batch_size=16", "trainer.log_every_n_steps=1", leave)
    with pytest.raises(SystemExit, match="143"):
        train_here(*few)
    run = train_here(*few)
    files = sorted(run.path.glob("csv/*/metrics.csv"))
    rows = [row for file in files for row in csv.DictReader(file.read_text().splitlines())]
    assert [row["step"] for row in rows if row["train/loss"]] == [*"0123"]
