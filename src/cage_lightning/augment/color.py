"""Steps that change colours, to the same 8-bit level as Pillow."""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import torch
from torch import Tensor

from cage_lightning.augment.step import Draw, Params, RandomStep, Step, apply_to_rows, per_row
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
        image = image.clone()
        for turn in params["order"].unbind(1):
            for k, (operation, _, _) in enumerate(self._operations):
                rows = (turn == k).nonzero().flatten()
                factor = params["factor"][rows, k]
                image = apply_to_rows(image, rows.tolist(), partial(operation, factor=factor))
        return image


def adjust_brightness(image: Tensor, factor: Tensor) -> Tensor:
    """Blend with black; `factor` ``[N]`` on the CPU, as for the other operations."""
    return (image * per_row(factor, image)).clamp_(0, 255).floor_()


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
    value = torch.maximum(torch.maximum(red, green), blue)
    spread = value - torch.minimum(torch.minimum(red, green), blue)
    # Sixths of the circle in units of the spread.
    from_green = (blue - red).add_(spread, alpha=2)
    from_blue = (red - green).add_(spread, alpha=4)
    position = torch.where(green == value, from_green, from_blue)
    position = torch.where(red == value, green - blue, position)
    hues, losses = _tables(image.device)
    shift = (factor * 255).trunc().int().bitwise_and_(255).to(torch.uint8).view(-1, 1, 1)
    hue = _look_up(hues, position.add_(spread, alpha=_POSITIONS))
    hue = hue.add_(shift.to(image.device, non_blocking=True)).int()  # 8 bits go round by themselves
    saturation = spread.mul_(255).div_(value.clamp(min=1)).floor_()
    # A channel is value * (1 - saturation / 255 * loss / 255), rounded: over 255^2, all numbers are
    # whole and below 2^24, and none lies in the middle of two levels.
    part = saturation.mul_(value)
    whole = value.mul_(_SQUARE).add_(_SQUARE // 2)
    turned = torch.empty_like(image)
    for channel, loss in zip(turned.unbind(1), losses, strict=True):
        torch.addcmul(whole, _look_up(loss, hue), part, value=-1, out=channel)
    return turned.div_(_SQUARE).floor_()


_SQUARE = 255**2
_POSITIONS = 1536
"""Places per spread in the table of hues, where a position is from -1 to 5 times the spread: a
negative one stands at the end of the places of the spread before, which has none there."""


@cache
def _tables(device: torch.device) -> tuple[Tensor, Tensor]:
    """Pillow's conversions to and from HSV; the first mixes single and double precision.

    Returns:
        The 8-bit hue at each spread and position, uint8 ``[256 * 1536]``, and the share of the
        saturation that red, green and blue lose at each 8-bit hue, in 255ths: float32 ``[3, 256]``.
    """
    spread = torch.arange(256.0).clamp_(min=1).view(-1, 1)
    position = torch.arange(_POSITIONS) - 256.0
    sector = 2.0 * ((position > spread).double() + (position > 3 * spread).double())
    side = position - sector * spread
    middle = ((spread - side.abs().float()) / spread).double()
    turn = (sector + torch.where(side >= 0, 1 - middle, middle - 1)).float().double()
    hue = (turn / 6 + 1).frac().float().double().mul(255).to(torch.uint8).flatten()[256:]
    away = (255 * torch.tensor([[5], [3], [1]]) + 6 * torch.arange(256)) % (6 * 255)
    loss = torch.minimum(away, 4 * 255 - away).clamp(0, 255).float()
    return hue.to(device), loss.to(device)


def _look_up(table: Tensor, places: Tensor) -> Tensor:
    return table.index_select(0, places.int().flatten()).view(places.shape)


def _luma(image: Tensor) -> Tensor:
    """ITU-R 601 luma in Pillow's 16-bit integers: ``[N, 1, H, W]``; exact, all sums are < 2^24."""
    red, green, blue = image.unbind(1)
    total = (red * 19595).add_(green, alpha=38470).add_(blue, alpha=7471)
    return total.add_(32768).div_(65536).floor_().unsqueeze(1)


def _blend(base: Tensor, image: Tensor, factor: Tensor) -> Tensor:
    """``base + factor (image - base)``, truncated to a level, in Pillow's order of operations."""
    return (image - base).mul_(per_row(factor, image)).add_(base).clamp_(0, 255).floor_()
