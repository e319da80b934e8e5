"""A form by its name: how it is written, and how it is opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from cage_lightning.deploy.description import Description
from cage_lightning.deploy.forms import onnx_form, openvino_form, torch_form
from cage_lightning.deploy.forms.names import FORMS, FormName
from cage_lightning.deploy.networks import Predictor

GRAPH = ".graph.onnx"  # what several forms are made from; to be deleted when all are made
# Gives float32 [N, 3, H, W], normalised, of the training split.
Pictures = Callable[[], Tensor]


def make(
    name: FormName, folder: Path, description: Description, predictor: Predictor, pictures: Pictures
) -> Predictor:
    """Write one form of a model into a folder.

    Args:
        name: Which form.
        folder: Where its files go.
        description: What the model is.
        predictor: The model, of networks of PyTorch.
        pictures: Asked only where the form is quantised.

    Returns:
        The form, opened.

    Raises:
        ConfigError: A package is missing.
        OutputError: A file cannot be written.
    """
    form, preprocessing = FORMS[name], description.preprocessing
    file = folder / form.file
    if name == "torch_export":
        torch_form.write(file, predictor, preprocessing)
        return torch_form.TorchExportPredictor(file, description.layout)
    if form.weights is None:
        alone = form.batch == 1
        onnx_form.write(file, predictor, preprocessing, pixels=form.pixels, alone=alone)
    else:
        graph = folder / FORMS["onnx"].file
        if not graph.exists():
            graph = folder / GRAPH
        if not graph.exists():
            onnx_form.write(graph, predictor, preprocessing, pixels=False, alone=False)
        needs = pictures() if form.precision == "int8" else None
        openvino_form.write(file, graph, form.precision, needs)
    return open_form(name, file, description)


def open_form(name: FormName, file: Path, description: Description) -> Predictor:
    """Open a file of a form, which may come from anyone.

    Raises:
        CheckpointError: It cannot be opened safely, or not at all.
        ConfigError: A package is missing.
    """
    form, layout = FORMS[name], description.layout
    if name == "torch_export":
        raise torch_form.refused(file)
    if form.weights is None:
        content = file.read_bytes()
        return onnx_form.OnnxPredictor(file, content, layout, description.preprocessing)
    return openvino_form.OpenVinoPredictor(file, layout, description.preprocessing, form.precision)
