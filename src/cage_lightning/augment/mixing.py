"""Mixup and cutmix: each picture of a batch with the one before it, and their labels likewise."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cage_lightning.errors import check_not_negative
from cage_lightning.labels import Batch, LabelSpace
from cage_lightning.system.keyed_random import sample_generator

_KEY = (1, 1)  # behind (seed, epoch, index): no other draw has a key of this length


class Mixing:
    """Mix each sample of a batch with the one before it, the first one with the last.

    Mixup (Zhang et al. 2018): share * own + (1 - share) * other, with a share from
    Beta(mixup, mixup). Cutmix (Yun et al. 2019): a rectangle of the other picture in place of the
    own pixels, at a uniform centre, of the area 1 - share, share from Beta(cutmix, cutmix); the
    labels are mixed by the area that lies within the picture. With both, each sample has one of
    them, with equal chances. What a sample draws depends on (seed, epoch, index).

    Args:
        mixup: Parameter of the Beta distribution; 0: never.
        cutmix: Likewise.
        seed: First part of every sample's key.
        space: The categories.

    Raises:
        ConfigError: A parameter is negative.
    """

    def __init__(self, mixup: float, cutmix: float, seed: int, space: LabelSpace) -> None:
        check_not_negative("data.mixup", mixup)
        check_not_negative("data.cutmix", cutmix)
        self.mixup, self.cutmix = mixup, cutmix
        self.seed, self.space = seed, space

    def __bool__(self) -> bool:
        """Whether it mixes anything."""
        return self.mixup > 0 or self.cutmix > 0

    def __call__(self, batch: Batch, epoch: int) -> Batch:
        """Mix images float32 ``[B, 3, H, W]``, categories and affect of a batch.

        Returns:
            Categories as float32 ``[B, K]``: shares, 0 where one of both samples has no category,
            or mixed multi-hot. Affect is NaN where one of both values is.
        """
        height, width = batch.image.shape[2:]
        draws = [self._draw(epoch, i, height, width) for i in batch.index.tolist()]
        numbers = torch.tensor(draws).to(batch.image.device, non_blocking=True)
        inside, top, bottom, left, right = numbers.T[..., None, None]
        rows = torch.arange(height, device=numbers.device)[:, None]
        columns = torch.arange(width, device=numbers.device)
        cut = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
        own = torch.where(cut, inside, 1.0)[:, None]
        area = (bottom - top) * (right - left) / (height * width)
        share = (1 - (1 - inside) * area)[:, 0]
        category = self._shares(batch.category)
        mixed = _mix(category, share)
        if not self.space.multi_label:
            known = category.sum(1, keepdim=True) > 0
            mixed = mixed * (known & known.roll(1, 0))
        return batch._replace(
            image=_mix(batch.image, own), category=mixed, affect=_mix(batch.affect, share)
        )

    def _draw(
        self, epoch: int, index: int, height: int, width: int
    ) -> tuple[float, int, int, int, int]:
        """The share of the own pixels in a rectangle, and its first and last rows and columns."""
        rng = sample_generator(self.seed, epoch, index, *_KEY)
        cuts = rng.random() * ((self.mixup > 0) + (self.cutmix > 0)) < (self.cutmix > 0)
        alpha = self.cutmix if cuts else self.mixup
        share = rng.beta(alpha, alpha)
        if not cuts:
            return share, 0, height, 0, width
        side = math.sqrt(1 - share)
        rows = _around(int(rng.integers(height)), int(height * side), height)
        columns = _around(int(rng.integers(width)), int(width * side), width)
        return (0.0, *rows, *columns)

    def _shares(self, category: Tensor) -> Tensor:
        if category.is_floating_point():
            return category
        k = torch.arange(len(self.space.categories), device=category.device)
        return (category[:, None] == k).float()


def _around(centre: int, length: int, size: int) -> tuple[int, int]:
    """The first position, and the one behind the last, as far as they lie within the size."""
    return max(centre - length // 2, 0), min(centre + (length + 1) // 2, size)


def _mix(values: Tensor, own: Tensor) -> Tensor:
    """The share `own` of each row, and the rest of the row before it."""
    return torch.lerp(values.roll(1, 0), values, own.to(values.dtype))
