"""A training that needs more memory than the device has says so, and can go on."""

from __future__ import annotations

import re

import pytest
import torch

from cage_lightning.errors import OutputError
from cage_lightning.models.tiny import TinyNetwork
from tests.conftest import Train

SAID = "CUDA out of memory. Tried to allocate 2.00 GiB"


@pytest.mark.slow
def test_out_of_memory_in_a_step(train_here: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    forward, calls = TinyNetwork.forward, iter(range(100))

    def too_large(network: TinyNetwork, image: torch.Tensor) -> torch.Tensor:
        if next(calls) == 2:
            raise torch.OutOfMemoryError(f"{SAID}. GPU 0 has a total capacity of 1 GiB.")
        return forward(network, image)

    monkeypatch.setattr(TinyNetwork, "forward", too_large)
    settings = ("data.batch_size=16", "callbacks.last.every_n_steps=1")
    needs = f"data.batch_size=16 needs more memory than the device has ({SAID}). "
    with pytest.raises(OutputError, match=f"^{re.escape(needs)}"):
        train_here(*settings)
    folder = train_here(*settings)
    assert folder.finished
    assert "resuming from" in folder.log_file.read_text()
