from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cage_lightning.affectnet_statistics import AFFECTNET_TRAINING
from cage_lightning.data.subsets import balanced_subset, stratified_holdout
from cage_lightning.errors import ConfigError, DataError

categories = st.lists(st.integers(0, 7), max_size=120).map(lambda c: np.array(c, dtype=np.int64))
seeds = st.integers(0, 2**32)


@given(categories, st.floats(0.001, 0.999), seeds)
def test_holdout_is_a_partition_with_the_stated_share_of_every_class(category, fraction, seed):
    train, held = stratified_holdout(category, fraction, seed)
    for rows in (train, held):
        assert rows.dtype == np.int64
        assert (np.diff(rows) > 0).all()
    assert sorted([*train.tolist(), *held.tolist()]) == list(range(len(category)))
    for k in range(8):
        n, n_held = (category == k).sum(), (category[held] == k).sum()
        if n <= 1:
            assert n_held == 0
        else:
            assert n_held == np.clip(np.round(fraction * n), 1, n - 1)


def test_holdout_depends_on_the_seed_and_on_nothing_else():
    category = np.arange(800) % 8
    state = np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002
    first = stratified_holdout(category, 0.1, seed=0)
    again = stratified_holdout(category, 0.1, seed=0)
    other = stratified_holdout(category, 0.1, seed=1)
    assert first[1].tolist() == again[1].tolist()
    assert first[1].tolist() != other[1].tolist()
    assert (np.random.get_state(legacy=False)["state"]["key"] == state).all()  # noqa: NPY002


def test_holdout_of_the_other_classes_stays_when_a_class_is_dropped():
    category = np.random.default_rng(0).integers(0, 8, 500)
    kept = np.flatnonzero(category < 7)
    eight = stratified_holdout(category, 0.2, seed=3)[1]
    seven = kept[stratified_holdout(category[kept], 0.2, seed=3)[1]]
    assert eight[category[eight] < 7].tolist() == seven.tolist()


def test_holdout_draws_every_row_sooner_or_later():
    category = np.repeat([0, 1], 10)
    drawn = np.concatenate([stratified_holdout(category, 0.3, s)[1] for s in range(60)])
    assert set(drawn.tolist()) == set(range(20))


def test_classes_are_drawn_independently():
    held = stratified_holdout(np.repeat([0, 1], 1000), 0.5, seed=0)[1]
    assert held[:500].tolist() != (held[500:] - 1000).tolist()


def test_multi_hot_rows_count_for_their_rarest_label():
    labels = np.zeros((60, 4), dtype=np.float32)
    labels[:, 0] = 1  # everywhere, so never the rarest where another one applies
    labels[:20, 1] = 1
    labels[:10, 2] = 1
    labels[50:] = 0
    held = stratified_holdout(labels, 0.2, seed=0)[1]
    strata = [np.arange(10), np.arange(10, 20), np.arange(20, 50), np.arange(50, 60)]
    assert [np.isin(held, s).sum() for s in strata] == [2, 2, 6, 2]


def test_multi_hot_with_one_label_each_is_the_single_label_case():
    category = np.random.default_rng(1).integers(0, 5, 100)
    one_hot = np.eye(5, dtype=np.float32)[category]
    single, multi = (stratified_holdout(c, 0.3, seed=2) for c in (category, one_hot))
    assert single[1].tolist() == multi[1].tolist()


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_a_fraction_that_leaves_nothing_is_refused(fraction):
    with pytest.raises(ConfigError, match="between 0 and 1"):
        stratified_holdout(np.zeros(4, dtype=np.int64), fraction, seed=0)


@given(categories, seeds)
def test_balanced_subset_has_equally_many_rows_of_every_class_present(category, seed):
    rows = balanced_subset(category, seed)
    assert rows.dtype == np.int64
    assert (np.diff(rows) > 0).all()
    present = [(category == k).sum() for k in range(8) if (category == k).any()]
    expected = [min(present, default=0)] * len(present)
    assert [(category[rows] == k).sum() for k in range(8) if (category == k).any()] == expected
    assert rows.tolist() == balanced_subset(category, seed).tolist()


def test_balanced_subset_is_a_random_draw():
    category = np.repeat([0, 2], [50, 10])
    draws = [balanced_subset(category, seed) for seed in range(60)]
    assert draws[0].tolist() != draws[1].tolist()
    assert set(np.concatenate(draws).tolist()) == set(range(60))


def test_published_sizes():
    counts = [row.samples for row in AFFECTNET_TRAINING.values()]
    category = np.repeat(np.arange(8), counts)
    assert len(balanced_subset(category, 0)) == 30_000
    assert len(balanced_subset(category[category < 7], 0)) == 26_621


def test_balancing_needs_one_category_per_row():
    with pytest.raises(DataError, match="exactly one category"):
        balanced_subset(np.zeros((4, 26), dtype=np.float32), seed=0)


@given(categories, st.floats(0.05, 0.5), seeds, st.integers(2, 9))
def test_no_group_is_on_two_sides(category, fraction, seed, size):
    group = np.array([f"video {row // size}" for row in range(len(category))], np.str_)
    if len(set(group)) < 2:
        with pytest.raises(ConfigError, match="two groups or more"):
            stratified_holdout(category, fraction, seed, group)
        return
    train, held = stratified_holdout(category, fraction, seed, group)
    assert sorted([*train.tolist(), *held.tolist()]) == list(range(len(category)))
    assert len(train)
    assert len(held)
    assert not set(group[train]) & set(group[held])
    assert held.tolist() == stratified_holdout(category, fraction, seed, group)[1].tolist()


def test_whole_groups_come_near_the_share_of_every_class():
    rng = np.random.default_rng(0)
    category = rng.integers(0, 7, 3000)
    group = rng.integers(0, 300, 3000).astype(str)
    _, held = stratified_holdout(category, 0.2, 0, group)
    for k in range(7):
        share = (category[held] == k).sum() / (category == k).sum()
        assert share == pytest.approx(0.2, abs=0.03)


def test_rows_without_a_group_are_on_their_own():
    category, group = np.zeros(100, np.int64), np.full(100, "")
    train, held = stratified_holdout(category, 0.1, 0, group)
    assert (len(train), len(held)) == (90, 10)


def test_rows_that_are_not_annotated_are_held_out_like_a_class_and_never_balanced():
    category = np.array([-1] * 20 + [0] * 20 + [3] * 5)
    _, held = stratified_holdout(category, 0.2, 0)
    assert np.bincount(category[held] + 1).tolist() == [4, 4, 0, 0, 1]
    known = np.array([0] * 20 + [3] * 5)
    assert (balanced_subset(category, 0) - 20).tolist() == balanced_subset(known, 0).tolist()


def test_every_class_of_two_groups_is_on_both_sides() -> None:
    category = np.repeat(np.arange(3), 80)  # a person shows one expression, 40 or 20 times
    group = np.array(
        [f"person {k} {row // (40 if k else 20)}" for k in range(3) for row in range(80)]
    )
    train, held = stratified_holdout(category, 0.2, 0, group)
    assert np.bincount(category[held]).tolist() == [20, 40, 40]
    assert set(category[train].tolist()) == {0, 1, 2}
