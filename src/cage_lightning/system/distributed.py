"""Differentiable sums over all processes of a training job."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def global_sum(x: Tensor) -> Tensor:
    """Sum a tensor over all ranks, so that a statistic is that of the global batch.

    Every rank must call it equally often with the same shape: once per training step, and once
    per evaluation split, whose batches may be unevenly spread. Without a process group the sum is
    `x` itself.

    The backward pass sums the gradient over the ranks as well. All W ranks hold the same loss L,
    so each one back-propagates dL/dx through W equal copies, and its own parameters get W times
    its share of dL/dtheta. DistributedDataParallel divides the sum of these shares by W. The result
    is exactly dL/dtheta of the global batch, however unevenly it is spread over the ranks.

    Args:
        x: A float tensor of any shape. Stack several sums into one tensor to need one collective
            only.

    Returns:
        The sum, with the shape, dtype and device of `x`.
    """
    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        return x
    summed: Tensor = _AllReduceSum.apply(x)
    return summed


class _AllReduceSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _all_reduced(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _all_reduced(gradients[0])


def _all_reduced(x: Tensor) -> Tensor:
    x = x.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(x)
    return x
