"""Models of other systems in ONNX Runtime; `foreign_meaning` reads what they take and give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cage_lightning.deploy.description import Description
from cage_lightning.deploy.foreign_meaning import Meaning, meaning_of
from cage_lightning.deploy.forms.graphs import Foreign
from cage_lightning.deploy.forms.onnx_form import open_session
from cage_lightning.errors import CheckpointError
from cage_lightning.system.paths import refuse_outside

Floats = npt.NDArray[np.float32]


class ForeignOnnx(Foreign):
    """A model of another system in ONNX Runtime.

    Args:
        file: The ONNX file.
        meaning: What it takes and gives.

    Raises:
        CheckpointError: It is no ONNX model of pictures, or contradicts its YAML file.
        ConfigError: A package is missing.
    """

    def __init__(self, file: Path, meaning: Meaning) -> None:
        self.session = open_session(file, file.read_bytes())
        [taken] = self.session.get_inputs()
        size, batch = meaning.preprocessing.image_size, taken.shape[0]
        shape = [size, size, 3] if meaning.channels_last else [3, size, size]
        stated = zip(taken.shape[1:], shape, strict=True)
        if any(isinstance(found, int) and found != said for found, said in stated):
            raise CheckpointError(
                f"{file} takes pictures {taken.shape[1:]}, and its YAML file says {shape}"
            )
        if isinstance(batch, int) and batch != 1:
            raise CheckpointError(f"{file} takes {batch} pictures at once: export it with 1 or any")
        if taken.type != "tensor(float)":
            raise CheckpointError(f"{file} takes {taken.type}: only float32 is supported")
        if len(self.session.get_outputs()) != len(meaning.outputs):
            names = ", ".join(output.name for output in self.session.get_outputs())
            raise CheckpointError(
                f"{file} has the outputs {names}, and its YAML file describes "
                f"{len(meaning.outputs)}: describe each, columns of no meaning as _"
            )
        super().__init__(meaning.layout, meaning.preprocessing, pixels=False, alone=batch == 1)
        self.meaning = meaning
        self._input = taken.name

    def run(self, images: npt.NDArray[Any]) -> Floats:
        """See `Foreign.run`."""
        if self.meaning.bgr:
            images = images[:, ::-1]
        if self.meaning.channels_last:
            images = images.transpose(0, 2, 3, 1)
        found = self.session.run(None, {self._input: np.ascontiguousarray(images)})
        return self.meaning.outputs_of(found)


def description_beside(file: Path) -> Path | None:
    """The YAML file that describes an ONNX file of another system; None without one."""
    beside = (file.with_suffix(".yaml"), file.with_name("model.yaml"))
    return next((one for one in beside if file.suffix == ".onnx" and one.is_file()), None)


def open_foreign(file: Path, yaml_file: Path) -> tuple[Description, ForeignOnnx]:
    """A model of another system.

    Args:
        file: The ONNX file.
        yaml_file: Says what it means; see the top of `foreign_meaning`.

    Raises:
        CheckpointError: A file cannot be read, or they contradict each other.
        ConfigError: A package is missing.
    """
    from cage_lightning.system.plain_yaml import read_plain  # not needed for an export

    refuse_outside(yaml_file.parent, yaml_file)
    try:
        meaning = meaning_of(read_plain(yaml_file), file.stem)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{yaml_file} does not describe a model: {error}") from error
    description = Description(meaning.layout, None, meaning.preprocessing)
    return description, ForeignOnnx(file, meaning)
