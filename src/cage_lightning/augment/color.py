"""Steps that change colours, to the same 8-bit level as Pillow."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from cage_lightning.augment.step import Draw, Params, RandomStep, Step, per_row
from cage_lightning.errors import ConfigError


class RandomGrayscale(RandomStep):
    """Replace the three channels by their luma with probability `p`."""

    def __init__(self, p: float = 0.1) -> None:
        super().__init__(p)

    def apply(self, image: Tensor, params: Params) -> Tensor:
        """Make each row grey."""
        return _luma(image).expand_as(image)


class RandomAutocontrast(RandomStep):
    """Stretch each channel to the full range with probability `p`."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__(p)

    def apply(self, image: Tensor, params: Params) -> Tensor:
        """Map each channel's lowest level to 0 and its highest to 255; flat channels stay."""
        low = image.amin((2, 3)).double().unsqueeze(-1)
        high = image.amax((2, 3)).double().unsqueeze(-1)
        scale = torch.full_like(low, 255) / (high - low)  # `255 / x` would round twice
        # A table in double precision, as Pillow makes it: single precision misses whole numbers.
        levels = torch.arange(256, device=image.device, dtype=torch.float64).expand(
            *low.shape[:2], -1
        )
        table = (levels * scale - low * scale).clamp_(0, 255).floor_()
        table = torch.where(high > low, table, levels).float()
        return table.gather(2, image.flatten(2).long()).view_as(image)


class ColorJitter(Step):
    """Brightness, contrast, saturation and hue, in an order of its own for every sample.

    A factor is drawn from U(1 - amount, 1 + amount), cut off at 0, the shift of hue from
    U(-hue, hue), as a share of the colour circle. An operation with amount 0 is left out.

    Args:
        brightness: Amount, not negative.
        contrast: Amount, not negative.
        saturation: Amount, not negative.
        hue: Amount, at most 0.5.
    """

    def __init__(
        self,
        brightness: float = 0.0,
        contrast: float = 0.0,
        saturation: float = 0.0,
        hue: float = 0.0,
    ) -> None:
        if min(brightness, contrast, saturation, hue) < 0 or hue > 0.5:
            raise ConfigError("ColorJitter: amounts must not be negative, nor hue exceed 0.5")
        factors = (
            (adjust_brightness, brightness),
            (adjust_contrast, contrast),
            (adjust_saturation, saturation),
        )
        operations = [(f, max(0.0, 1 - amount), 1 + amount) for f, amount in factors if amount]
        if hue:
            operations.append((adjust_hue, -hue, hue))
        self._operations = operations

    def draw(self, rng: np.random.Generator, height: int, width: int) -> Draw:
        """A factor per operation, and the order in which they happen."""
        return {
            "order": rng.permutation(len(self._operations)),
            "factor": [rng.uniform(low, high) for _, low, high in self._operations],
        }

    def apply(self, image: Tensor, params: Params) -> Tensor:
        """Run each row through the operations in its own order."""
        image, at = image.clone(), list(range(len(image)))  # which row of the batch each row is
        for turn in params["order"].T.tolist():
            image, at = _rearranged(image, at, turn)
            start = 0
            for k, same in groupby(at, turn.__getitem__):
                rows = list(same)
                part = image[start : start + len(rows)]
                self._operations[k][0](part, params["factor"][rows, k])
                start += len(rows)
        return _rearranged(image, at, range(len(at)))[0]


def _rearranged(image: Tensor, at: list[int], place: Sequence[int]) -> tuple[Tensor, list[int]]:
    """The rows of an image, in the order of the places of what they are."""
    order = sorted(range(len(at)), key=lambda row: place[at[row]])
    if order == list(range(len(at))):
        return image, at
    rows = torch.tensor(order).to(image.device, non_blocking=True)
    return image.index_select(0, rows), [at[row] for row in order]


def adjust_brightness(image: Tensor, factor: Tensor) -> Tensor:
    """Blend with black; `factor` ``[N]`` on the CPU. As the other operations, changes the image."""
    return image.mul_(per_row(factor, image)).clamp_(0, 255).floor_()


def adjust_contrast(image: Tensor, factor: Tensor) -> Tensor:
    """Blend with a grey of the mean luma."""
    mean = _luma(image).mean((1, 2, 3), keepdim=True, dtype=torch.float64)
    mean = mean.add_(0.5).floor_().float()
    return _blend(mean, image, factor)


def adjust_saturation(image: Tensor, factor: Tensor) -> Tensor:
    """Blend with the grey image."""
    return _blend(_luma(image), image, factor)


def adjust_hue(image: Tensor, factor: Tensor) -> Tensor:
    """Turn the hue in Pillow's 8-bit HSV by a share of the circle."""
    red, green, blue = image.unbind(1)
    hues, losses = _tables(image.device)
    place = torch.add(red, green, alpha=_STRIDE).add_(blue, alpha=-_STRIDE - 1).add_(_MIDDLE)
    shift = (factor * 255).trunc().int().bitwise_and_(255).to(torch.uint8).view(-1, 1, 1)
    hue = _look_up(hues, place)
    hue = hue.add_(shift.to(image.device, non_blocking=True)).int()  # 8 bits go round by themselves
    value = torch.maximum(torch.maximum(red, green), blue)
    least = torch.minimum(torch.minimum(red, green), blue)
    saturation = torch.sub(value, least, out=least).mul_(255).div_(value.clamp(min=1)).floor_()
    # A channel is value * (1 - saturation / 255 * loss / 255), rounded: over 255^2, all numbers are
    # whole and below 2^24, and none lies in the middle of two levels.
    part = saturation.mul_(value)
    whole = value.mul_(_SQUARE).add_(_SQUARE // 2)
    for channel, loss in zip(image.unbind(1), losses, strict=True):
        torch.addcmul(whole, _look_up(loss, hue), part, value=-1, out=channel)
    return image.div_(_SQUARE).floor_()


_SQUARE = 255**2
_STRIDE = 511
_MIDDLE = 255 * (_STRIDE + 1)
"""Where the hue of grey is in the table of hues, which depend on red - blue and green - blue."""


@cache
def _tables(device: torch.device) -> tuple[Tensor, Tensor]:
    """Pillow's conversions to and from HSV; the first mixes single and double precision.

    Returns:
        The 8-bit hue at each green - blue and red - blue, uint8 ``[511 * 511]``, both from -255 on,
        and the share of the saturation that red, green and blue lose at each 8-bit hue, in 255ths:
        float32 ``[3, 256]``.
    """
    red = torch.arange(-255.0, 256.0)
    green, blue = red.view(-1, 1), torch.zeros(1)
    value = torch.maximum(torch.maximum(red, green), blue)
    spread = value - torch.minimum(torch.minimum(red, green), blue)
    from_red, from_green, from_blue = (
        ((value - color) / spread.clamp(min=1)).double() for color in (red, green, blue)
    )
    turn = torch.where(green == value, 2 + from_red - from_blue, 4 + from_green - from_red)
    turn = torch.where(red == value, from_blue - from_green, turn).float().double()
    hue = (turn / 6 + 1).frac().float().double().mul(255).to(torch.uint8).flatten()
    away = (255 * torch.tensor([[5], [3], [1]]) + 6 * torch.arange(256)) % (6 * 255)
    loss = torch.minimum(away, 4 * 255 - away).clamp(0, 255).float()
    return hue.to(device), loss.to(device)


def _look_up(table: Tensor, places: Tensor) -> Tensor:
    return table.index_select(0, places.int().flatten()).view(places.shape)


def _luma(image: Tensor) -> Tensor:
    """ITU-R 601 luma in Pillow's 16-bit integers: ``[N, 1, H, W]``.

    Exact, as all sums of 65536ths are below 2^24 of them.
    """
    red, green, blue = image.unbind(1)
    total = (red * (19595 / 65536)).add_(green, alpha=38470 / 65536).add_(blue, alpha=7471 / 65536)
    return total.add_(0.5).floor_().unsqueeze(1)


def _blend(base: Tensor, image: Tensor, factor: Tensor) -> Tensor:
    """``base + factor (image - base)``, truncated to a level, in Pillow's order of operations."""
    return image.sub_(base).mul_(per_row(factor, image)).add_(base).clamp_(0, 255).floor_()
