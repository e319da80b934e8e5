"""torch.export: a graph for torch itself. It is written, and read only by the one who wrote it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cage_lightning.deploy.forms.graphs import Graph, quietly
from cage_lightning.deploy.networks import Predictor
from cage_lightning.deploy.preprocessing import Preprocessing
from cage_lightning.errors import CheckpointError
from cage_lightning.labels import OutputLayout


def write(file: Path, predictor: Predictor, preprocessing: Preprocessing) -> None:
    """Write a model as torch.export does, for any number of pictures."""
    size = preprocessing.image_size
    with quietly(), torch.no_grad():
        program = torch.export.export(
            Graph(predictor, None).eval(),
            (torch.zeros(2, 3, size, size),),
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
        )
        for module in program.graph_module.modules():
            for node in getattr(module, "graph", torch.fx.Graph()).nodes:
                node.meta.pop("stack_trace", None)  # lines of source files, with their paths
        torch.export.save(program, file)


class TorchExportPredictor(Predictor):
    """A file that was just written by `write`, to compare it.

    Args:
        file: It must not come from anyone else: torch unpickles parts of it.
        layout: What the outputs mean.
    """

    def __init__(self, file: Path, layout: OutputLayout) -> None:
        super().__init__(layout)
        with quietly():
            self.program: Any = torch.export.load(file).module()

    def each(self, images: Tensor) -> Tensor:
        """See `Predictor.each`."""
        found = self.program(images)
        outputs: Tensor = found[None] if isinstance(found, Tensor) else found[1]
        return outputs


def refused(file: Path) -> CheckpointError:
    """Why such a file is not loaded, and what to do."""
    return CheckpointError(
        f"{file} is not loaded: torch.export.load unpickles parts of such a file, which could run "
        "code; give the folder, whose model.safetensors computes the same, or call "
        "torch.export.load yourself if you trust its maker"
    )
