"""Convolutions in float32 on a GPU, whatever the program around them allows."""

from __future__ import annotations

import threading

import torch

_PRECISION = torch.backends.cudnn.conv  # type: ignore[attr-defined]


class Float32Convolutions:
    """A context in which cuDNN computes convolutions in float32 and not in TF32.

    PyTorch allows TF32 there by default, whose ten bits of mantissa show in the third digit of a
    probability. The setting is one of the process: it is set when the first thread enters, and
    restored when the last one leaves.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = ""

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._before = _PRECISION.fp32_precision
                _PRECISION.fp32_precision = "ieee"
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                _PRECISION.fp32_precision = self._before


FLOAT32_CONVOLUTIONS = Float32Convolutions()
