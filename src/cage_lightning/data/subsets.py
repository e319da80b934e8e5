"""Seeded choices of rows: the selection hold-out, class-balanced subsets and epochs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from cage_lightning.errors import ConfigError, DataError
from cage_lightning.labels import LabelSpace

Rows = npt.NDArray[np.int64]
_NOT_ANNOTATED = 2**31  # above every category, whose numbers key the draws

Category = npt.NDArray[np.int64] | npt.NDArray[np.float32]


def stratified_holdout(
    category: Category,
    fraction: float,
    seed: int,
    group: npt.NDArray[np.str_] | None = None,
) -> tuple[Rows, Rows]:
    """Split rows into a part to train on and a part to choose the checkpoint on.

    Of a class with n rows, ``round(fraction * n)`` are held out, but at least one, and at least
    one stays; a class with a single row stays in training. Which rows of a class are drawn depends
    on the seed and on that class alone, so dropping another class does not change them.

    With groups, all rows of a group come to one side, and the shares are those that whole groups
    come nearest to: in an order drawn with the seed, a group is held out where that brings the
    counts of the classes nearer to their shares. Of a class that would have no row there, the
    smallest of its groups is held out, if it has two or more.

    Args:
        category: int64 ``[N]``, or multi-hot ``[N, K]``: then a row counts for the rarest of its
            labels (the lowest index among equally rare ones), and rows without a label form a
            class of their own, as do those of category -1.
        fraction: Share to hold out, between 0 and 1, both exclusive.
        seed: Not negative; the same seed gives the same split.
        group: str ``[N]``, a person or a video; empty text: the row belongs to no other one.

    Returns:
        Training rows and held-out rows: int64, sorted, disjoint, together all N rows.

    Raises:
        ConfigError: `fraction` is not between 0 and 1, or there are fewer than two groups.
    """
    if not 0 < fraction < 1:
        raise ConfigError(f"The hold-out fraction must lie between 0 and 1, got {fraction}.")
    stratum = _known(category) if category.ndim == 1 else _rarest_label(category)
    if group is None:
        held = _draw(stratum, lambda n: min(max(round(fraction * n), 1), n - 1), seed)
    else:
        held = _draw_groups(stratum, group, fraction, seed)
    return np.setdiff1d(np.arange(len(category)), held, assume_unique=True), held


def balanced_subset(category: Category, seed: int) -> Rows:
    """As many rows of every class as the rarest class that occurs has, without replacement.

    Rows of category -1, not annotated, are of no class.

    The published scripts train the valence-arousal models on such a draw: the rarest of the eight
    categories of AffectNet is Contempt, of the seven Disgust.

    Args:
        category: int64 ``[N]``.
        seed: Not negative; the same seed gives the same subset.

    Returns:
        int64, sorted, without repeats.

    Raises:
        DataError: `category` is multi-hot, where a row belongs to no single class.
    """
    if category.ndim != 1:
        raise DataError("A class-balanced subset needs exactly one category per row, not several.")
    known = np.flatnonzero(category >= 0)
    rarest = np.unique(category[known], return_counts=True)[1].min(initial=len(category))
    rows: Rows = known[_draw(category[known], lambda _: int(rarest), seed)]
    return rows


def balanced_order(category: Category, rng: np.random.Generator) -> Rows:
    """An epoch with equally many samples of each class that occurs, as long as one of all rows.

    Of a class that has fewer rows than its share, all are taken several times, and of one that has
    more, some are left for other epochs. Shares differ by 1 at most. Rows of category -1 are of no
    class.

    Args:
        category: int64 ``[N]``.
        rng: Draws the rows and their order.

    Returns:
        int64, as many as there are rows with a category: row + N * (how many times it was there
        before), so that the same row can be augmented differently.
    """
    classes, counts = np.unique(category[category >= 0], return_counts=True)
    shares = np.full(len(classes), counts.sum() // max(len(classes), 1))
    shares[rng.permutation(len(classes))[: counts.sum() - shares.sum()]] += 1
    drawn = [np.empty(0, dtype=np.int64)]
    for k, count, share in zip(classes, counts, shares, strict=True):
        rows, passes = np.flatnonzero(category == k), -(-share // count)
        repeated = [rng.permutation(rows) + len(category) * i for i in range(passes)]
        drawn.append(np.concatenate(repeated)[:share])
    order: Rows = rng.permutation(np.concatenate(drawn))
    return order


def check_balance(balance: bool | str, space: LabelSpace) -> None:
    """Refuse to balance what has no single category.

    Raises:
        ConfigError: Names the label space.
    """
    if balance and space.multi_label:
        raise ConfigError(
            f"several categories of {space.name} may apply to one sample, so "
            "they cannot be balanced: set data.balance=false"
        )
    if balance and not space.categories:
        raise ConfigError(f"{space.name} has no categories to balance: set data.balance=false")


def _draw_groups(
    stratum: Category, group: npt.NDArray[np.str_], fraction: float, seed: int
) -> Rows:
    """Rows of whole groups, sorted: about the fraction of each stratum, at least one group.

    Raises:
        ConfigError: There are fewer than two groups.
    """
    classes, of_row = np.unique(stratum, return_inverse=True)
    alone = np.array([f"\0{row}" for row in range(len(group))])
    names, number = np.unique(np.where(group == "", alone, group), return_inverse=True)
    if len(names) < 2:
        raise ConfigError(
            "a hold-out needs two groups or more, and there is one: set group_by=null"
        )
    counts = np.zeros((len(names), len(classes)))
    np.add.at(counts, (number, of_row), 1)
    missing = fraction * counts.sum(axis=0)
    scale = np.maximum(missing, 1)
    order = np.random.default_rng(seed).permutation(len(names))
    held: list[int] = []
    for one in order.tolist():
        without, with_it = np.abs(missing) / scale, np.abs(missing - counts[one]) / scale
        if with_it.sum() < without.sum() and len(held) < len(names) - 1:
            held.append(one)
            missing = missing - counts[one]
    for k in range(len(classes)):
        rest = [one for one in order.tolist() if counts[one, k] and one not in held]
        if not counts[held, k].any() and len(rest) > 1:
            held.append(min(rest, key=lambda one: counts[one].sum()))
    return np.flatnonzero(np.isin(number, held or order[:1]))


def _draw(stratum: Category, take: Callable[[int], int], seed: int) -> Rows:
    """``take(n)`` rows, without replacement, of each stratum with n rows; sorted."""
    drawn = [np.empty(0, dtype=np.int64)]
    for k in np.unique(stratum):
        rows = np.flatnonzero(stratum == k)
        drawn.append(np.random.default_rng([seed, int(k)]).choice(rows, take(len(rows)), False))
    return np.sort(np.concatenate(drawn))


def _known(category: Category) -> Category:
    """The categories, those that are not annotated as one of their own that can key a draw."""
    return np.where(category < 0, _NOT_ANNOTATED, category)


def _rarest_label(labels: Category) -> Rows:
    """Index of each row's rarest label, int64 ``[N]``; K for a row without labels."""
    present = labels > 0
    count = np.where(present, present.sum(axis=0), np.inf)
    rarest: Rows = np.where(present.any(axis=1), count.argmin(axis=1), labels.shape[1])
    return rarest
