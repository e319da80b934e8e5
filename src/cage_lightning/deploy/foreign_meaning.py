"""Models of other systems: an ONNX file, and a small YAML file beside it that says what it means.

The file has the name of the model with the ending ``.yaml``, or the name ``model.yaml``::

    input:
      layout: NCHW          # or NHWC
      size: 224             # height and width in pixels
      colors: RGB           # or BGR
      scale: 1              # what a channel's highest value becomes: 1 or 255
      mean: [0.5, 0.5, 0.5] # subtracted afterwards, in the order of `colors`; may be left out
      std: [0.5, 0.5, 0.5]  # divided by; may be left out
      margin: 0             # added to each side of a face's box; may be left out
    outputs:                # columns from left to right, of the model's outputs in their order
      - columns: [Anger, Contempt, Disgust, Fear, Happiness, Neutral, Sadness, Surprise,
                  valence, arousal]
        values: logits      # or probabilities; of the categories
        range: [-1, 1]      # of affect; may be left out
    multi_label: false      # whether several categories may apply at once; may be left out

A column ``_`` is left out (docs/export.md has the networks of EmotiEffLib). Categories are
known by the names of `labels.canonical_category`, in any order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from cage_lightning.deploy.preprocessing import Preprocessing, is_number
from cage_lightning.errors import CheckpointError
from cage_lightning.labels import (
    AFFECTNET_8,
    EMOTIC,
    LABEL_SPACES,
    LabelSpace,
    OutputLayout,
    canonical_category,
)

_LEFT_OUT = "_"
_LEAST = 1e-12  # a probability of 0 would be a logit of minus infinity
_AFFECT = EMOTIC.dimensions  # every dimension that there is

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Output:
    """One output of the graph.

    Attributes:
        columns: The name of each column.
        probabilities: Whether its categories are probabilities; else they are logits.
        range: Lowest and highest value of its affect.
    """

    columns: tuple[str, ...]
    probabilities: bool
    range: tuple[float, float]


@dataclass(frozen=True)
class Meaning:
    """What the YAML file says.

    Attributes:
        channels_last: Whether the pictures are ``[B, H, W, 3]``.
        bgr: Whether their channels are blue, green, red.
        outputs: Those of the graph, in its order.
        layout: What they mean, in our order.
        preprocessing: What is done to a picture before, as float32 RGB.
    """

    channels_last: bool
    bgr: bool
    outputs: tuple[Output, ...]
    layout: OutputLayout
    preprocessing: Preprocessing

    @cached_property
    def order(self) -> list[int]:
        """For each of our columns the number of theirs."""
        space = self.layout.space
        names = [*space.categories] * self.layout.categories
        names += [*space.dimensions] * self.layout.affect
        found = [name for output in self.outputs for name in output.columns]
        return [found.index(name) for name in names]

    def outputs_of(self, arrays: Sequence[Any]) -> Floats:
        """Our outputs ``[B, width]`` from those of the graph.

        Raises:
            CheckpointError: They have other shapes than the file says.
        """
        parts = []
        for output, array in zip(self.outputs, arrays, strict=True):
            values = np.asarray(array, np.float32)
            if values.ndim != 2 or values.shape[1] != len(output.columns):
                raise CheckpointError(
                    f"an output of the model has the shape {list(values.shape)}, and its YAML file "
                    f"says {len(output.columns)} columns"
                )
            parts.append(self._converted(output, values))
        return np.ascontiguousarray(np.concatenate(parts, axis=1)[:, self.order])

    def _converted(self, output: Output, values: Floats) -> Floats:
        affect = np.array([name in _AFFECT for name in output.columns])
        low, high = output.range
        unit = (2 * values - (low + high)) / (high - low)
        other = values
        if output.probabilities:
            other = np.log(values.clip(_LEAST, 1))
            if self.layout.space.multi_label:
                other = other - np.log((1 - values).clip(_LEAST, 1))
        return np.where(affect, unit, other).astype(np.float32)


def meaning_of(content: Any, name: str) -> Meaning:
    """What a YAML file says of a model.

    Args:
        content: Its content as plain containers.
        name: What a label space of its own is called.

    Raises:
        ValueError: It says something that no model has, or not enough.
    """
    parts = _mapping(content, "the file", ("input", "outputs"), ("multi_label",))
    several = parts.get("multi_label", False)
    if type(several) is not bool:
        raise ValueError("multi_label is true or false")
    if not isinstance(parts["outputs"], list) or not parts["outputs"]:
        raise ValueError("outputs is a list with an entry for each output of the model")
    outputs = tuple(map(_output, parts["outputs"]))
    layout = _layout([name for one in outputs for name in one.columns], several, name)
    channels_last, bgr, preprocessing = _input(parts["input"])
    return Meaning(channels_last, bgr, outputs, layout, preprocessing)


def _output(content: Any) -> Output:
    parts = _mapping(content, "an entry of outputs", ("columns",), ("values", "range"))
    columns = parts["columns"]
    if not isinstance(columns, list) or not all(isinstance(x, str) for x in columns):
        raise ValueError("columns is a list of names")
    plain = tuple(map(_known, columns))
    values = parts.get("values")
    if values is None and all(x in (*_AFFECT, _LEFT_OUT) for x in plain):
        values = "logits"
    if values not in ("logits", "probabilities"):
        raise ValueError(f"values is {values!r:.50}, not logits or probabilities")
    limits = parts.get("range", [-1, 1])
    if not _are_numbers(limits, 2) or not limits[0] < limits[1]:
        raise ValueError("range is the lowest and the highest value of affect")
    return Output(plain, values == "probabilities", (float(limits[0]), float(limits[1])))


def _layout(columns: list[str], several: bool, name: str) -> OutputLayout:
    """What the columns mean; a known label space where they are its categories."""
    used = [x for x in columns if x != _LEFT_OUT]
    categories = [x for x in used if x not in _AFFECT]
    dimensions = tuple(x for x in _AFFECT if x in used)
    if len(set(used)) < len(used):
        raise ValueError("columns has a name twice")
    if not used:
        raise ValueError("columns names neither categories nor valence nor arousal")
    if not categories:
        space = EMOTIC if "dominance" in dimensions else AFFECTNET_8
        if dimensions == space.dimensions:
            return OutputLayout(space, categories=False, affect=True)
    for space in LABEL_SPACES.values():
        same = {*categories} == {*space.categories} and space.multi_label == several
        if same and dimensions in ((), space.dimensions):
            return OutputLayout(space, categories=True, affect=bool(dimensions))
    own = LabelSpace.from_dict(
        {
            "name": name,
            "categories": categories,
            "multi_label": several,
            "dimensions": list(dimensions),
            "native_range": [-1.0, 1.0],
        }
    )
    return OutputLayout(own, categories=bool(categories), affect=bool(dimensions))


def _known(name: str) -> str:
    """A column as our label spaces write it, where one of them has it (`happy`: Happiness)."""
    dimension = name.casefold()
    return dimension if dimension in _AFFECT else canonical_category(name) or name


def _input(content: Any) -> tuple[bool, bool, Preprocessing]:
    needed = ("layout", "size", "colors", "scale")
    parts = _mapping(content, "input", needed, ("mean", "std", "margin"))
    for key, allowed in (("layout", ("NCHW", "NHWC")), ("colors", ("RGB", "BGR"))):
        if parts[key] not in allowed:
            raise ValueError(f"input.{key} is {parts[key]!r:.50}, not {' or '.join(allowed)}")
    scale, bgr = parts["scale"], parts["colors"] == "BGR"
    if scale not in (1, 255) or isinstance(scale, bool):
        raise ValueError(f"input.scale is {scale!r:.50}, not 1 or 255")
    mean, std = parts.get("mean", [0, 0, 0]), parts.get("std", [1, 1, 1])
    for key, values in (("mean", mean), ("std", std)):
        if not _are_numbers(values, 3):
            raise ValueError(f"input.{key} is not a number for each of three channels")
    # (scale x - mean) / std of x in [0, 1] is (x - mean / scale) / (std / scale).
    mean, std = ([float(x) / scale for x in (row[::-1] if bgr else row)] for row in (mean, std))
    margin = parts.get("margin", 0.0)
    try:
        preprocessing = Preprocessing(parts["size"], tuple(mean), tuple(std), margin)
    except ValueError as error:
        raise ValueError(f"input.{error}") from error
    return parts["layout"] == "NHWC", bgr, preprocessing


def _are_numbers(values: Any, count: int) -> bool:
    return isinstance(values, list) and len(values) == count and all(map(is_number, values))


def _mapping(
    content: Any, name: str, needed: tuple[str, ...], more: tuple[str, ...]
) -> Mapping[str, Any]:
    if not isinstance(content, dict) or not set(needed) <= content.keys() <= {*needed, *more}:
        optional = f", and may have {', '.join(more)}" if more else ""
        raise ValueError(f"{name} consists of {', '.join(needed)}{optional}")
    return content
