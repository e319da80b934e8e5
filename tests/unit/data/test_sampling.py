"""The order of an epoch: a function of (seed, epoch), the same for any number of ranks."""

from __future__ import annotations

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from cage_lightning.data.sampling import EpochBatches
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
    assert length - sum(map(len, together)) < world


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
