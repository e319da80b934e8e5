"""What the forms share: the graph that is written, and its use as a `Predictor`."""

from __future__ import annotations

import io
import logging
import warnings
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from cage_lightning.deploy.networks import Predictor, combine
from cage_lightning.deploy.preprocessing import Preprocessing
from cage_lightning.errors import CheckpointError
from cage_lightning.labels import OutputLayout

INPUT = "image"
OUTPUTS = "outputs"  # [B, width]: logits, then affect
MEMBERS = "members"  # [M, B, width], of an ensemble only


class Graph(nn.Module):
    """What a form computes.

    Args:
        predictor: The model.
        preprocessing: Normalises uint8 pixels first; None where the input is normalised already.
    """

    def __init__(self, predictor: Predictor, preprocessing: Preprocessing | None) -> None:
        super().__init__()
        self.predictor = predictor
        self.preprocessing = preprocessing

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """`OUTPUTS`, and for an ensemble `MEMBERS` as well."""
        if self.preprocessing is not None:
            image = self.preprocessing.normalise(image)
        each = self.predictor.each(image)
        outputs = combine(each, self.predictor.layout)
        return outputs if len(each) == 1 else (outputs, each)


class Foreign(Predictor):
    """A model that another program computes, on the CPU.

    Args:
        layout: What the outputs mean.
        preprocessing: What the pictures that it is given went through.
        pixels: Whether the program takes uint8 pixels.
        alone: Whether the program takes one picture at a time.
    """

    def __init__(
        self, layout: OutputLayout, preprocessing: Preprocessing, *, pixels: bool, alone: bool
    ) -> None:
        super().__init__(layout)
        self.preprocessing = preprocessing
        self.pixels = pixels
        self.alone = alone

    @abstractmethod
    def run(self, images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Compute the outputs of each member.

        Args:
            images: uint8 or float32 ``[B, 3, H, W]``.

        Returns:
            ``[M, B, width]``, or ``[B, width]`` of a single network, in memory of their own.
        """

    def each(self, images: Tensor) -> Tensor:
        """See `Predictor.each`.

        Raises:
            CheckpointError: The outputs are not those that the model is said to have.
        """
        inputs = self.preprocessing.pixels(images) if self.pixels else images.float()
        if self.alone and len(inputs) > 1:
            found = torch.cat([self._outputs(part) for part in torch.split(inputs, 1)], dim=1)
        else:
            found = self._outputs(inputs)
        return found.to(images.device)

    def _outputs(self, images: Tensor) -> Tensor:
        values = self.run(np.ascontiguousarray(images.cpu().numpy()))
        values = values[None] if values.ndim == 2 else values
        if values.ndim != 3 or values.shape[1:] != (len(images), self.layout.width):
            raise CheckpointError(
                f"the model gives outputs of the shape {list(values.shape[1:])} for {len(images)} "
                f"pictures, and is said to give [{len(images)}, {self.layout.width}]"
            )
        return torch.from_numpy(values)


@contextmanager
def quietly() -> Iterator[None]:
    """Without the progress, warnings and log lines of the programs that convert a network."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
