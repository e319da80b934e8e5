"""Which forms there are. What a form is follows from its name alone, never from a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

FormName = Literal[
    "onnx",
    "onnx_batch1",
    "onnx_pixels",
    "openvino",
    "openvino_bf16",
    "openvino_int8",
    "torch_export",
]
Precision = Literal["float32", "bfloat16", "int8"]


@dataclass(frozen=True)
class Form:
    """One form of a model.

    Attributes:
        file: Its file in the folder of an export, the one to load.
        weights: A second file that belongs to it.
        pixels: Whether it takes uint8 pixels and normalises them itself; else it takes float32
            pictures that are normalised already.
        batch: The number of pictures that it takes at once; None for any number.
        precision: What it computes in, where the processor can.
    """

    file: str
    weights: str | None = None
    pixels: bool = False
    batch: int | None = None
    precision: Precision = "float32"

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that it consists of."""
        return (self.file,) if self.weights is None else (self.file, self.weights)

    def to_dict(self, size: int) -> dict[str, Any]:
        """What an export says of it, for people who load it by other means.

        Args:
            size: Height and width of the pictures in pixels.
        """
        batch = "B" if self.batch is None else str(self.batch)
        kind = "uint8 RGB 0 to 255" if self.pixels else "float32 normalised"
        return {
            "file": self.file,
            "weights": self.weights,
            "input": f"{kind} [{batch}, 3, {size}, {size}]",
            "precision": self.precision,
        }


def _openvino(name: str, precision: Precision) -> Form:
    return Form(f"{name}.xml", f"{name}.bin", precision=precision)


FORMS: Mapping[FormName, Form] = MappingProxyType(
    {
        "onnx": Form("model.onnx"),
        "onnx_batch1": Form("model_batch1.onnx", batch=1),
        "onnx_pixels": Form("model_pixels.onnx", pixels=True),
        "openvino": _openvino("model_openvino", "float32"),
        "openvino_bf16": _openvino("model_openvino_bf16", "bfloat16"),
        "openvino_int8": _openvino("model_openvino_int8", "int8"),
        "torch_export": Form("model.pt2"),
    }
)


def form_of_file(file: str) -> FormName | None:
    """The form that a file of an export belongs to; None for a file of no form."""
    return next((name for name, form in FORMS.items() if file in form.files), None)
