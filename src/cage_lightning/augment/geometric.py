"""Steps that move pixels: flips, rotation, affine maps, perspective."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cage_lightning.augment.step import Draw, Params, RandomStep, Step
from cage_lightning.errors import ConfigError


class RandomHorizontalFlip(RandomStep):
    """Mirror left and right with probability `p`."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__(p)

    def apply(self, image: Tensor, params: Params) -> Tensor:
        """Mirror each row."""
        return image.flip(-1)


class RandomVerticalFlip(RandomStep):
    """Mirror top and bottom with probability `p`."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__(p)

    def apply(self, image: Tensor, params: Params) -> Tensor:
        """Mirror each row."""
        return image.flip(-2)


class RandomRotation(Step):
    """Rotate about the centre by U(-degrees, degrees); nearest neighbour, corners black.

    The same source pixel as in Pillow, which walks through the image in 16.16 fixed point.

    Args:
        degrees: Largest angle.
    """

    def __init__(self, degrees: float) -> None:
        self.degrees = degrees

    def draw(self, rng: np.random.Generator, height: int, width: int) -> Draw:
        """An angle in degrees, counter-clockwise."""
        return {"angle": rng.uniform(-self.degrees, self.degrees)}

    def apply(self, image: Tensor, params: Params) -> Tensor:
        """Rotate each row by its angle."""
        return _moved(image, _rotation(params["angle"], *image.shape[2:]))


class RandomAffine(Step):
    """Rotate about the centre, scale and shift; nearest neighbour, outside black.

    The same source pixel as in Pillow, as in `RandomRotation`.

    Args:
        degrees: Largest angle, in either direction.
        translate: Largest shift across and down, as shares of width and height; whole pixels.
        scale: Lowest and highest factor of the size.

    Raises:
        ConfigError: A share is outside [0, 1], or a factor is not positive.
    """

    def __init__(
        self,
        degrees: float,
        translate: Sequence[float] = (0.0, 0.0),
        scale: Sequence[float] = (1.0, 1.0),
    ) -> None:
        self.degrees = degrees
        self.across, self.down = translate
        self.smallest, self.largest = scale
        if not 0 <= min(translate) <= max(translate) <= 1:
            raise ConfigError(f"RandomAffine: translate={list(translate)} are shares from 0 to 1")
        if not 0 < self.smallest <= self.largest:
            raise ConfigError(
                f"RandomAffine: scale={list(scale)} is a lowest and a highest factor above 0"
            )

    def draw(self, rng: np.random.Generator, height: int, width: int) -> Draw:
        """An angle in degrees, clockwise; a shift in pixels, to the right and down; a factor."""
        dx, dy = self.across * width, self.down * height
        return {
            "angle": rng.uniform(-self.degrees, self.degrees),
            "shift": (round(rng.uniform(-dx, dx)), round(rng.uniform(-dy, dy))),
            "scale": rng.uniform(self.smallest, self.largest),
        }

    def apply(self, image: Tensor, params: Params) -> Tensor:
        """Move the pixels of each row by its map."""
        radians = torch.deg2rad(params["angle"])
        cos, sin = radians.cos() / params["scale"], radians.sin() / params["scale"]
        return _moved(image, _affine(cos, sin, params["shift"].double().T, *image.shape[2:]))


class RandomPerspective(RandomStep):
    """Pull the four corners inwards with probability `p`; bilinear, outside black.

    Args:
        distortion_scale: How far a corner may move, as a share of half the side.
        p: Probability.
    """

    def __init__(self, distortion_scale: float = 0.5, p: float = 0.5) -> None:
        super().__init__(p)
        self.distortion_scale = distortion_scale

    def parameters(self, rng: np.random.Generator, height: int, width: int) -> Draw:
        """Where the corners go: (x, y) of top left, top right, bottom right, bottom left."""
        limits = [int(self.distortion_scale * (side // 2)) + 1 for side in (width, height)]
        x, y = ([int(rng.integers(limit)) for _ in range(4)] for limit in limits)
        right, bottom = width - 1, height - 1
        corners = (
            (x[0], y[0]),
            (right - x[1], y[1]),
            (right - x[2], bottom - y[2]),
            (x[3], bottom - y[3]),
        )
        return {"corners": corners}

    def apply(self, image: Tensor, params: Params) -> Tensor:
        """Warp each row so that the image's corners land on its `corners`."""
        count, _, height, width = image.shape
        warp = _homography(params["corners"].double(), height, width)
        warp = warp.to(image.device, non_blocking=True).view(8, count, 1, 1)
        # Single precision would misplace a source by 1e-4 pixels: enough to change a level.
        x = torch.arange(width, device=image.device, dtype=torch.float64).add_(0.5)
        y = torch.arange(height, device=image.device, dtype=torch.float64).add_(0.5).view(-1, 1)
        scale = warp[6] * x + (warp[7] * y + 1)
        inside, grid = torch.ones_like(scale), torch.empty(2, *scale.shape, device=image.device)
        axes = zip(warp[:6].view(2, 3, -1, 1, 1), (width, height), grid, strict=True)
        for (a, b, c), side, places in axes:
            source = (a * x + (b * y + c)).div_(scale)
            inside.mul_(source.clamp(0, math.nextafter(side, 0)).eq_(source))
            places.copy_(source.mul_(2 / side).sub_(1))
        warped = _sampled(image, grid, "bilinear", "border")
        # Pillow truncates; the margin keeps 199.99998, a rounding error of 200, at 200.
        return warped.add_(3e-5).floor_().mul_(inside.float().unsqueeze(1))


def _sampled(image: Tensor, grid: Tensor, mode: str, padding_mode: str) -> Tensor:
    """Sample the image at places ``[2, N, H, W]``, x and y, each from -1 to 1 across the image."""
    places = grid.permute(1, 2, 3, 0)
    return F.grid_sample(image, places, mode, padding_mode, align_corners=False)


def _moved(image: Tensor, steps: Tensor) -> Tensor:
    """Take each pixel from its source, black where that is outside.

    Args:
        image: float32 ``[N, 3, H, W]``.
        steps: From `_affine`, int32 ``[6, N]``.
    """
    count, _, height, width = image.shape
    steps = steps.to(image.device, non_blocking=True).view(2, 3, count, 1, 1)
    x = torch.arange(width, device=image.device, dtype=torch.int32)
    y = torch.arange(height, device=image.device, dtype=torch.int32).view(-1, 1)
    source = steps[:, 0] * x + (steps[:, 1] * y + steps[:, 2])
    grid = source.bitwise_right_shift_(16).float()
    for places, side in zip(grid, (width, height), strict=True):
        places.mul_(2 / side).add_(1 / side - 1)  # the middle of the pixel
    return _sampled(image, grid, "nearest", "zeros")


def _rotation(angle: Tensor, height: int, width: int) -> Tensor:
    """Steps of a rotation by angles ``[N]``; Pillow rounds sine and cosine."""
    radians = -torch.deg2rad(angle % 360)
    cos, sin = radians.cos().round(decimals=15), radians.sin().round(decimals=15)
    return _affine(cos, sin, angle.new_zeros(2, 1), height, width)


def _affine(cos: Tensor, sin: Tensor, shift: Tensor, height: int, width: int) -> Tensor:
    """Pillow's affine matrix in 16.16 fixed point: int32 ``[6, N]``.

    Args:
        cos: Cosine of the angle, over the factor of the size: float64 ``[N]``.
        sin: Sine, likewise.
        shift: To the right and down, in pixels: float64 ``[2, N]``.
        height: Height of the image.
        width: Width of the image.
    """
    middle_x, middle_y = width / 2, height / 2
    from_x, from_y = -middle_x - shift[0], -middle_y - shift[1]
    shift_x = cos * from_x + sin * from_y + middle_x
    shift_y = -sin * from_x + cos * from_y + middle_y
    # Pixel centres lie half a pixel from the corner that the matrix counts from.
    start_x = shift_x + cos * 0.5 + sin * 0.5
    start_y = shift_y - sin * 0.5 + cos * 0.5
    matrix = torch.stack([cos, sin, start_x, -sin, cos, start_y])
    return (matrix * 65536 + 0.5).floor().int()


def _homography(corners: Tensor, height: int, width: int) -> Tensor:
    """The eight numbers that map an output pixel to its source: float64 ``[8, N]``.

    Args:
        corners: float64 ``[N, 4, 2]``, where the image's corners go.
        height: Height of the image.
        width: Width of the image.
    """
    right, bottom = width - 1.0, height - 1.0
    source = corners.new_tensor([[0, right, right, 0], [0, 0, bottom, bottom]])
    system = corners.new_zeros(len(corners), 8, 8)
    for axis, rows in enumerate(system.view(-1, 2, 4, 8).unbind(1)):
        rows[..., 3 * axis : 3 * axis + 2] = corners
        rows[..., 3 * axis + 2] = 1
        rows[..., 6:] = -source[axis].unsqueeze(1) * corners
    unknowns = source.flatten().expand(len(corners), -1)
    # torchvision hands the solution to Pillow in single precision.
    solution: Tensor = torch.linalg.solve(system, unknowns)
    return solution.float().double().T
