"""Sharpness-aware minimisation: the gradient of the loss where it is largest near the weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from cage_lightning.errors import ConfigError


def check_sharpness(accumulated: int, precision: str) -> None:
    """Refuse what the two passes of a step do not work with.

    Raises:
        ConfigError: Gradients are accumulated, or scaled for float16.
    """
    if accumulated > 1:
        raise ConfigError(
            f"sam with trainer.accumulate_grad_batches={accumulated} is refused: each step needs "
            "the gradient of its whole batch twice; set data.batch_size instead"
        )
    if precision in ("16-mixed", "16"):
        raise ConfigError(
            "sam with trainer.precision=16-mixed is refused: the scale of the gradients may "
            "overflow between its two passes; choose bf16-mixed or 32-true"
        )


def sharpness_aware(
    network: nn.Module, rho: float, first: Callable[[], Any], second: Callable[[], Any]
) -> Callable[[], Any]:
    """Make a closure that leaves the gradient at w + rho g / |g|, g being that at the weights w.

    Foret et al. 2021. Both passes drop out the same, and the statistics of normalisations are those
    of the first one. The norm is over all parameters that have a gradient.

    Args:
        network: Its weights are the same afterwards.
        rho: How far away from them.
        first: Forward and backward pass; it clears the gradients before.
        second: The same for the second pass.

    Returns:
        The closure for one step of an optimiser; it returns what `second` does.
    """

    def both() -> Any:
        devices = [p.device for p in network.parameters() if p.device.type == "cuda"][:1]
        with torch.random.fork_rng(devices):  # afterwards the generators are as before
            first()
        with _moved(network, rho):
            return second()

    return both


@contextmanager
def _moved(network: nn.Module, rho: float) -> Iterator[None]:
    """Move the weights along the gradient; weights and buffers are put back."""
    moved = [p for p in network.parameters() if p.grad is not None]
    kept: list[Tensor] = [*moved, *network.buffers()]
    before = [tensor.detach().clone() for tensor in kept]
    with torch.no_grad():
        gradients = [p.grad for p in moved if p.grad is not None]
        exact = torch.promote_types(gradients[0].dtype, torch.float32)
        norm = torch.stack([g.to(exact).norm() for g in gradients]).norm()
        for weight, gradient in zip(moved, gradients, strict=True):
            weight.add_((gradient.to(exact) * (rho / (norm + 1e-12))).to(weight.dtype))
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in zip(kept, before, strict=True):
                tensor.copy_(value)
