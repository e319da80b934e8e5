"""Seeded choices of rows: the selection hold-out and the class-balanced subset."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from cage_lightning.errors import ConfigError, DataError

Rows = npt.NDArray[np.int64]
Category = npt.NDArray[np.int64] | npt.NDArray[np.float32]


def stratified_holdout(category: Category, fraction: float, seed: int) -> tuple[Rows, Rows]:
    """Split rows into a part to train on and a part to choose the checkpoint on.

    Of a class with n rows, ``round(fraction * n)`` are held out, but at least one, and at least
    one stays; a class with a single row stays in training. Which rows of a class are drawn depends
    on the seed and on that class alone, so dropping another class does not change them.

    Args:
        category: int64 ``[N]``, or multi-hot ``[N, K]``: then a row counts for the rarest of its
            labels (the lowest index among equally rare ones), and rows without a label form a
            class of their own.
        fraction: Share to hold out, between 0 and 1, both exclusive.
        seed: Not negative; the same seed gives the same split.

    Returns:
        Training rows and held-out rows: int64, sorted, disjoint, together all N rows.

    Raises:
        ConfigError: `fraction` is not between 0 and 1.
    """
    if not 0 < fraction < 1:
        raise ConfigError(f"The hold-out fraction must lie between 0 and 1, got {fraction}.")
    stratum = category if category.ndim == 1 else _rarest_label(category)
    held = _draw(stratum, lambda n: min(max(round(fraction * n), 1), n - 1), seed)
    return np.setdiff1d(np.arange(len(category)), held, assume_unique=True), held


def balanced_subset(category: Category, seed: int) -> Rows:
    """As many rows of every class as the rarest class that occurs has, without replacement.

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
    rarest = np.unique(category, return_counts=True)[1].min(initial=len(category))
    return _draw(category, lambda _: int(rarest), seed)


def _draw(stratum: Category, take: Callable[[int], int], seed: int) -> Rows:
    """``take(n)`` rows, without replacement, of each stratum with n rows; sorted."""
    drawn = [np.empty(0, dtype=np.int64)]
    for k in np.unique(stratum):
        rows = np.flatnonzero(stratum == k)
        drawn.append(np.random.default_rng([seed, int(k)]).choice(rows, take(len(rows)), False))
    return np.sort(np.concatenate(drawn))


def _rarest_label(labels: Category) -> Rows:
    """Index of each row's rarest label, int64 ``[N]``; K for a row without labels."""
    present = labels > 0
    count = np.where(present, present.sum(axis=0), np.inf)
    rarest: Rows = np.where(present.any(axis=1), count.argmin(axis=1), labels.shape[1])
    return rarest
