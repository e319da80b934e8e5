"""Which samples make up a batch: a pure function of (seed, epoch), so that a run can resume."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import Sampler, SequentialSampler

from cage_lightning.data.loading import BatchLoader, ahead
from cage_lightning.data.subsets import Category, Rows, balanced_order
from cage_lightning.system.keyed_random import derived_seed, sample_generator

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

    from cage_lightning.labels import Batch


class Numbers(list[int]):
    """The numbers of the samples of a batch.

    Attributes:
        epoch: The pass over the data, on which their augmentation depends.
    """

    def __init__(self, numbers: Iterable[int], epoch: int) -> None:
        super().__init__(numbers)
        self.epoch = epoch


class EpochBatches(Sampler[list[int]]):
    """One rank's share of the shuffled batches of an epoch.

    A batch is `batch_size` samples over all ranks; the last one holds what is left over, as in the
    published scripts, unless some rank would get nothing of it. Any number of ranks sees the same
    batches in the same order, apart from that one.

    Attributes:
        augmented_as: The epoch that its batches tell; it may be another one than that of the order.

    Args:
        length: Number of samples.
        batch_size: Samples of a batch, over all ranks.
        seed: Seed of the order; the epoch is the other half of its key.
        rank: This process.
        world_size: Number of processes.
        same_in_every_epoch: The order of the first epoch always, to see a network overfit.
        category: int64 ``[length]``: give as many samples of each category, by `balanced_order`.
    """

    def __init__(
        self,
        length: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        same_in_every_epoch: bool = False,
        category: Category | None = None,
    ) -> None:
        self.length = length if category is None else int((category >= 0).sum())
        self.batch_size, self.seed, self.category = batch_size, seed, category
        self.rank, self.world_size = rank, world_size
        self.same_in_every_epoch = same_in_every_epoch
        self.epoch = self.start = self.augmented_as = 0

    @property
    def sampler(self) -> EpochBatches:
        """Itself: Lightning looks here for `set_epoch`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order is given next."""
        self.epoch = 0 if self.same_in_every_epoch else epoch

    @property
    def left_out(self) -> int:
        """How many samples an epoch leaves out: those of a last batch of fewer than the ranks."""
        left_over = self.length % self.batch_size
        return left_over if left_over < self.world_size else 0

    def __len__(self) -> int:
        return -(-(self.length - self.left_out) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        order = self._order()
        first, self.start = self.start, 0
        for number in range(first, len(self)):
            batch = order[number * self.batch_size : (number + 1) * self.batch_size]
            share = np.array_split(batch, self.world_size)[self.rank]
            yield Numbers(share.tolist(), self.augmented_as)

    def _order(self) -> Rows:
        if self.category is not None:
            return balanced_order(self.category, sample_generator(self.seed, self.epoch))
        generator = torch.Generator().manual_seed(derived_seed(self.seed, self.epoch))
        order: Rows = torch.randperm(self.length, generator=generator).numpy()
        return order


class RankRows(SequentialSampler):
    """One rank's share of the rows of a split, none of them twice.

    Lightning replaces any other sampler by one of all rows under `overfit_batches`.
    """

    def __init__(self, length: int, rank: int, world_size: int) -> None:
        super().__init__(range(rank, length, world_size))

    def __iter__(self) -> Iterator[int]:
        return iter(self.data_source)  # type: ignore[call-overload, no-any-return]


class ResumableLoader(BatchLoader):
    """A loader of `EpochBatches` that begins where the trainer's own progress stands.

    It is a generator: no worker starts before the first batch is asked for, when the epoch and the
    position are known. Lightning restores both only after it has built the loader.

    Attributes:
        trainer: What it loads for.
        prepare: What a GPU does with a batch before the step that takes it: see `loading.ahead`.
    """

    trainer: Trainer
    prepare: Callable[[Batch], Batch]

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        batches = self.batch_sampler
        assert isinstance(batches, EpochBatches)
        batches.augmented_as = self.trainer.current_epoch
        batches.start = self.trainer.fit_loop.epoch_loop.batch_progress.current.ready
        loaded, device = super().__iter__(), self.trainer.strategy.root_device
        on_gpu = self.trainer.training and device.type == "cuda"
        yield from ahead(loaded, self.prepare, device) if on_gpu else loaded

    def state_dict(self) -> dict[str, Any]:
        """Makes Lightning take the loader for a resumable one; kept for inspection."""
        done = self.trainer.fit_loop.epoch_loop.batch_progress.current.completed
        return {"epoch": self.trainer.current_epoch, "batch": done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to do: the position is the trainer's progress."""
