"""ONNX: written by torch, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from cage_lightning.deploy.forms.graphs import INPUT, MEMBERS, OUTPUTS, Foreign, Graph, quietly
from cage_lightning.deploy.forms.needs import needed
from cage_lightning.deploy.networks import Predictor
from cage_lightning.deploy.preprocessing import Preprocessing
from cage_lightning.errors import CheckpointError, first_line
from cage_lightning.labels import OutputLayout


def write(
    file: Path, predictor: Predictor, preprocessing: Preprocessing, *, pixels: bool, alone: bool
) -> None:
    """Write a model as one ONNX file, its weights inside.

    Args:
        file: The file to write.
        predictor: The model.
        preprocessing: Gives the size of the pictures, and normalises them where `pixels` is true.
        pixels: Whether the input is uint8.
        alone: Whether the batch has exactly one picture; else any number.

    Raises:
        ConfigError: A package is missing.
    """
    needed("onnx", "onnxscript")
    size = preprocessing.image_size
    graph = Graph(predictor, preprocessing if pixels else None).eval()
    # Two pictures: torch takes the number 1 for one that never changes.
    example = torch.zeros(
        1 if alone else 2, 3, size, size, dtype=torch.uint8 if pixels else torch.float32
    )
    several = graph.predictor.each(example[:1].float()).shape[0] > 1
    with quietly(), torch.no_grad():
        program: Any = torch.onnx.export(
            graph,
            (example,),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUTS, MEMBERS] if several else [OUTPUTS],
            dynamic_shapes=None if alone else ({0: torch.export.Dim("batch", min=1)},),
            verbose=False,
        )
        _without_places(program.model)
        program.save(str(file), external_data=False)


class OnnxPredictor(Foreign):
    """A model in ONNX Runtime.

    Args:
        file: What messages call the model.
        content: The content of that file.
        layout: What the outputs mean.
        preprocessing: What the pictures that it is given went through.

    Raises:
        CheckpointError: It is no ONNX model with one input of pictures, or it keeps its weights in
            other files.
        ConfigError: A package is missing.
    """

    def __init__(
        self, file: Path, content: bytes, layout: OutputLayout, preprocessing: Preprocessing
    ) -> None:
        self.session = open_session(file, content)
        [taken] = self.session.get_inputs()
        super().__init__(
            layout,
            preprocessing,
            pixels=taken.type == "tensor(uint8)",
            alone=taken.shape[0] == 1,
        )
        self._input = taken.name
        names = [output.name for output in self.session.get_outputs()]
        self._output = MEMBERS if MEMBERS in names else OUTPUTS
        if self._output not in names:
            raise CheckpointError(f"{file} has no output {OUTPUTS!r}: it has {', '.join(names)}")

    def run(self, images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """See `Foreign.run`."""
        [found] = self.session.run([self._output], {self._input: images})
        return np.asarray(found, np.float32)


def open_session(file: Path, content: bytes) -> Any:
    """A session of ONNX Runtime on the CPU, for a model that may come from anyone.

    Args:
        file: What messages call the model.
        content: The content of that file; nothing else is read.

    Raises:
        CheckpointError: It is no ONNX model of pictures, or keeps its weights in other files.
        ConfigError: A package is missing.
    """
    onnx, runtime = needed("onnx", "onnxruntime")
    try:
        model = onnx.load_from_string(content)
    except Exception as error:  # of protobuf
        raise CheckpointError(f"{file} is damaged or no ONNX model") from error
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in _tensors(model)):
        raise CheckpointError(
            f"{file} keeps its weights in other files, which are not read: save it again with "
            "onnx.save(onnx.load(FILE), FILE, save_as_external_data=False)"
        )
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # what it would print of an error is raised
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = runtime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"], enable_fallback=False
        )
    except Exception as error:  # ONNX Runtime has a class for each of its error codes
        raise CheckpointError(f"{file} cannot be run: {first_line(error)[:300]}") from error
    inputs = session.get_inputs()
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        shapes = ", ".join(f"{one.name} {one.shape}" for one in inputs)
        raise CheckpointError(f"{file} does not take pictures alone: its inputs are {shapes}")
    return session


def _tensors(message: Any) -> Iterator[Any]:
    """Every tensor inside a message of protobuf, at any depth."""
    if message.DESCRIPTOR.name == "TensorProto":
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for one in value if hasattr(value, "__len__") else (value,):
                if hasattr(one, "DESCRIPTOR"):
                    yield from _tensors(one)


def _without_places(model: Any) -> None:
    """Drop what torch notes of each node: lines of source files, with their paths."""
    model.metadata_props.clear()
    for graph in (model.graph, *model.functions.values()):
        graph.metadata_props.clear()
        for node in graph.all_nodes():
            node.metadata_props.clear()
            for value in node.outputs:
                value.metadata_props.clear()
