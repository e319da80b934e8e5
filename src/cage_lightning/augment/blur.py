"""Gaussian blur, and the elastic transform that moves pixels along a blurred noise field."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cage_lightning.augment.noise import NoiseBank, draw_start
from cage_lightning.augment.step import Draw, Params, Step
from cage_lightning.errors import ConfigError


class GaussianBlur(Step):
    """Blur every sample, with a width of its own.

    Args:
        kernel_size: Width and height of the kernel, odd.
        sigma: Lowest and highest standard deviation in pixels.

    Raises:
        ConfigError: A kernel side is even or not positive.
    """

    def __init__(self, kernel_size: Sequence[int], sigma: Sequence[float] = (0.1, 2.0)) -> None:
        if any(size < 1 or size % 2 == 0 for size in kernel_size):
            raise ConfigError(f"GaussianBlur: kernel_size={list(kernel_size)} must be odd numbers")
        self.kernel_size = tuple(kernel_size)
        self.sharpest, self.softest = sigma

    def draw(self, rng: np.random.Generator, height: int, width: int) -> Draw:
        """A standard deviation in pixels."""
        return {"sigma": rng.uniform(self.sharpest, self.softest)}

    def apply(self, image: Tensor, params: Params) -> Tensor:
        """Blur each row and round to levels."""
        across, down = (gaussian_kernel(size, params["sigma"]) for size in self.kernel_size)
        return blur(image, across, down).round_()


class ElasticTransform(Step):
    """Displace pixels along a smooth random field; bilinear, outside black.

    Args:
        alpha: Strength of the displacement in half pixels, before the blur weakens it.
        sigma: Smoothness: standard deviation of the blur of the field, in pixels.
    """

    def __init__(self, alpha: float = 50.0, sigma: float = 5.0) -> None:
        self.alpha = alpha
        self.sigma = sigma
        self._uniform = NoiseBank(_uniform)

    def draw(self, rng: np.random.Generator, height: int, width: int) -> Draw:
        """Where the horizontal and the vertical field begin in the bank."""
        return {"noise": (draw_start(rng), draw_start(rng))}

    def apply(self, image: Tensor, params: Params) -> Tensor:
        """Move the pixels of each row along its field."""
        _, _, height, width = image.shape
        starts = params["noise"].to(image.device, non_blocking=True)
        field = self._uniform.fields((height, width), image.device)[starts]
        kernel = gaussian_kernel(int(8 * self.sigma + 1) | 1, torch.full((1,), self.sigma))
        field = blur(field, kernel, kernel)
        return displace(image, field.mul_(self.alpha))


def displace(image: Tensor, field: Tensor) -> Tensor:
    """Sample each pixel from beside its place.

    Args:
        image: float32 ``[N, 3, H, W]``, levels.
        field: float32 ``[N, 2, H, W]``, horizontal and vertical shift in half pixels.
    """
    _, _, height, width = image.shape
    x, y = (_centres(size, image.device) for size in (width, height))
    grid = torch.stack([x + field[:, 0] / width, y.view(-1, 1) + field[:, 1] / height], -1)
    opaque = torch.cat([image, torch.ones_like(image[:, :1])], 1)
    sampled = F.grid_sample(opaque, grid, padding_mode="zeros", align_corners=False)
    # torchvision weights the border by its coverage a second time.
    return (sampled[:, :3] * sampled[:, 3:]).round_()


def gaussian_kernel(size: int, sigma: Tensor) -> Tensor:
    """Weights ``[N, size]`` that sum to one, for standard deviations ``[N]`` in pixels."""
    x = torch.arange(size) - (size - 1) / 2
    weights = torch.exp(-0.5 * (x / sigma.view(-1, 1)) ** 2).float()
    return weights / weights.sum(1, keepdim=True)


def blur(image: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Convolve rows and columns with a kernel per sample, reflecting at the border.

    A sum of shifted images instead of a convolution: exact in float32 on every device (no TF32),
    and each sample may have its own kernel.

    Args:
        image: float32 ``[N, C, H, W]``.
        across: Kernels along the width, ``[N or 1, K]`` on the CPU, K odd.
        down: Kernels along the height, likewise.
    """
    for dim, kernel in ((3, across), (2, down)):
        margin, length = kernel.shape[1] // 2, image.shape[dim]
        padding = (margin, margin, 0, 0) if dim == 3 else (0, 0, margin, margin)
        padded = F.pad(image, padding, mode="reflect")
        weights = kernel.to(image.device, non_blocking=True).T.unsqueeze(-1).unsqueeze(-1)
        image = torch.zeros_like(image)
        for tap, weight in enumerate(weights.unsqueeze(-1)):
            image.addcmul_(padded.narrow(dim, tap, length), weight)
    return image


def _uniform(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.uniform(-1, 1, count)


def _centres(size: int, device: torch.device) -> Tensor:
    """Pixel centres in the coordinates of `grid_sample`, where the image spans [-1, 1]."""
    return torch.linspace((1 - size) / size, (size - 1) / size, size, device=device)
