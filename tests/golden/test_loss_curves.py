"""The losses of the first fifty steps of each mode, against stored ones.

On the stack that wrote them they are the same to the last bit; on another one they differ by
rounding, which grows from step to step. `python -m tests.golden.test_loss_curves` writes them anew.
"""

from __future__ import annotations

import json
import logging
import platform
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import Callback

from cage_lightning.app import build
from cage_lightning.callbacks import StepSeed
from cage_lightning.demo.faces import write_release
from tests.conftest import composed

GOLDEN = Path(__file__).with_name("loss_curves.json")
LOSSES = ("discrete", "combined", "va")
STEPS = 50


class Losses(Callback):
    """Keeps the loss of each step."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: object
    ) -> None:
        self.values.append(outputs["loss"].item())


def curve(loss: str, root: Path) -> list[float]:
    """The losses of a training on small drawn faces, augmented and in the order of a run."""
    config = composed(
        *("data=demo8", "data.size=tiny", f"data.root={root}", "data.num_workers=0"),
        *("model=tiny", "model.image_size=32", f"loss={loss}", "optimizer.lr=1e-4", "warmup=0.1"),
        *("data.batch_size=16", "trainer=cpu", f"trainer.max_epochs={STEPS}"),
        *(
            f"+trainer.max_steps={STEPS}",
            "+trainer.limit_val_batches=0",
            "trainer.enable_progress_bar=false",
        ),
    )
    config.run_dir = "run"
    seed_everything(config.seed, workers=True, verbose=False)
    data = build.build_data(config)
    data.setup("fit")
    module, losses = build.build_module(config, data), Losses()
    trainer = build.build_trainer(
        config,
        callbacks=[losses, StepSeed(config.seed)],
        logger=False,
        enable_checkpointing=False,
    )
    with warnings.catch_warnings(), _one_thread():
        warnings.simplefilter("ignore")  # Lightning's about a training as small as this one
        trainer.fit(module, datamodule=data)
    return losses.values


@contextmanager
def _one_thread() -> Iterator[None]:
    """How sums are shared out among threads decides their last bits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def stack() -> dict[str, str]:
    """What the last bits of a loss depend on."""
    packages = ("torch", "torchvision", "lightning", "numpy", "pillow")
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return {name: version(name) for name in packages} | {
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "processor": names[0] if names else platform.machine(),
    }


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
def test_the_losses_are_the_stored_ones(loss: str, demo_root: Path) -> None:
    golden = json.loads(GOLDEN.read_text())
    found, expected = curve(loss, demo_root / "demo_faces" / "tiny"), golden["losses"][loss]
    assert len(found) == STEPS
    if stack() == golden["stack"]:
        assert found == expected
    assert found[:5] == pytest.approx(expected[:5], rel=1e-4)
    assert found == pytest.approx(expected, rel=5e-3, abs=2e-3)


if __name__ == "__main__":
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        write_release(Path(folder) / "tiny", "tiny")
        losses = {loss: curve(loss, Path(folder) / "tiny") for loss in LOSSES}
    GOLDEN.write_text(json.dumps({"stack": stack(), "losses": losses}, indent=1) + "\n")
