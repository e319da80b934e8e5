"""Killed at any moment, a run with whatever works of Lightning ends as one that was left alone."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback

from cage_lightning.errors import CheckpointError
from cage_lightning.runs.folder import RunFolder
from tests.conftest import Train

LIGHTNING = "lightning.pytorch.callbacks"
EARLY = "callbacks=early_stopping"


class Killed(BaseException):
    pass


class Kill(Callback):
    """Ends the process, as far as a test can, before a step or after the last one; once."""

    def __init__(self, step: int, marker: str) -> None:
        self.step = step
        self.marker = Path(marker)

    def on_train_batch_start(self, trainer: Trainer, *arguments: object) -> None:
        if trainer.global_step == self.step:
            self._strike()

    def on_train_end(self, trainer: Trainer, *arguments: object) -> None:
        if self.step < 0:
            self._strike()

    def _strike(self) -> None:
        if not self.marker.exists():
            self.marker.touch()
            raise Killed


# Four steps make an epoch.
CASES: dict[str, tuple[str, ...]] = {
    "stopped after two epochs": (EARLY, "callbacks.early_stopping.patience=1", "optimizer.lr=1.0"),
    "stopped by a threshold": (EARLY, "+callbacks.early_stopping.stopping_threshold=99"),
    "stopped, with a minimum": (
        EARLY,
        "+callbacks.early_stopping.stopping_threshold=99",
        "+trainer.min_epochs=2",
    ),
    "validated twice an epoch": ("+trainer.val_check_interval=0.5",),
    "validated over epochs": (
        "+trainer.val_check_interval=3",
        "+trainer.check_val_every_n_epoch=null",
    ),
    "validated every second epoch": ("+trainer.check_val_every_n_epoch=2",),
    "averaged by step": (f"+callbacks.x={{_target_: {LIGHTNING}.EMAWeightAveraging, decay: 0.5}}",),
    "averaged by epoch": (
        f"+callbacks.x={{_target_: {LIGHTNING}.EMAWeightAveraging, decay: 0.5,"
        " update_every_n_steps: 0, update_starting_at_epoch: 0}",
    ),
    "reloaded": ("+trainer.reload_dataloaders_every_n_epochs=1",),
    "overfitted": ("+trainer.overfit_batches=2",),
    "ended by steps": ("+trainer.max_steps=10",),
    "accumulated": ("trainer.accumulate_grad_batches=3",),
}
# Each has a section in docs/train.md.
RECIPES: dict[str, tuple[str, ...]] = {
    "averaged": ("callbacks=ema", "callbacks.ema.decay=0.5"),
    "decaying by layer": ("layer_decay=0.5", "decay_norms_and_biases=false"),
    "balanced in each epoch": ("data.balance=each_epoch",),
    "mixed": ("data.mixup=0.4", "data.cutmix=1.0"),
    "unfrozen gradually": ("callbacks=unfreezing", "callbacks.unfreezing.blocks_per_epoch=1"),
    "sharpness-aware": ("sam=0.05",),
    "labels smoothed": ("loss.label_smoothing=0.1",),
}
# Recipes that one run follows at once.
TOGETHER = {
    " and ".join(recipes): tuple(setting for recipe in recipes for setting in RECIPES[recipe])
    for recipes in (
        ("averaged", "mixed"),
        ("decaying by layer", "balanced in each epoch", "labels smoothed"),
        ("sharpness-aware", "unfrozen gradually"),
    )
}
SETTINGS = CASES | RECIPES | TOGETHER
QUICK = [("validated twice an epoch", 6)]
# All recipes, and of the other cases one of each kind; tests/faults has the rest, and each alone.
SLOW = [
    ("stopped after two epochs", 6),
    ("stopped after two epochs", -1),
    ("averaged by step", 6),
    ("accumulated", 6),
    *((recipes, 6) for recipes in TOGETHER),
]
EVERY = [
    (case, step) for case in (*CASES, *RECIPES) for step in ((6,) if case in RECIPES else (6, -1))
]
Alone = dict[str, dict[str, Any]]


def state(folder: RunFolder) -> dict[str, Any]:
    """Everything that a run is, as one mapping."""
    found: dict[str, Any] = {k: v for k, v in folder.read_metrics().items() if "/" in k}
    for file in (folder.best, folder.last):
        checkpoint = torch.load(file, weights_only=True)
        found[f"{file.stem} step"] = checkpoint["global_step"]
        for part in ("state_dict", "current_model_state", "averaging_state"):
            tensors = checkpoint.get(part, {}).items()
            found |= {f"{file.stem} {part} {name}": t.tolist() for name, t in tensors}
    # Each of them tells the mean loss of an epoch, of which a killed run has seen a part.
    lines = re.findall(r"(epoch \d+/\d+: .*), \d+ images/s", folder.log_file.read_text())
    return found | {"epochs": set(lines)}


@pytest.fixture(scope="module")
def undisturbed() -> Alone:
    """The states of the runs left alone, by case; the first test that needs one trains it."""
    return {}


def to_kill(faces: Path, marker: Path, step: int) -> tuple[str, ...]:
    """A run of three epochs that is killed once, unless the marker says that it was."""
    kill = f"+callbacks.kill={{_target_: {__name__}.Kill, step: {step}, marker: '{marker}'}}"
    size = (f"data.root={faces}", "data.batch_size=16", "trainer.max_epochs=3")
    return (*size, "callbacks.last.every_n_steps=1", kill)


def leave_alone(
    train_here: Train,
    few: tuple[str, ...],
    marker: Path,
    case: str,
    undisturbed: Alone,
) -> None:
    """Train a case without a kill, unless that was done before; nothing but its state is kept."""
    if case in undisturbed:
        return
    marker.touch()
    alone = train_here(*few, *SETTINGS.get(case, ()))
    undisturbed[case] = state(alone)
    shutil.rmtree(alone.path)
    marker.unlink()


def check_killed_run(
    train_here: Train, few_faces: Path, tmp_path: Path, undisturbed: Alone, case: str, step: int
) -> None:
    """Kill a run, start it again, and compare it with one that was left alone.

    Args:
        train_here: The fixture.
        few_faces: The fixture.
        tmp_path: The fixture.
        undisturbed: The states of the runs left alone, by case; missing ones are trained.
        case: Of `SETTINGS`.
        step: Before which it is killed; -1 for after the last one.
    """
    marker = tmp_path / "killed"
    few = to_kill(few_faces, marker, step)
    settings = (*few, *SETTINGS[case])
    for left_alone in {case} if case in CASES else {case, "plain"}:
        leave_alone(train_here, few, marker, left_alone, undisturbed)
    if case not in CASES:
        assert undisturbed[case] != undisturbed["plain"], "the recipe has no effect"

    try:
        folder = train_here(*settings)
    except Killed:
        folder = train_here(*settings)
    else:
        assert undisturbed[case]["last step"] <= step, "it was over before"
    assert state(folder) == undisturbed[case]


@pytest.mark.parametrize(
    ("case", "step"), [*QUICK, *(pytest.param(*one, marks=pytest.mark.slow) for one in SLOW)]
)
def test_a_killed_run_ends_as_an_undisturbed_one(
    train_here: Train, few_faces: Path, tmp_path: Path, undisturbed: Alone, case: str, step: int
) -> None:
    check_killed_run(train_here, few_faces, tmp_path, undisturbed, case, step)


@pytest.mark.slow
def test_a_damaged_latest_state_costs_time_and_nothing_else(
    train_here: Train,
    few_faces: Path,
    tmp_path: Path,
    undisturbed: Alone,
) -> None:
    case, marker = "validated twice an epoch", tmp_path / "killed"
    few = to_kill(few_faces, marker, 7)
    leave_alone(train_here, few, marker, case, undisturbed)
    with pytest.raises(Killed):
        train_here(*few, *CASES[case])
    [last] = tmp_path.rglob("last.ckpt")
    best = last.with_name("best.ckpt")
    assert torch.load(last, weights_only=True)["global_step"] == 7
    assert torch.load(best, weights_only=True)["global_step"] < 7
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.write_bytes(content)
    folder = train_here(*few, *CASES[case])
    assert f"{last} is damaged" in folder.log_file.read_text()
    assert f"resuming from {best}" in folder.log_file.read_text()
    assert state(folder) == undisturbed[case]


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"", bytes(5_000)], ids=["empty", "zeros"])
def test_a_damaged_state_without_one_before_is_named(
    train_here: Train, few_faces: Path, tmp_path: Path, content: bytes
) -> None:
    few = to_kill(few_faces, tmp_path / "killed", 3)
    with pytest.raises(Killed):
        train_here(*few)
    [last] = tmp_path.rglob("last.ckpt")
    last.write_bytes(content)
    with pytest.raises(
        CheckpointError, match=r"damaged .* delete it to start the run again"
    ) as one:
        train_here(*few)
    assert str(last) in str(one.value)
    assert (last.parents[1] / "error.txt").read_text() == f"{one.value}\n"


def test_a_damaged_best_epoch_says_how_to_train_it_again(
    train_here: Train, few_faces: Path, tmp_path: Path
) -> None:
    few = to_kill(few_faces, tmp_path / "killed", -1)
    with pytest.raises(Killed):
        train_here(*few, "trainer.max_epochs=1")
    [best] = tmp_path.rglob("best.ckpt")
    best.write_bytes(best.read_bytes()[:-1_000])
    with pytest.raises(CheckpointError, match=r"best\.ckpt, .* delete .*last\.ckpt, and the same"):
        train_here(*few, "trainer.max_epochs=1")
