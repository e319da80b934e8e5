"""Networks that are built without drawing weights, which takes longer than all else."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import nn
from torch.nn import init

from cage_lightning.models import build_network

_DRAWING = [name for name in vars(init) if name.endswith("_") and not name.startswith("_")]


@contextmanager
def undrawn() -> Iterator[None]:
    """What is built within the block has weights of any value: others are to be loaded."""

    def leave(tensor: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        return tensor

    with mock.patch.dict(vars(init), dict.fromkeys(_DRAWING, leave)):
        yield


@contextmanager
def outlines() -> Iterator[None]:
    """What is built within the block has no memory: its names and shapes alone count."""
    with undrawn(), torch.device("meta"):
        yield


@functools.cache
def outline(name: str, num_outputs: int, **options: Any) -> nn.Module:
    """A network of which only names and shapes are known; all tests share it."""
    with outlines():
        return build_network(name, num_outputs, weights="none", **options)
