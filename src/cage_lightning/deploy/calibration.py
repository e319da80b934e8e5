"""A correction of a network's outputs, fitted on samples that it was not trained on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cage_lightning.labels import OutputLayout

Floats = npt.NDArray[np.float64]
_RANGE = (0.05, 20.0)  # of the temperature, searched on a logarithmic scale


@dataclass(frozen=True)
class Calibration:
    """A temperature for the logits and a line for each affect dimension.

    Temperature scaling (Guo et al., 2017, "On calibration of modern neural networks") divides all
    logits by one number, which changes no decision. Affect becomes ``scale * value + shift``.

    Attributes:
        temperature: Of the logits, above 0; 1 changes nothing.
        scale: One number per affect dimension.
        shift: One number per affect dimension.
    """

    temperature: float
    scale: tuple[float, ...]
    shift: tuple[float, ...]

    def columns(self, layout: OutputLayout) -> tuple[list[float], list[float]]:
        """Factor and summand of each column of the outputs, ``[width]`` each."""
        scale = [1 / self.temperature] * layout.logits + list(self.scale if layout.affect else ())
        shift = [0.0] * layout.logits + list(self.shift if layout.affect else ())
        return scale, shift

    @classmethod
    def from_dict(cls, values: Any, layout: OutputLayout) -> Calibration:
        """Read the result of `dataclasses.asdict` out of a file, which may come from anyone.

        Raises:
            ValueError: The values are no calibration of outputs of that layout.
        """
        if not isinstance(values, dict) or values.keys() != cls.__dataclass_fields__.keys():
            raise ValueError(
                f"calibration does not consist of {', '.join(cls.__dataclass_fields__)}"
            )
        rows = {name: values[name] for name in ("scale", "shift")}
        for name, row in rows.items():
            if not isinstance(row, list | tuple) or len(row) != len(layout.space.dimensions):
                raise ValueError(f"calibration.{name} is not a number for each affect dimension")
        numbers = (values["temperature"], *rows["scale"], *rows["shift"])
        if not all(type(x) is float and math.isfinite(x) for x in numbers):
            raise ValueError("calibration does not consist of numbers")
        if not _RANGE[0] <= numbers[0] <= _RANGE[1]:
            raise ValueError(f"calibration.temperature is not between {_RANGE[0]} and {_RANGE[1]}")
        return cls(numbers[0], tuple(rows["scale"]), tuple(rows["shift"]))


def fit(
    layout: OutputLayout, outputs: Floats, category: npt.NDArray[Any], affect: Floats
) -> Calibration:
    """Fit a calibration: the temperature by likelihood, the lines by least squares.

    Args:
        layout: What the outputs mean.
        outputs: ``[M, N, width]`` of the M members of an ensemble (1: of a single network), whose
            probabilities and affect are averaged.
        category: True categories, int ``[N]``, negative where not annotated, or multi-hot
            ``[N, K]``.
        affect: True affect ``[N, D]``, NaN where not annotated.
    """
    dimensions = len(layout.space.dimensions)
    scale, shift = [1.0] * dimensions, [0.0] * dimensions
    if layout.affect:
        mean = outputs[:, :, layout.logits :].mean(axis=0)
        lines = [_line(mean[:, d], affect[:, d]) for d in range(dimensions)]
        scale, shift = [a for a, _ in lines], [b for _, b in lines]
    temperature = 1.0
    if layout.categories:
        logits = outputs[:, :, : layout.logits]
        if not layout.space.multi_label:
            known = category >= 0
            logits, category = logits[:, known], category[known]
        temperature = _temperature(logits, category, layout.space.multi_label)
    return Calibration(temperature, tuple(scale), tuple(shift))


def _line(predicted: Floats, true: Floats) -> tuple[float, float]:
    """Slope and intercept of the least squares line from predicted to true affect."""
    known = np.isfinite(true)
    predicted, true = predicted[known], true[known]
    if len(true) < 2 or not (variance := predicted.var()):
        return 1.0, 0.0
    slope = float(((predicted - predicted.mean()) * (true - true.mean())).mean() / variance)
    return slope, float(true.mean() - slope * predicted.mean())


def _temperature(logits: Floats, category: npt.NDArray[Any], several: bool) -> float:
    """The temperature of the least negative log-likelihood of the averaged probabilities."""
    from scipy.optimize import minimize_scalar
    from scipy.special import expit, softmax

    if not len(category):
        return 1.0

    def loss(log_temperature: float) -> float:
        scaled = logits / math.exp(log_temperature)
        probability = (expit(scaled) if several else softmax(scaled, axis=-1)).mean(axis=0)
        true = (
            np.where(category > 0, probability, 1 - probability)
            if several
            else np.take_along_axis(probability, category[:, None], axis=1)
        )
        return float(-np.log(true.clip(1e-300)).mean())

    found = minimize_scalar(loss, bounds=tuple(map(math.log, _RANGE)), method="bounded")
    return float(math.exp(found.x))
