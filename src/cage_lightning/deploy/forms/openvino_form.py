"""OpenVINO: converted from ONNX, in float32, bfloat16 or int8."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from cage_lightning.deploy.forms.graphs import MEMBERS, Foreign, quietly
from cage_lightning.deploy.forms.names import Precision
from cage_lightning.deploy.forms.needs import needed
from cage_lightning.deploy.preprocessing import Preprocessing
from cage_lightning.errors import CheckpointError, first_line
from cage_lightning.labels import OutputLayout

# What OpenVINO computes in. In int8 form, the layers that are not quantised are in bfloat16.
_HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "bf16"}


def write(file: Path, graph: Path, precision: Precision, pictures: torch.Tensor | None) -> None:
    """Write a model as OpenVINO's pair of files.

    Args:
        file: The ``.xml`` file; the weights go beside it, into ``.bin``.
        graph: The model as ONNX.
        precision: ``bfloat16`` stores the weights in 16 bits. ``int8`` quantises weights and
            activations after training.
        pictures: For ``int8``, float32 ``[N, 3, H, W]``, normalised, of the training split: from
            them the ranges of the activations are estimated.

    Raises:
        ConfigError: A package is missing.
    """
    [openvino] = needed("openvino")
    with quietly():
        model = openvino.Core().read_model(graph)
        if precision == "int8":
            assert pictures is not None
            model = _quantised(model, pictures)
        openvino.save_model(model, file, compress_to_fp16=precision == "bfloat16")


def _quantised(model: Any, pictures: torch.Tensor) -> Any:
    [nncf] = needed("nncf")
    samples = [picture[None].numpy() for picture in pictures]
    return nncf.quantize(
        model,
        nncf.Dataset(samples),
        subset_size=len(samples),
        # Activations that are not symmetric about 0, as after GELU and SiLU, keep their range.
        preset=nncf.QuantizationPreset.MIXED,
        model_type=nncf.ModelType.TRANSFORMER,  # attention stays exact where that matters
        fast_bias_correction=True,
    )


class OpenVinoPredictor(Foreign):
    """A model in OpenVINO, on the CPU.

    A single picture goes through a network of its own, compiled for that shape when the first one
    comes: without shapes that are only known at run time it is faster.

    Args:
        file: The ``.xml`` file.
        layout: What the outputs mean.
        preprocessing: What the pictures that it is given went through.
        precision: What it computes in, where the processor can.

    Raises:
        CheckpointError: The files cannot be read.
        ConfigError: A package is missing.
    """

    def __init__(
        self, file: Path, layout: OutputLayout, preprocessing: Preprocessing, precision: Precision
    ) -> None:
        super().__init__(layout, preprocessing, pixels=False, alone=False)
        [openvino] = needed("openvino")
        self._core, self._file = openvino.Core(), file
        self._settings = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
        }
        self.compiled = self._compiled(shape=None)
        names = [name for output in self.compiled.outputs for name in output.names]
        self._output = len(self.compiled.outputs) - 1 if MEMBERS in names else 0
        self._lock = threading.Lock()
        self._alone: Any = None
        self._requests = threading.local()

    def _compiled(self, shape: Sequence[int] | None) -> Any:
        try:
            model = self._core.read_model(self._file)
            if shape is not None:
                model.reshape(list(shape))
            return self._core.compile_model(model, "CPU", self._settings)
        except RuntimeError as error:
            what = first_line(error)[:300]
            raise CheckpointError(f"{self._file} cannot be run: {what}") from error

    def _request(self, images: npt.NDArray[Any]) -> Any:
        """The request of this thread for a batch: a request serves one thread at a time."""
        name = "alone" if len(images) == 1 else "together"
        if not hasattr(self._requests, name):
            with self._lock:
                if name == "alone" and self._alone is None:
                    self._alone = self._compiled(images.shape)
            compiled = self._alone if name == "alone" else self.compiled
            setattr(self._requests, name, compiled.create_infer_request())
        return getattr(self._requests, name)

    def run(self, images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """See `Foreign.run`."""
        request = self._request(images)
        request.infer([images])
        return np.array(request.get_output_tensor(self._output).data)
