"""Networks without memory, of which names and shapes alone count."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch.nn import init

_DRAWING = [name for name in vars(init) if name.endswith("_") and not name.startswith("_")]


@contextmanager
def outlines() -> Iterator[None]:
    """What is built within the block has no weights: none are drawn, which takes as long."""

    def leave(tensor: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        return tensor

    with mock.patch.dict(vars(init), dict.fromkeys(_DRAWING, leave)), torch.device("meta"):
        yield
