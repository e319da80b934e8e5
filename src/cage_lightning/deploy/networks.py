"""Networks as a trained model uses them: one or several of an ensemble, calibrated, in any form."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cage_lightning.deploy.calibration import Calibration
from cage_lightning.labels import OutputLayout


class Predictor(nn.Module):
    """Maps normalised pictures to outputs; each form of a model is a subclass.

    Args:
        layout: What the outputs mean.
    """

    def __init__(self, layout: OutputLayout) -> None:
        super().__init__()
        self.layout = layout

    @abstractmethod
    def each(self, images: Tensor) -> Tensor:
        """The outputs of each member of an ensemble.

        Args:
            images: float32 ``[B, 3, H, W]``, normalised.

        Returns:
            float32 ``[M, B, width]``; M is 1 for a single network.
        """

    def forward(self, images: Tensor) -> Tensor:
        """The outputs of the ensemble, ``[B, width]``: see `combine`."""
        return combine(self.each(images), self.layout)


class Networks(Predictor):
    """Networks of PyTorch.

    Args:
        members: Each maps ``[B, 3, H, W]`` to ``[B, width]``.
        layout: What the outputs mean.
        calibration: Applied to the outputs of each member.
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self,
        members: Sequence[nn.Module],
        layout: OutputLayout,
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__(layout)
        self.members = nn.ModuleList(members)
        scale, shift = calibration.columns(layout) if calibration else ([1.0], [0.0])
        self.register_buffer("scale", torch.tensor(scale), persistent=False)
        self.register_buffer("shift", torch.tensor(shift), persistent=False)
        self.calibrated = calibration is not None

    def each(self, images: Tensor) -> Tensor:
        """See `Predictor.each`."""
        outputs = torch.stack([member(images) for member in self.members])
        return outputs * self.scale + self.shift if self.calibrated else outputs


class Several(Predictor):
    """Models of any form as one ensemble.

    Args:
        parts: At least one; their layouts are equal.
    """

    def __init__(self, parts: Sequence[Predictor]) -> None:
        super().__init__(parts[0].layout)
        self.parts = nn.ModuleList(parts)

    def each(self, images: Tensor) -> Tensor:
        """See `Predictor.each`."""
        return torch.cat([part.each(images) for part in self.parts])  # type: ignore[operator]


def combine(outputs: Tensor, layout: OutputLayout) -> Tensor:
    """The outputs that stand for an ensemble.

    Args:
        outputs: ``[M, B, width]``, of each member.
        layout: What they mean.

    Returns:
        ``[B, width]``: logits whose softmax (multi-label: sigmoid) is the mean of the members'
        probabilities, and the mean of their affect. With one member, its outputs unchanged.
    """
    if len(outputs) == 1:
        return outputs[0]
    logits, affect = outputs[..., : layout.logits], outputs[..., layout.logits :]
    if layout.space.multi_label:
        logits = _log_mean(nn.functional.logsigmoid(logits)) - _log_mean(
            nn.functional.logsigmoid(-logits)
        )
    else:
        logits = _log_mean(logits.log_softmax(-1))
    return torch.cat([logits, affect.mean(0)], dim=-1)


def _log_mean(logs: Tensor) -> Tensor:
    """The logarithm of the mean over the first axis, from logarithms."""
    return logs.logsumexp(0) - math.log(len(logs))
