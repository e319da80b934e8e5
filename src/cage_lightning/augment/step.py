"""What a step of the augmentation is, and how it reaches part of a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from cage_lightning.errors import ConfigError

Draw = dict[str, Any]
"""Parameters of one sample: plain numbers or nested tuples of them."""

Params = dict[str, Tensor]
"""Parameters of N samples, ``[N, ...]``, on the CPU: where they steer which rows an operation
touches, no device has to be asked."""


class Step(ABC):
    """One transform: parameters are drawn per sample on the CPU, pixels are changed per batch.

    Between steps an image is float32 ``[N, 3, H, W]`` and holds whole numbers 0 to 255, since
    torchvision's transforms of a PIL image hand over 8-bit pixels.

    Attributes:
        normalized: Whether the step works on the normalised image instead.
    """

    normalized: ClassVar[bool] = False

    @abstractmethod
    def draw(self, rng: np.random.Generator, height: int, width: int) -> Draw | None:
        """Draw the parameters of one sample, or None when the step leaves the sample alone."""

    @abstractmethod
    def apply(self, image: Tensor, params: Params) -> Tensor:
        """Transform float32 ``[N, 3, H, W]`` by the parameters of each row; may write into it."""


class RandomStep(Step):
    """A step that happens to a sample with probability `p`."""

    def __init__(self, p: float) -> None:
        if not 0 <= p <= 1:
            raise ConfigError(f"{type(self).__name__}: p={p} is no probability; use 0 to 1")
        self.p = p

    def draw(self, rng: np.random.Generator, height: int, width: int) -> Draw | None:
        """Decide whether the step happens, then draw its parameters."""
        return self.parameters(rng, height, width) if rng.random() < self.p else None

    def parameters(self, rng: np.random.Generator, height: int, width: int) -> Draw | None:
        """Parameters of a sample that the step happens to; none are needed by default."""
        return {}


def stack(draws: Sequence[Draw]) -> Params:
    """Parameters of single samples, as one tensor per name (float64 or int64) on the CPU."""
    return {name: torch.from_numpy(np.array([d[name] for d in draws])) for name in draws[0]}


def per_row(values: Tensor, image: Tensor) -> Tensor:
    """Numbers ``[N]`` as float32 ``[N, 1, 1, 1]`` beside the image, without waiting for it."""
    return values.float().to(image.device, non_blocking=True).view(-1, 1, 1, 1)


def apply_to_rows(
    image: Tensor, rows: Sequence[int], operation: Callable[[Tensor], Tensor]
) -> Tensor:
    """Replace the rows of `image` by what `operation` makes of them; may write into `image`.

    Args:
        image: ``[B, ...]``.
        rows: Distinct row numbers, known on the CPU, so that nothing is computed in vain.
        operation: Maps ``[len(rows), ...]`` to the same shape.
    """
    if not rows:
        return image
    if len(rows) == len(image):
        return operation(image)
    where = torch.tensor(rows).to(image.device, non_blocking=True)
    return image.index_copy_(0, where, operation(image.index_select(0, where)))
