"""Dealing the values of a group anew among samples, as if they did not bear on the scores."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

_CHUNK = 2**20  # labels at a time

Labels = npt.NDArray[np.int64]


class Dealer:
    """Permutations of the labels of samples, some of which are no independent draws.

    Samples of one unit (a person, a video, a picture) are alike in many respects, so that they are
    never taken apart. Where all samples of each unit have the same label, as those of a person
    have one gender, labels are permuted among the units. Else, as in pictures of several persons,
    units with equally many samples exchange the labels of all their samples.

    Args:
        label: ``[N]``.
        unit: The unit of each sample, ``[N]``, any numbers.
    """

    def __init__(self, label: Labels, unit: Labels) -> None:
        self._label = label
        _, first, self._unit = np.unique(unit, return_index=True, return_inverse=True)
        self._of_unit = label[first]
        self._whole = bool((self._of_unit[self._unit] == label).all())
        self._alike = _by_size(self._unit)

    def deals(self, count: int, rng: np.random.Generator) -> Iterator[Labels]:
        """Permuted labels, ``[R, N]``, `count` rows in all, a few rows at a time."""
        chunk = max(1, _CHUNK // len(self._label))
        for start in range(0, count, chunk):
            yield np.stack([self._deal(rng) for _ in range(min(chunk, count - start))])

    def _deal(self, rng: np.random.Generator) -> Labels:
        if self._whole:
            return rng.permutation(self._of_unit)[self._unit]
        dealt = np.empty_like(self._label)
        for samples in self._alike:
            dealt[samples] = self._label[rng.permutation(samples)]
        return dealt


def _by_size(unit: Labels) -> list[Labels]:
    """The samples of units of equal size, ``[U, size]`` for each size."""
    order, sizes = np.argsort(unit, kind="stable"), np.bincount(unit)
    start = np.cumsum(sizes) - sizes
    return [
        order[start[sizes == size][:, None] + np.arange(size)] for size in np.unique(sizes).tolist()
    ]
