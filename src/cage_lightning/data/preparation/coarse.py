"""Which pairs of many pictures may be altered copies, at a cost that allows to compare all.

Pictures are compared by their low frequencies, as far as no small motion explains the difference.
This is the tangent distance of Simard, LeCun and Denker (1993): of one side for all pairs, and of
both sides for those that remain.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.fft import dct

from cage_lightning.data.preparation.alignment import (
    MOTIONS,
    Pictures,
    normalised,
    tangents,
    window,
)

SIZE = 32
ROWS = 1 << 10
"""Pictures whose pairs are looked for at once."""

_FREQUENCIES = 7
_FLAT = 2.0  # grey levels: with less contrast, there is nothing to compare
_TYPICAL_FROM = 1_000  # pictures, whose mean is taken off: what all faces share tells none apart
_CORRELATION = 0.55
_ONE_SIDED = 0.85
_TWO_SIDED = 0.93
_COLUMNS = 1 << 12
_FURTHER = 4

Index = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


class Pairs(NamedTuple):
    """Pairs of pictures; of ``mirrored`` ones the second is to be looked at in a mirror."""

    first: Index
    second: Index
    mirrored: npt.NDArray[np.bool_]

    def where(self, mask: npt.NDArray[np.bool_] | Index) -> Pairs:
        """Some of the pairs, by a mask or by their numbers."""
        return Pairs(self.first[mask], self.second[mask], self.mirrored[mask])


@dataclass(frozen=True)
class Coarse:
    """Low frequencies of all pictures.

    Attributes:
        points: ``[N, D]`` of length 1; of a flat picture 0.
    """

    points: Floats

    @classmethod
    def of(cls, grey: npt.NDArray[np.uint8]) -> Coarse:
        """Those of pictures ``[N, SIZE ** 2]``."""
        parts = [
            _low_frequencies(normalised(as_pictures(grey[start : start + _COLUMNS])))
            for start in range(0, len(grey), _COLUMNS)
        ]
        points = np.concatenate([np.empty((0, len(_mirror())), np.float32), *parts])
        typical = points.sum(axis=0) / max(len(points), _TYPICAL_FROM)
        points = _unit(points - (typical + typical * _mirror()) / 2)
        points[grey.std(axis=1) < _FLAT] = 0
        return cls(points)

    def candidates(self, grey: npt.NDArray[np.uint8], group: Index, row: int) -> Pairs:
        """Pairs that may be altered copies: of `ROWS` pictures from one on and those after them.

        Args:
            grey: All pictures.
            group: Their groups; pictures of one group make no pair.
            row: The first of the pictures.
        """
        across = self.tangents(grey[row : row + ROWS])
        upright = _unit(_without(self.points[row : row + ROWS][:, None], across)[:, 0])
        found = [
            (self._like(upright * side, across * side, row, column), bool(mirrored))
            for mirrored, side in enumerate((np.ones_like(_mirror()), _mirror()))
            for column in range(row, len(grey), _COLUMNS)
        ]
        first, second = np.concatenate([like for like, _ in found], axis=1)
        mirrored = np.repeat([side for _, side in found], [like.shape[1] for like, _ in found])
        pairs = Pairs(first, second, mirrored).where(group[first] != group[second])
        correlation = self._two_sided(grey, pairs, across, row)
        likely = correlation >= _TWO_SIDED
        return pairs.where(likely).where(_highest(correlation[likely], pairs.first[likely]))

    def tangents(self, grey: npt.NDArray[np.uint8]) -> Floats:
        """An orthonormal basis ``[N, 5, D]`` of what small motions of pictures change."""
        low = _low_frequencies(tangents(normalised(as_pictures(grey))))
        low += 1e-6 * np.eye(MOTIONS, low.shape[-1], dtype=np.float32)  # of a flat picture as well
        return np.linalg.qr(low.swapaxes(1, 2))[0].swapaxes(1, 2)

    def _like(self, upright: Floats, across: Floats, row: int, column: int) -> Index:
        """Pairs ``[2, P]``, the first less than the second, that a motion of the first explains."""
        points = self.points[column : column + _COLUMNS]
        correlation = upright @ points.T
        first, second = np.divmod(np.flatnonzero(correlation >= _CORRELATION), len(points))
        later = first + row < second + column
        first, second = first[later], second[later]
        explained = np.empty(len(first), np.float32)
        for start in range(0, len(first), _COLUMNS):
            part = slice(start, start + _COLUMNS)
            along = across[first[part]] @ points[second[part], :, None]
            explained[part] = (along * along).sum((1, 2))
        enough = _ONE_SIDED * np.sqrt(np.maximum(1 - explained, 0))
        near = correlation[first, second] >= enough
        return np.stack([first[near] + row, second[near] + column])

    def _two_sided(
        self, grey: npt.NDArray[np.uint8], pairs: Pairs, across: Floats, row: int
    ) -> Floats:
        """Correlation ``[P]`` of what no motion of either picture explains."""
        seen, place = np.unique(pairs.second, return_inverse=True)  # each is in many pairs
        there_of = np.empty((len(seen), *across.shape[1:]), np.float32)
        for start in range(0, len(seen), _COLUMNS):
            part = slice(start, start + _COLUMNS)
            there_of[part] = self.tangents(grey[seen[part]])
        values = [np.empty(0, np.float32)]
        for start in range(0, len(pairs.first), _COLUMNS):
            part = slice(start, start + _COLUMNS)
            first, second, mirrored = (column[part] for column in pairs)
            side = np.where(mirrored[:, None], _mirror(), np.float32(1))
            both = np.stack([self.points[first], self.points[second] * side], axis=1)
            here, there = across[first - row], there_of[place[part]] * side[:, None]
            left, right = _without(both, np.concatenate([here, there], axis=1)).swapaxes(0, 1)
            values.append((_unit(left) * _unit(right)).sum(axis=1))
        return np.concatenate(values)


def _highest(value: Floats, of: Index) -> Index:
    """Sorted places ``[M]`` of the `_FURTHER` highest values ``[N]`` of each number in `of`."""
    order = np.lexsort((-value, of))
    starts = np.searchsorted(of[order], of[order])
    return np.sort(order[np.arange(len(order)) - starts < _FURTHER])


def _without(points: Floats, across: Floats) -> Floats:
    """Points ``[N, P, D]`` less their parts in the spans of vectors ``[N, V, D]``."""
    gram = across @ across.swapaxes(1, 2)
    gram += 1e-3 * np.eye(across.shape[1], dtype=np.float32)  # two spans may share a direction
    parts = np.linalg.solve(gram, across @ points.swapaxes(1, 2))
    return np.asarray(points - parts.swapaxes(1, 2) @ across, np.float32)


def _unit(points: Floats) -> Floats:
    """Points ``[N, D]`` at length 1."""
    length = np.linalg.norm(points, axis=1, keepdims=True)
    return np.asarray(points / np.maximum(length, 1e-6), np.float32)


@cache
def _cosines() -> Floats:
    """The cosines ``[F, SIZE]`` of the low frequencies, orthonormal."""
    return np.asarray(dct(np.eye(SIZE), axis=0, norm="ortho")[:_FREQUENCIES], np.float32)


@cache
def _emphasis() -> Floats:
    """Weights ``[F * F - 1]``: a photograph has the less of a frequency the higher it is."""
    frequency = np.arange(_FREQUENCIES)
    return np.sqrt(np.hypot(frequency, frequency[:, None]).ravel()[1:]).astype(np.float32)


@cache
def _mirror() -> Floats:
    """The signs ``[F * F - 1]`` by which low frequencies become those of the mirror picture."""
    signs = np.tile((-1.0) ** np.arange(_FREQUENCIES), _FREQUENCIES)
    return signs[1:].astype(np.float32)


def _low_frequencies(pictures: Pictures) -> Floats:
    """Pictures ``[..., SIZE, SIZE]`` as points ``[..., D]``."""
    low = _cosines() @ (pictures * window(SIZE)) @ _cosines().T
    return np.asarray(low.reshape(*low.shape[:-2], -1)[..., 1:] * _emphasis(), np.float32)


def as_pictures(grey: npt.NDArray[np.uint8]) -> Pictures:
    """Grey pictures ``[N, SIZE ** 2]`` as ``[N, SIZE, SIZE]``."""
    return grey.reshape(-1, SIZE, SIZE).astype(np.float32)
