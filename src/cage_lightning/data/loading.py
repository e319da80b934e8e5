"""Loaders whose processes write their batches into the same memory again and again."""

from __future__ import annotations

import faulthandler
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, get_worker_info

from cage_lightning.labels import Batch

AHEAD = 2
"""How many batches a process makes before they are asked for."""

SHOW_STACKS = signal.SIGUSR2
"""On this signal a process of a loader writes the stacks of its threads to stderr."""


class Blocks:
    """Memory for the pictures of the batches of one process."""

    def __init__(self) -> None:
        self._shared: list[Tensor] = []

    def share(self) -> None:
        """Take turns between blocks that the main process sees, for a `BatchLoader`.

        New ones for each batch would cost both processes as much as decoding its pictures. A block
        is written again `AHEAD` + 1 batches later: the loader has taken a copy by then, as it asks
        a process for that batch when it has handed over all but the latest `AHEAD`.
        """
        self._shared = [torch.empty(0, dtype=torch.uint8)] * (AHEAD + 1)

    def next(self, shape: Sequence[int], dtype: torch.dtype = torch.uint8) -> Tensor:
        """Memory for the images of a batch."""
        if not self._shared:
            return torch.empty(tuple(shape), dtype=dtype)
        size = torch.Size(shape).numel() * dtype.itemsize
        block = self._shared.pop(0)
        if len(block) < size:
            block = torch.empty(size, dtype=torch.uint8)
            block.share_memory_()  # type: ignore[no-untyped-call]
        self._shared.append(block)
        return block[:size].view(dtype).view(*shape)


class BatchLoader(DataLoader[Batch]):
    """A loader of `face_dataset.Batches`, with the settings of `loading`."""

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        seen: dict[int, Tensor] = {}  # memory that is let go would have to be mapped again
        for batch in super().__iter__():
            if self.num_workers and not self.pin_memory:
                seen[batch.image.data_ptr()] = batch.image
                batch = batch._replace(image=batch.image.clone())
            yield batch


def ahead(
    batches: Iterator[Batch], prepare: Callable[[Batch], Batch], device: torch.device
) -> Iterator[Batch]:
    """Prepare each batch beside the steps on those before it.

    The device works on a batch on a stream of its own: copying and augmenting fill what a step
    leaves idle, and a step does not wait for its batch.

    Args:
        batches: From a loader.
        prepare: Moves a batch to the device, and transforms it there.
        device: Whose current stream the steps run on.
    """
    streams = torch.get_device_module(device)
    beside = streams.Stream()
    waiting: tuple[Batch, Any] | None = None
    for batch in batches:
        with streams.stream(beside):
            following = prepare(batch), beside.record_event()
        if waiting is not None:
            yield _taken(*waiting)
        waiting = following
    if waiting is not None:
        yield _taken(*waiting)


def _taken(batch: Batch, prepared: Any) -> Batch:
    """A batch for the stream of the steps, which waits until it is prepared."""
    steps = torch.get_device_module(batch.image.device).current_stream()
    steps.wait_event(prepared)
    for tensor in batch:
        if tensor.is_cuda:
            tensor.record_stream(steps)  # its memory is used again only after the step
    return batch


def loading(workers: int) -> dict[str, Any]:
    """The settings of a `BatchLoader`.

    Args:
        workers: How many processes read.
    """
    of_processes = {
        "num_workers": workers,
        "persistent_workers": True,
        "prefetch_factor": AHEAD,
        "worker_init_fn": _begin,
    }
    common = {"pin_memory": torch.cuda.is_available(), "collate_fn": _as_it_is}
    return common | (of_processes if workers else {})


def _as_it_is(batch: Any) -> Any:
    """A batch is put together already."""
    return batch


def _begin(worker: int) -> None:
    """Let the data set of a process use its memory again, and the process show where it hangs."""
    faulthandler.register(SHOW_STACKS, file=2)
    info = get_worker_info()
    assert info is not None, "a process of a loader"
    info.dataset.blocks.share()  # type: ignore[attr-defined]
