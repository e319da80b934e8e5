"""Networks small enough for a CPU: one that learns the demo faces, and a small MaxViT for tests."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torchvision.models.maxvit import MaxVit

SMALLEST_SIZE = 17
"""Height and width of the smallest pictures, of which four halvings leave 2 x 2."""


def _stage(inputs: int, outputs: int) -> nn.Sequential:
    """Build a stage: a convolution that halves height and width, then a depthwise-separable one.

    The stage uses group normalisation with sixteen channels a group, so that the output for a
    sample does not depend on the rest of its batch, and one device and four compute the same
    gradient. For the same reason the network has no dropout.
    """
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
        nn.GroupNorm(outputs // 16, outputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1, groups=outputs, bias=False),
        nn.Conv2d(outputs, outputs, 1, bias=False),
        nn.GroupNorm(outputs // 16, outputs),
        nn.ReLU(inplace=True),
    )


def _pooling(side: int) -> tuple[nn.AvgPool2d, int]:
    """What makes maps of `side` x `side`, at least 2, smaller, and the side that they then have.

    It ends at 2 x 2 and not at 1 x 1, because it matters where in the face a feature is, and leaves
    3 x 3 as it is. Of an odd side the quarters overlap. The window is fixed: adaptive pooling,
    which would give the same quarters, is not deterministic on CUDA.
    """
    if side == 3:
        return nn.AvgPool2d(1), 3
    return nn.AvgPool2d(side - side // 2, stride=side // 2), 2


class TinyNetwork(nn.Module):
    """Four convolution stages and one linear layer, for pictures of about 48 x 48 or 64 x 64.

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
        pooling, side = _pooling(math.ceil(image_size / 2 ** len(widths)))
        self.classifier = nn.Sequential(
            pooling,
            nn.Flatten(),
            nn.Linear(side**2 * widths[-1], num_outputs),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Map pictures ``[B, 3, H, W]`` to ``[B, num_outputs]``."""
        # The channels-last layout takes about a third less time on a CPU.
        image = image.contiguous(memory_format=torch.channels_last)
        outputs: Tensor = self.classifier(self.features(image))
        return outputs


def small(num_outputs: int, image_size: int = 64) -> TinyNetwork:
    """Build a network of the same kind with twice the channels: four times the parameters.

    Args:
        num_outputs: Width of the output.
        image_size: As in `TinyNetwork`.
    """
    return TinyNetwork(num_outputs, image_size, (32, 64, 128, 256))


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
