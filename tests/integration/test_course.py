"""What can come to no result is said before it begins, and for what it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest
import torch

from cage_lightning.commands.evaluate import evaluate
from cage_lightning.errors import ConfigError
from cage_lightning.runs.folder import RunFolder
from tests.conftest import TINY, Train, composed

SECOND = "+callbacks.x={_target_: lightning.pytorch.callbacks.ModelCheckpoint, monitor: val/lss}"

# Four steps make an epoch, and one epoch is trained.
NO_RESULT: dict[str, tuple[tuple[str, ...], str]] = {
    "no epoch": (("trainer.max_epochs=0",), "trainer.max_epochs=0 is refused"),
    "no end": (("trainer.max_epochs=-1",), "trainer.max_epochs=-1 is refused"),
    "nobody knows": (("trainer.max_epochs=null",), "trainer.max_epochs=None is refused"),
    "no step": (("+trainer.max_steps=0",), "trainer.max_steps=0 is refused"),
    "nothing trained": (("trainer.limit_train_batches=0",), "limit_train_batches=0 is refused"),
    "no validation": (("trainer.limit_val_batches=0",), "limit_val_batches=0 is refused"),
    "no share of one": (("trainer.limit_val_batches=0.0",), "limit_val_batches=0.0 is refused"),
    "no test": (("trainer.limit_test_batches=0",), "limit_test_batches=0 is refused"),
    "too few epochs": (
        ("+trainer.check_val_every_n_epoch=2",),
        "the first validation would come after 8 steps, and the training ends after 4",
    ),
    "too few steps": (
        ("+trainer.max_steps=3",),
        "the first validation would come after 4 steps, and the training ends after 3",
    ),
    "too few accumulated steps": (
        ("+trainer.max_steps=1", "trainer.accumulate_grad_batches=3"),
        "the first validation would come after 2 steps, and the training ends after 1",
    ),
    "interval over epochs": (
        ("+trainer.check_val_every_n_epoch=null", "+trainer.val_check_interval=5"),
        "the first validation would come after 5 steps, and the training ends after 4",
    ),
    "interval": (("+trainer.val_check_interval=5",), "is more than the 4 batches of an epoch"),
    "no best epoch": (("callbacks.best=null",), "callbacks.best=null is refused"),
    "another name": (("callbacks.best.filename=x",), "callbacks.best.filename=x is refused"),
    "nothing monitored": (("callbacks.best.monitor=null",), "callbacks.best.monitor=None is ref"),
    "another number": (("callbacks.best.monitor=val/mse",), "monitor=val/mse is refused"),
    "several best": (("callbacks.best.save_top_k=3",), "save_top_k=3 is refused"),
    "seldom": (("+callbacks.best.every_n_epochs=2",), "every_n_epochs=2 is refused"),
    "last elsewhere": (("callbacks.last.path=/tmp/x",), "callbacks.last.path=/tmp/x is refused"),
    "wrong mode": (("monitor.mode=least",), "but got least"),
    "another mode's number": (
        ("loss=discrete", "monitor.metric=val/ccc_valence"),
        "monitor.metric=val/ccc_valence is not among what a validation of this model gives: "
        "val/accuracy, val/cross_entropy, ",
    ),
    "the worst category": (("monitor.metric=val/f1_macro",), "set monitor.mode=max"),
    "the worst agreement": (("monitor.metric=val/ccc_valence",), "set monitor.mode=max"),
    "the largest error": (("monitor.metric=val/rmse_pooled", "monitor.mode=max"), "mode=min"),
    "a training number": (("monitor.metric=train/loss",), "monitor.metric=train/loss is not among"),
    "misspelt elsewhere": (
        ("callbacks=early_stopping", "callbacks.early_stopping.monitor=val/lss"),
        "EarlyStopping monitors val/lss, which is not among",
    ),
    "misspelt beside": ((SECOND,), "ModelCheckpoint monitors val/lss, which is not among"),
}


@pytest.mark.parametrize("case", NO_RESULT)
def test_no_result_is_said_before_training(train_here: Train, tmp_path: Path, case: str) -> None:
    overrides, expected = NO_RESULT[case]
    with pytest.raises(ConfigError) as raised:
        train_here(*overrides)
    assert expected in str(raised.value)
    assert "diverged" not in str(raised.value)
    assert not list(tmp_path.rglob("*.ckpt"))


def named(train_here: Train, few: Sequence[str]) -> dict[str, Literal["max", "min"]]:
    """The numbers that a validation of the model gives, and which of their values are better."""
    with pytest.raises(ConfigError) as raised:
        train_here(*few, "monitor.metric=val/nothing")
    names = str(raised.value).rpartition(": ")[2].split(", ")
    higher = re.compile(r"val/(accuracy|f1|precision|recall|ccc_)")
    return {name: "max" if higher.match(name) else "min" for name in names}


def check_choice(train_here: Train, few: Sequence[str], name: str, mode: str) -> RunFolder:
    """Let a number choose the epoch of a training."""
    settings = (f"monitor.metric={name}", f"monitor.mode={mode}", f"tag={name[4:]}")
    folder = train_here(*few, *settings)
    assert folder.read_metrics()["meta"]["selection"]["metric"] == name
    return folder


@pytest.mark.parametrize("loss", ["discrete", "combined", "va"])
@pytest.mark.slow
def test_every_number_that_is_named_can_choose(
    train_here: Train, few_faces: Path, loss: str
) -> None:
    """In one training each number chooses a checkpoint; tests/faults lets each choose the epoch."""
    few = (f"data.root={few_faces}", f"loss={loss}")
    modes = named(train_here, few)
    first, *others = modes
    target = "lightning.pytorch.callbacks.ModelCheckpoint"
    more = [
        f"+callbacks.x{number}={{_target_: {target}, monitor: {name}, mode: {modes[name]}}}"
        for number, name in enumerate(others)
    ]
    last = check_choice(train_here, (*few, *more), first, modes[first]).last
    states = torch.load(last, weights_only=True)["callbacks"]
    chosen = {state["monitor"] for state in states.values() if "best_model_score" in state}
    assert chosen == {*modes}


def test_an_evaluation_of_nothing_is_refused(tmp_path: Path) -> None:
    config = composed(
        "checkpoint=none",
        "data=demo8",
        "trainer.limit_test_batches=0",
        config_name="evaluate",
    )
    with pytest.raises(ConfigError, match="limit_test_batches=0 is refused"):
        evaluate(config)


@pytest.mark.slow
def test_a_dry_evaluation_keeps_nothing(train_here: Train, tmp_path: Path) -> None:
    folder = train_here()
    settings = [s for s in TINY if not s.startswith(("model", "trainer.max"))]
    config = composed(
        *settings,
        f"checkpoint={folder.path}",
        "trainer.fast_dev_run=true",
        config_name="evaluate",
    )
    assert evaluate(config) is None
    assert not (folder.path / "evaluations").exists()
