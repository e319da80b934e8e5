"""The order of an epoch: a function of (seed, epoch), the same for any number of ranks."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cage_lightning.data.sampling import EpochBatches
from cage_lightning.data.subsets import balanced_order
from cage_lightning.system.keyed_random import derived_seed

sizes = st.integers(1, 60)


@given(
    length=sizes, batch_size=st.integers(4, 20), world=st.integers(1, 4), epoch=st.integers(0, 5)
)
def test_ranks_share_the_batches_of_one_process(
    length: int, batch_size: int, world: int, epoch: int
) -> None:
    alone = EpochBatches(length, batch_size, seed=7)
    ranks = [EpochBatches(length, batch_size, 7, rank, world) for rank in range(world)]
    for batches in (alone, *ranks):
        batches.set_epoch(epoch)
    together = [list(chain(*shares)) for shares in zip(*ranks, strict=True)]
    assert together == list(alone)[: len(together)]
    assert {len(r) for r in ranks} == {len(together)}
    assert all(share for rank in ranks for share in rank)
    # Only a last batch with fewer samples than ranks may be missing.
    assert length - sum(map(len, together)) == ranks[0].left_out < world


@given(length=sizes, batch_size=sizes)
def test_every_sample_once(length: int, batch_size: int) -> None:
    batches = list(EpochBatches(length, batch_size, seed=0))
    assert sorted(chain(*batches)) == list(range(length))
    assert [len(b) for b in batches[:-1]] == [batch_size] * (len(batches) - 1)


def test_epochs_and_seeds_differ_and_repeat() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        batches = EpochBatches(50, 50, seed)
        batches.set_epoch(epoch)
        return next(iter(batches))

    assert order(0, 0) == order(0, 0)
    assert len({tuple(order(seed, epoch)) for seed in (0, 1, 2) for epoch in (0, 1, 2)}) == 9


def test_start_skips_batches_once() -> None:
    batches = EpochBatches(10, 2, seed=0)
    whole = list(batches)
    batches.start = 3
    assert list(batches) == whole[3:]
    assert list(batches) == whole


def test_keys_give_different_seeds() -> None:
    # Linear formulas such as seed * a + epoch * b + index collide.
    seeds = {derived_seed(s, e, i) for s in range(3) for e in range(20) for i in range(500)}
    assert len(seeds) == 3 * 20 * 500


@given(category=st.lists(st.integers(-1, 4), min_size=1, max_size=40), world=st.integers(1, 3))
def test_a_balanced_epoch_has_equally_many_of_each_category(
    category: list[int], world: int
) -> None:
    labels = np.array(category)
    known = int((labels >= 0).sum())
    batches = EpochBatches(len(labels), 4, 7, category=labels)
    ranks = [EpochBatches(len(labels), 4, 7, rank, world, category=labels) for rank in range(world)]
    numbers = [*chain(*batches)]
    assert len(numbers) == known == len(set(numbers))
    together = [list(chain(*shares)) for shares in zip(*ranks, strict=True)]
    assert together == [*batches][: len(together)]

    rows, times = np.array(numbers, dtype=int) % len(labels), np.array(numbers) // len(labels)
    counts = np.unique(labels[rows], return_counts=True)[1]
    assert counts.sum() == known
    assert not known or counts.max() - counts.min() <= 1
    assert len(counts) == min(known, len(set(category) - {-1}))
    for row in set(rows.tolist()):
        assert sorted(times[rows == row]) == [*range((rows == row).sum())]
        of_category = np.bincount(rows[labels[rows] == labels[row]])
        assert of_category.max() - of_category[labels[: len(of_category)] == labels[row]].min() <= 1


def test_balanced_epochs_differ_and_repeat() -> None:
    labels = np.arange(30) % 7 // 3

    def order(seed: int, epoch: int) -> list[int]:
        batches = EpochBatches(30, 30, seed, category=labels)
        batches.set_epoch(epoch)
        return next(iter(batches))

    assert order(0, 1) == order(0, 1)
    assert len({tuple(order(seed, epoch)) for seed in (0, 1, 2) for epoch in (0, 1, 2)}) == 9


def test_every_sample_of_a_frequent_category_has_the_same_chance() -> None:
    labels = np.array([0] * 9 + [1])
    drawn = [balanced_order(labels, np.random.default_rng(i)) % 10 for i in range(400)]
    counts = np.bincount(np.concatenate(drawn), minlength=10)
    assert counts[9] == 400 * 5
    assert counts[:9] == pytest.approx(400 * 5 / 9, rel=0.2)
