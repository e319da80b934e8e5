"""What is done to a picture before a network sees it, the same as in training and evaluation."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torchvision.models import MaxVit_T_Weights

from cage_lightning.data.images import LARGEST_IMAGE, square
from cage_lightning.errors import DataError

_IMAGENET = MaxVit_T_Weights.DEFAULT.transforms()  # the mean and deviation that all networks share


@dataclass(frozen=True)
class Preprocessing:
    """From a picture, or a box in it, to the input of a network.

    Attributes:
        image_size: Height and width of the input in pixels. Other sizes are resized to it
            (bilinear, antialiased) without regard to their aspect ratio.
        mean: Of the pictures in training, per channel (RGB), of values in [0, 1].
        std: Their standard deviation, likewise.
        margin: Added to each side of a box, as a share of its width or height.

    Raises:
        ValueError: A value that no training has; the message begins with its name.
    """

    image_size: int
    mean: tuple[float, float, float] = tuple(_IMAGENET.mean)
    std: tuple[float, float, float] = tuple(_IMAGENET.std)
    margin: float = 0.0

    def __post_init__(self) -> None:
        """Check the values, which may come from a file of anyone."""
        if type(self.image_size) is not int or not 0 < self.image_size <= LARGEST_IMAGE:
            raise ValueError(
                f"image_size is {self.image_size!r:.100}, not 1 to {LARGEST_IMAGE} pixels"
            )
        for name, least in (("mean", -math.inf), ("std", 0.0)):
            values = getattr(self, name)
            if (
                not isinstance(values, tuple)
                or len(values) != 3
                or not all(is_number(x) and x > least for x in values)
            ):
                raise ValueError(
                    f"{name} is {values!r:.100}, not a number for each of three channels"
                )
        if not is_number(self.margin) or not 0 <= self.margin <= 10:
            raise ValueError(f"margin is {self.margin!r:.100}, not a share of a box's size")

    def crop(self, picture: Image.Image, box: Sequence[float] | None = None) -> Tensor:
        """The pixels that the network is to see.

        Args:
            picture: Of any mode.
            box: Left, top, right and bottom edge of the part to take, in pixels, before the margin
                is added. What lies outside the picture is left out.

        Returns:
            uint8 ``[3, image_size, image_size]``, RGB.

        Raises:
            DataError: The box lies outside the picture, or the range of its values is not known.
        """
        try:
            return square(picture, self.image_size, box, self.margin)
        except ValueError as error:
            raise DataError(f"cannot take that part of the picture: {error}") from error

    def normalise(self, images: Tensor) -> Tensor:
        """The input of the network, float32 ``[B, 3, S, S]``, from uint8 images of that shape."""
        mean, std = self._statistics(images)
        levels = images.to(torch.float32, memory_format=torch.contiguous_format)
        return levels.div_(255).sub_(mean).div_(std)

    def pixels(self, inputs: Tensor) -> Tensor:
        """The inverse of `normalise`: uint8 images from the input of the network, exactly."""
        mean, std = self._statistics(inputs)
        return inputs.mul(std).add_(mean).mul_(255).round_().clamp_(0, 255).to(torch.uint8)

    def _statistics(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mean, std = (torch.tensor(values, device=images.device) for values in (self.mean, self.std))
        return mean.view(-1, 1, 1), std.view(-1, 1, 1)


def is_number(value: Any) -> bool:
    """Whether a value is a finite number that a float can hold."""
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return known and abs(value) <= sys.float_info.max
