"""A small training that is stopped at chosen calls of its callbacks, and started again."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch.utils.data import DataLoader, TensorDataset

from cage_lightning.callbacks import AtomicCheckpointIO, LastCheckpoint, Preemption, StepSeed
from cage_lightning.data.sampling import EpochBatches, ResumableLoader

BATCHES, EPOCHS = 5, 3
DATA = TensorDataset(torch.linspace(-1, 1, 4 * BATCHES).unsqueeze(1))


class Network(pl.LightningModule):
    """One weight behind dropout, with a momentum and a schedule to lose."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.Sequential(torch.nn.Linear(1, 8), torch.nn.Dropout(0.3))

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        loss: torch.Tensor = (self.layers(batch[0]) - batch[0]).square().mean()
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val/loss", self.training_step(batch, batch_idx))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), 0.3, momentum=0.9)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


class Strike(Callback):
    """Call `blow` at the given moment: the n-th call of any hook of a callback."""

    def __init__(self, moment: int, blow: Callable[[], None]) -> None:
        self.left, self.blow = moment, blow

    def count(self, *_: Any, **__: Any) -> None:
        self.left -= 1
        if self.left == 0:
            self.blow()


_NO_MOMENTS = ("state_dict", "load_state_dict", "on_exception", "teardown")
for hook in (name for name in vars(Callback) if not name.startswith("_")):
    if hook not in _NO_MOMENTS and callable(getattr(Callback, hook)):
        setattr(Strike, hook, Strike.count)


def asked_to_leave() -> None:
    signal.raise_signal(signal.SIGTERM)


def killed() -> None:
    """As far as a process can do it to itself: nothing of ours saves on this."""
    raise KeyboardInterrupt


BLOWS = (asked_to_leave, killed)
# Optimisation steps between two saves inside an epoch, and batches of a step.
SETTINGS = ((2, 1), (BATCHES, 1), (100, 1), (1, 2))


@dataclass
class Ended:
    """What a training leaves behind."""

    weights: dict[str, torch.Tensor]
    best: dict[str, torch.Tensor]
    step: int
    moments: int

    def same_as(self, other: Ended) -> bool:
        return self.step == other.step and all(
            torch.equal(mine[name], theirs[name])
            for mine, theirs in ((self.weights, other.weights), (self.best, other.best))
            for name in mine
        )


def train(folder: Path, every_n_steps: int, accumulated: int, strike: Strike, first: bool) -> bool:
    """Start or resume; `first`: strike before the other callbacks, not after them.

    Returns:
        Whether it came to its end.
    """
    last = folder / "last.ckpt"
    preemption = Preemption()
    preemption.listen()
    callbacks: list[Callback] = [
        ModelCheckpoint(
            dirpath=folder,
            filename="best",
            monitor="val/loss",
            save_on_train_epoch_end=False,
            enable_version_counter=False,
        ),
        LastCheckpoint(str(last), every_n_steps),
        StepSeed(0),
        preemption,
    ]
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=EPOCHS,
        accumulate_grad_batches=accumulated,
        callbacks=[strike, *callbacks] if first else [*callbacks, strike],
        plugins=[AtomicCheckpointIO()],
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    loader: Any = ResumableLoader(
        DATA,  # type: ignore[arg-type]
        batch_sampler=EpochBatches(len(DATA), len(DATA) // BATCHES, seed=0),
    )
    loader.trainer = trainer
    with suppress(SystemExit):  # of either blow
        trainer.fit(
            Network(),
            loader,
            DataLoader(DATA, batch_size=7),
            ckpt_path=last if last.is_file() else None,
            weights_only=True,
        )
        preemption.trained(trainer)
        return True
    return False


def stopped(
    folder: Path,
    blow: Callable[[], None],
    every_n_steps: int,
    accumulated: int,
    *moments: tuple[int, bool],
) -> Ended:
    """A training that is struck in each start at one of `moments`, and then left alone."""
    folder.mkdir()
    with _handlers_restored():
        for moment, first in (*moments, (0, True)):
            strike = Strike(moment, blow)
            if train(folder, every_n_steps, accumulated, strike, first):
                break
    last, best = (
        torch.load(folder / f"{name}.ckpt", weights_only=True) for name in ("last", "best")
    )
    return Ended(last["state_dict"], best["state_dict"], last["global_step"], -strike.left)


@contextmanager
def _handlers_restored() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
