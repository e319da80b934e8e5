"""The whole augmentation of a batch."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from cage_lightning.augment.step import Params, Step, apply_to_rows, stack
from cage_lightning.errors import ConfigError, DataError
from cage_lightning.system.keyed_random import sample_generators

CPU_PIXELS = 1 << 19
"""About how many pixels of a batch are worked on at a time on the CPU."""


class Augment:
    """Random steps, normalisation, and the steps that follow it, for a batch on any device.

    What happens to a sample is a pure function of ``(seed, epoch, index)``: batch, order, number
    of workers and device do not matter. With no steps it is the transform for evaluation.

    Args:
        steps: In the order of application; those on the normalised image last.
        mean: Per channel, of images in [0, 1].
        std: Per channel, of images in [0, 1].
        seed: First part of every sample's key.

    Raises:
        ConfigError: A step on pixels follows a step on the normalised image.
    """

    def __init__(
        self, steps: Sequence[Step], mean: Sequence[float], std: Sequence[float], seed: int
    ) -> None:
        self.steps = tuple(steps)
        after = [step.normalized for step in self.steps]
        if after != sorted(after):
            names = ", ".join(type(step).__name__ for step in self.steps)
            raise ConfigError(f"steps that work on the normalised image must come last: {names}")
        self.seed = seed
        self._mean = torch.tensor(list(mean)).view(-1, 1, 1)
        self._std = torch.tensor(list(std)).view(-1, 1, 1)

    @torch.no_grad()
    def __call__(
        self, image: Tensor, index: Tensor, epoch: int, out: Tensor | None = None
    ) -> Tensor:
        """Augment and normalise a batch.

        Args:
            image: uint8 ``[B, 3, H, W]``, on any device.
            index: int64 ``[B]`` on the CPU: the second half of each sample's key.
            epoch: Number of the pass over the data.
            out: Where the result is written; memory of its own by default.

        Returns:
            float32 ``[B, 3, H, W]`` on the image's device.

        Raises:
            DataError: The image is not uint8 RGB, or the index does not number its samples.
        """
        if image.dtype != torch.uint8 or image.ndim != 4 or image.shape[1] != 3:
            found = f"{image.dtype} {tuple(image.shape)}"
            raise DataError(f"augmentation takes uint8 [B, 3, H, W], got {found}")
        if index.shape != image.shape[:1] or index.device.type != "cpu":
            found = f"{tuple(index.shape)} on {index.device}"
            raise DataError(f"index must be [{len(image)}] on the CPU, got {found}")
        if out is None:
            out = torch.empty(image.shape, device=image.device)
        # On the CPU, intermediate images that stay in cache make large ones cheaper.
        size = image.shape[2] * image.shape[3]
        count = max(1, CPU_PIXELS // size) if image.device.type == "cpu" else len(image)
        drawn = self._draw(index, epoch, image.shape[2], image.shape[3])
        for start in range(0, len(image), count):
            part = slice(start, start + count)
            self._augment(image[part], [each.of(part) for each in drawn], out[part])
        return out

    def _augment(self, image: Tensor, drawn: Sequence[_Drawn], out: Tensor) -> None:
        # A loader hands over the colours of a pixel side by side; here each is a plane of its own.
        levels = image.to(torch.float32, memory_format=torch.contiguous_format)
        levels = _run([each for each in drawn if not each.step.normalized], levels)
        mean, std = (t.to(image.device, non_blocking=True) for t in (self._mean, self._std))
        torch.div(levels, 255, out=out).sub_(mean).div_(std)
        changed = _run([each for each in drawn if each.step.normalized], out)
        if changed is not out:
            out.copy_(changed)

    def without_steps(self) -> Augment:
        """The transform for evaluation: to float, and normalise."""
        return Augment([], self._mean.flatten().tolist(), self._std.flatten().tolist(), self.seed)

    def _draw(self, index: Tensor, epoch: int, height: int, width: int) -> list[_Drawn]:
        generators = sample_generators((self.seed, epoch), index.tolist())
        drawn = []
        for step in self.steps:
            draws = [step.draw(rng, height, width) for rng in generators]
            rows = [row for row, draw in enumerate(draws) if draw is not None]
            if rows:
                params = stack([draw for draw in draws if draw is not None])
                drawn.append(_Drawn(step, rows, params))
        return drawn


@dataclass(frozen=True)
class _Drawn:
    """A step, the rows of a batch that it happens to, in order, and their parameters."""

    step: Step
    rows: list[int]
    params: Params

    def of(self, part: slice) -> _Drawn:
        """The same for a part of the batch."""
        first, last = (bisect_left(self.rows, row) for row in (part.start, part.stop))
        rows = [row - part.start for row in self.rows[first:last]]
        return _Drawn(self.step, rows, {k: v[first:last] for k, v in self.params.items()})


def _run(drawn: Sequence[_Drawn], image: Tensor) -> Tensor:
    for each in drawn:
        apply = partial(each.step.apply, params=each.params)
        image = apply_to_rows(image, each.rows, apply)
    return image
