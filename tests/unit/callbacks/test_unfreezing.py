"""Gradual unfreezing: which weights an epoch changes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from cage_lightning.callbacks import GradualUnfreezing
from cage_lightning.errors import ConfigError
from cage_lightning.labels import AFFECTNET_8
from cage_lightning.models.blocks import depths
from cage_lightning.models.tiny import TinyNetwork
from cage_lightning.modules import CombinedModule
from tests.conftest import Train

SEEN: list[set[str]] = []
"""Of each epoch the parts of the network whose weights it has changed."""


class Watch(Callback):
    """Compares the weights of the network at the beginning and at the end of each epoch."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._before = _weights(pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        after = _weights(pl_module)
        changed = [name for name, w in after.items() if not torch.equal(w, self._before[name])]
        SEEN.append({".".join(name.split(".")[1:-2]) for name in changed})


def _weights(module: LightningModule) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in module.named_parameters()}


@pytest.mark.parametrize(("epoch", "lowest"), [(0, 4), (1, 2), (2, 0), (3, 0)])
def test_what_is_frozen_has_no_gradient(epoch: int, lowest: int) -> None:
    module = CombinedModule(TinyNetwork(10, 32), AFFECTNET_8)
    depth = depths(module.network)
    callback, trainer = GradualUnfreezing(blocks_per_epoch=2), SimpleNamespace(current_epoch=epoch)
    callback.on_fit_start(cast("Any", trainer), module)
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    callback.on_after_backward(cast("Any", trainer), module)
    for name, parameter in module.network.named_parameters():
        assert (parameter.grad is None) == (depth[name] < lowest)


@pytest.mark.slow
def test_each_epoch_trains_more_blocks(train_here: Train, few_faces: Path) -> None:
    SEEN.clear()
    watch = f"+callbacks.watch._target_={__name__}.Watch"
    unfreezing = ("callbacks=unfreezing", "callbacks.unfreezing.blocks_per_epoch=2")
    folder = train_here(
        f"data.root={few_faces}", "trainer.max_epochs=3", "data.batch_size=32", watch, *unfreezing
    )
    head, two, all_of_it = SEEN
    assert head == {"classifier"}
    assert two == {"classifier", "features.2", "features.3"}
    assert all_of_it == two | {"features.0", "features.1"}
    log = folder.log_file.read_text()
    assert "the last layer learns first, all 4 blocks from epoch 3 on" in log
    state: Any = torch.load(folder.last, weights_only=True)["optimizer_states"][0]["state"]
    steps = {int(one["step"]) for one in state.values()}
    assert steps == {2, 4, 6}, "the corrections of Adam count from the first step of each block"


def test_no_block_at_all_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"blocks_per_epoch=0 is less than 1"):
        GradualUnfreezing(0)
