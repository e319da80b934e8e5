"""Networks small enough for a CPU: one that learns the demo faces, and a small MaxViT for tests."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.maxvit import MaxVit


SMALLEST_SIZE = 17
"""Height and width of the smallest pictures, of which four halvings leave 2 x 2."""


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(channels // 16, channels)


def _stage(inputs: int, outputs: int) -> nn.Sequential:
    """Build a stage: a convolution that halves height and width, then a depthwise-separable one.

    The stage uses group normalisation with sixteen channels a group, so that the output for a
    sample does not depend on the rest of its batch, and one device and four compute the same
    gradient. For the same reason the network has no dropout.
    """
    return nn.Sequential(
        _convolution(inputs, outputs, stride=2),
        _norm(outputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1, groups=outputs, bias=False),
        nn.Conv2d(outputs, outputs, 1, bias=False),
        _norm(outputs),
        nn.ReLU(inplace=True),
    )


class _Residual(nn.Module):
    """Two convolutions whose result is added to what they get (He et al., 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            _convolution(channels, channels),
            _norm(channels),
            nn.ReLU(inplace=True),
            _convolution(channels, channels),
            _norm(channels),
        )

    def forward(self, maps: Tensor) -> Tensor:
        return F.relu(maps + self.branch(maps))


def _residual_stage(inputs: int, outputs: int) -> nn.Sequential:
    """Build a stage: a convolution that halves height and width, then a residual block."""
    return nn.Sequential(
        _convolution(inputs, outputs, stride=2),
        _norm(outputs),
        nn.ReLU(inplace=True),
        _Residual(outputs),
    )


def _quarters(size: int) -> nn.AvgPool2d:
    """Pool maps of `size` x `size`, at least 2, to 2 x 2; of an odd size the quarters overlap.

    Not to 1 x 1, because it matters where in the face a feature is. The window is fixed: adaptive
    pooling, which would give the same, is not deterministic on CUDA.
    """
    return nn.AvgPool2d(size - size // 2, stride=size // 2)


class TinyNetwork(nn.Module):
    """Four convolution stages and one linear layer, for pictures of about 64 x 64.

    Args:
        num_outputs: Width of the output.
        image_size: Height and width of the pictures, at least 17.
        widths: Channels of the stages, multiples of 16.
    """

    def __init__(
        self,
        num_outputs: int,
        image_size: int = 64,
        widths: tuple[int, ...] = (16, 32, 64, 128),
    ) -> None:
        super().__init__()
        self.features = nn.Sequential(*map(_stage, (3, *widths[:-1]), widths))
        self.classifier = nn.Sequential(
            _quarters(math.ceil(image_size / 2 ** len(widths))),
            nn.Flatten(),
            nn.Linear(4 * widths[-1], num_outputs),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Map pictures ``[B, 3, H, W]`` to ``[B, num_outputs]``."""
        # The channels-last layout takes about a third less time on a CPU.
        image = image.contiguous(memory_format=torch.channels_last)
        outputs: Tensor = self.classifier(self.features(image))
        return outputs


def maxvit_mini(num_outputs: int, image_size: int = 64) -> MaxVit:
    """Build a MaxViT with the head layout of ``maxvit_t`` and a five-hundredth of its parameters.

    Args:
        num_outputs: Width of the output.
        image_size: Height and width of the pictures, a multiple of 64.
    """
    return MaxVit(
        input_size=(image_size, image_size),
        stem_channels=8,
        partition_size=2,
        block_channels=[8, 16, 16, 32],
        block_layers=[1, 1, 1, 1],
        head_dim=4,
        stochastic_depth_prob=0.0,
        num_classes=num_outputs,
    )
