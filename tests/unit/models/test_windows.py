"""MaxViT's windows, padded for a GPU, attend as torchvision's do."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.maxvit import RelativePositionalMultiHeadAttention

from cage_lightning.models import compiled
from cage_lightning.models.windows import attend, pad_windows


def with_gradients(window: nn.Module, found: Tensor) -> list[Tensor]:
    window.zero_grad()
    found.square().sum().backward()
    return [found, *(p.grad for p in window.parameters() if p.grad is not None)]


@pytest.fixture
def window() -> RelativePositionalMultiHeadAttention:
    torch.manual_seed(0)
    made = RelativePositionalMultiHeadAttention(feat_dim=64, head_dim=32, max_seq_len=49).double()
    assert isinstance(made, RelativePositionalMultiHeadAttention)
    return made


def test_padding_changes_neither_the_outputs_nor_the_gradients(
    window: RelativePositionalMultiHeadAttention,
) -> None:
    x = torch.randn(2, 3, 49, 64, dtype=torch.float64)
    expected = with_gradients(window, window(x))
    found = with_gradients(window, attend(window, x))
    assert len(found) == 1 + len(list(window.parameters()))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_windows_are_padded_only_where_they_are_compiled(
    window: RelativePositionalMultiHeadAttention, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.randn(1, 1, 49, 64, dtype=torch.float64)
    network = nn.Sequential(window)
    before, keys = window(x), list(network.state_dict())
    pad_windows(network)
    assert torch.equal(network(x), before)
    assert torch.equal(copy.deepcopy(network)(x), before)
    assert list(network.state_dict()) == keys
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    torch.testing.assert_close(network(x), attend(window, x), rtol=0, atol=0)


def test_on_a_cpu_nothing_is_padded(
    window: RelativePositionalMultiHeadAttention, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = nn.Sequential(window)
    monkeypatch.setattr(network, "compile", lambda **_: None)
    compiled.compile_network(network, "default", replayed=False)
    assert "forward" not in vars(window)
