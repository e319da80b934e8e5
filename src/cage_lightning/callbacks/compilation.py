"""Steps of the training on a compiled network."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, GradientAccumulationScheduler
from torch import nn

from cage_lightning.errors import ConfigError, first_line
from cage_lightning.models.compiled import compile_network


class CompiledSteps(Callback):
    """Train on a network that is compiled for whole batches.

    The smaller batch at the end of an epoch, validations and tests run operation by operation: each
    size and each mode would be compiled again, and which of them came first would decide the last
    bits of a run that is resumed.

    On one GPU the steps are replayed as CUDA graphs, unless a step needs the gradients of the one
    before: with accumulated gradients and steps of two passes.

    Args:
        mode: See `compile_network`.
        batch_size: Samples of a whole batch over all devices.
    """

    def __init__(self, mode: str, batch_size: int) -> None:
        self._mode, self._batch_size = mode, batch_size

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Compile nothing but the steps of a training."""
        torch.compiler.set_stance("force_eager")

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compile the network, which is on its device now."""
        network = pl_module.network
        assert isinstance(network, nn.Module)
        compile_network(network, self._mode, replayed=can_be_replayed(trainer, pl_module))

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Compile the step if this rank's share of the batch is a whole one.

        Raises:
            ConfigError: No batch of an epoch is.
        """
        share = len(range(trainer.global_rank, self._batch_size, trainer.world_size))
        if len(batch.index) == share:
            torch.compiler.set_stance("default")
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        elif trainer.num_training_batches == 1:
            raise ConfigError(
                f"compile={self._mode} compiles steps of whole batches, and there is none: choose "
                f"a smaller data.batch_size than {self._batch_size}, or compile=off"
            )

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """What may follow is a validation."""
        torch.compiler.set_stance("force_eager")
        if can_be_replayed(trainer, pl_module):
            pl_module.zero_grad()  # the next step is computed in the memory of these gradients

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave the compiler as it was."""
        torch.compiler.set_stance("default")

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Leave the compiler as it was, and translate what it has raised.

        Raises:
            ConfigError: The network cannot be compiled here.
        """
        from torch._dynamo.exc import TorchDynamoException

        torch.compiler.set_stance("default")
        if isinstance(exception, TorchDynamoException):
            raise ConfigError(
                f"compile={self._mode}: this network cannot be compiled here "
                f"({first_line(exception)}): choose compile=off"
            ) from exception


def can_be_replayed(trainer: Trainer, module: LightningModule) -> bool:
    """Whether the steps are those of one GPU, and none reads the gradients of the one before."""
    scheduled = any(isinstance(c, GradientAccumulationScheduler) for c in trainer.callbacks)  # type: ignore[attr-defined]
    accumulated = scheduled or trainer.accumulate_grad_batches > 1
    on_one_gpu = module.device.type == "cuda" and trainer.world_size == 1
    return on_one_gpu and not accumulated and not module.sam
