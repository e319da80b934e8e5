"""Random erasing (Zhong et al., 2020)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from torch import Tensor

from cage_lightning.augment.noise import NoiseBank, draw_start
from cage_lightning.augment.step import Draw, Params, RandomStep


class RandomErasing(RandomStep):
    """Overwrite a rectangle of the normalised image, as ``torchvision.transforms.RandomErasing``.

    Args:
        p: Probability that a rectangle is erased.
        scale: Lowest and highest share of the image's area.
        ratio: Lowest and highest height / width of the rectangle; drawn uniformly in its logarithm.
        value: What is written: a number, or ``random`` for N(0, 1) noise per pixel and channel.
    """

    normalized: ClassVar[bool] = True

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: float | Literal["random"] = 0.0,
    ) -> None:
        super().__init__(p)
        self.smallest, self.largest = scale
        self.log_ratio = (math.log(ratio[0]), math.log(ratio[1]))
        self.value = value
        self._normal = NoiseBank(np.random.Generator.standard_normal)

    def parameters(self, rng: np.random.Generator, height: int, width: int) -> Draw | None:
        """The first rectangle of ten tries that is smaller than the image, else None."""
        for _ in range(10):
            area = height * width * rng.uniform(self.smallest, self.largest)
            aspect = math.exp(rng.uniform(*self.log_ratio))
            h, w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if h < height and w < width:
                top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
                return {"box": (top, left, top + h, left + w), "noise": draw_start(rng)}
        return None

    def apply(self, image: Tensor, params: Params) -> Tensor:
        """Write noise, or the value, inside each row's box."""
        random = self.value == "random"
        noise = self._normal.fields(image.shape[1:], image.device) if random else None
        boxes, starts = params["box"].tolist(), params["noise"].tolist()
        for row, (top, left, bottom, right), start in zip(image, boxes, starts, strict=True):
            box = (slice(None), slice(top, bottom), slice(left, right))
            row[box] = self.value if noise is None else noise[start][box]
        return image
