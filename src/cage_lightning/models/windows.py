"""MaxViT's attention, in sizes that the matrix units of a GPU take."""

from __future__ import annotations

import types

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.maxvit import RelativePositionalMultiHeadAttention

MULTIPLE = 8
"""Matrices with sides of so many 16-bit numbers go through the units whole."""


def pad_windows(network: nn.Module) -> None:
    """Let MaxViT's windows of 7 x 7 places attend as if they had 56, while they are compiled.

    The network computes what it did, as no place attends to those that are added; in 16 bits the
    last digits differ. What is not compiled stays as it is. Other networks have no such windows.
    """
    for window in network.modules():
        if isinstance(window, RelativePositionalMultiHeadAttention):
            window.forward = types.MethodType(_forward, window)


def _forward(self: RelativePositionalMultiHeadAttention, x: Tensor) -> Tensor:
    """See `attend`, or as torchvision defines it: ``[B, G, P, D]`` to the same shape."""
    if torch.compiler.is_compiling():
        return attend(self, x)
    as_defined: Tensor = type(self).forward(self, x)
    return as_defined


def attend(window: RelativePositionalMultiHeadAttention, x: Tensor) -> Tensor:
    """Attention inside G windows of P places, ``[B, G, P, D]`` to the same shape."""
    count, windows, places, width = x.shape
    heads, added = window.n_heads, -places % MULTIPLE

    def padded(part: Tensor) -> Tensor:
        by_head = part.reshape(count, windows, places, heads, -1).transpose(2, 3)
        return F.pad(by_head, (0, 0, 0, added)).reshape(count * windows * heads, -1, width // heads)

    query, key, value = window.to_qkv(x).chunk(3, dim=-1)
    query, key, value = padded(query), padded(key * window.scale_factor), padded(value)
    bias = F.pad(window.get_relative_positional_bias(), (0, added), value=float("-inf"))
    bias = F.pad(bias, (0, 0, 0, added))
    likeness = torch.bmm(query, key.transpose(1, 2))
    likeness = likeness.view(count, windows, heads, places + added, -1) + bias
    weights = likeness.softmax(-1).to(value.dtype).view(count * windows * heads, -1, places + added)
    found = torch.bmm(weights, value).view(count, windows, heads, -1, width // heads)
    merged: Tensor = window.merge(
        found[:, :, :, :places].transpose(2, 3).reshape(count, windows, places, width)
    )
    return merged
