"""Noise fields that are a function of a sample's key and cost next to nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from cage_lightning.system.keyed_random import sample_generator

POSITIONS = 1 << 20
"""From how many places of the bank a sample can start reading."""


class NoiseBank:
    """A fixed row of independent random numbers; a sample reads on from a place that it draws.

    Drawing a fresh field per sample costs as much as decoding the picture (numpy, on the CPU) or
    a dozen passes of integer arithmetic over the batch (a hash, on the device). A bank costs one
    copy and is the same on each device; with a million places, a field seldom comes twice.

    Args:
        fill: Draws that many numbers, for example ``Generator.standard_normal``.
    """

    def __init__(self, fill: Callable[[np.random.Generator, int], np.ndarray]) -> None:
        self._fill = fill
        self._values = torch.empty(0)

    def fields(self, shape: Sequence[int], device: torch.device) -> Tensor:
        """The field that begins at each place: a view, float32 ``[POSITIONS + 1, *shape]``.

        Args:
            shape: Of one field.
            device: Where the fields are wanted.
        """
        count = math.prod(shape)
        if len(self._values) < POSITIONS + count or self._values.device != device:
            # A longer row begins with the same numbers, so the size of a field changes nothing.
            numbers = self._fill(sample_generator(0), POSITIONS + count)
            self._values = torch.from_numpy(numbers.astype(np.float32)).to(device)
        return self._values.unfold(0, count, 1).view(-1, *shape)


def draw_start(rng: np.random.Generator) -> int:
    """A place in a `NoiseBank` to read from."""
    return int(rng.integers(POSITIONS))
