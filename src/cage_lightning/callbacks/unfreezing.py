"""Gradual unfreezing: the head learns first, and the blocks below it epoch by epoch."""

from __future__ import annotations

import logging

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import nn

from cage_lightning.errors import ConfigError
from cage_lightning.models.blocks import depths

log = logging.getLogger(__name__)


class GradualUnfreezing(Callback):
    """Train the head alone in the first epoch, and more blocks in each one after it.

    Howard and Ruder 2018. What is frozen loses its gradient after every backward pass, so that the
    optimiser, its weight decay and the norm for clipping pass over it; several devices agree on
    the gradients before. Statistics of normalisations and dropout go on in frozen blocks. What is
    frozen depends on the epoch alone.

    Args:
        blocks_per_epoch: How many more blocks each epoch trains, the last ones first.

    Raises:
        ConfigError: It is less than 1.
    """

    def __init__(self, blocks_per_epoch: int) -> None:
        if blocks_per_epoch < 1:
            raise ConfigError(
                f"callbacks.unfreezing.blocks_per_epoch={blocks_per_epoch} is less than 1"
            )
        self.blocks_per_epoch = blocks_per_epoch
        self._parameters: list[tuple[int, nn.Parameter]] = []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find the blocks of the network."""
        network = pl_module.network
        assert isinstance(network, nn.Module)
        depth = depths(network)
        head = max(depth.values())
        self._parameters = [(head - depth[name], p) for name, p in network.named_parameters()]
        last = -(-head // self.blocks_per_epoch) + 1
        log.info("the last layer learns first, all %d blocks from epoch %d on", head, last)

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the gradients of the blocks that are frozen in this epoch."""
        for blocks_above, parameter in self._parameters:
            if blocks_above > self.blocks_per_epoch * trainer.current_epoch:
                parameter.grad = None
