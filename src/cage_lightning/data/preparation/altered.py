"""Copies that were altered: mirrored, lightened or darkened, slightly cropped, shifted or turned.

Two pictures are altered copies if, once the second is brought into register with the first (see
`alignment`), they correlate by at least `WHOLE`, and their fine detail by at least `DETAIL`. The
latter is what tells a copy from another photograph: two faces in the same light and pose correlate
by more than .95 as wholes, but their detail by less than .8.

All pairs are compared, coarsely first: by the low frequencies of the pictures, as far as no small
motion of one of them explains the difference. This is the tangent distance of Simard, LeCun and
Denker (1993), of one side for all pairs, and of both sides for those that remain.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from rich.console import Console
from rich.progress import track
from scipy.fft import dct
from scipy.ndimage import gaussian_filter

from cage_lightning.data.preparation.alignment import (
    MOTIONS,
    Pictures,
    aligned,
    moved,
    normalised,
    tangents,
    window,
)

SIZE = 32
WHOLE = 0.93
DETAIL = 0.9

_FREQUENCIES = 7
_FLAT = 2.0  # grey levels: with less contrast, there is nothing to compare
_TYPICAL_FROM = 1_000  # pictures, whose mean is taken off: what all faces share tells none apart
_CORRELATION = 0.55
_ONE_SIDED = 0.85
_TWO_SIDED = 0.95
_ROWS, _COLUMNS = 1 << 10, 1 << 12
_AT_ONCE = 1 << 9
_FURTHER = 16
_SHOW_PROGRESS_FROM = 20_000

Index = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


class Alteration(NamedTuple):
    """Two pictures of which one is an altered copy of the other.

    Attributes:
        first: Number of a picture.
        second: Number of another one, greater than `first`.
        detail: Correlation of their fine detail, at least `DETAIL`.
        mirrored: Whether one shows left what the other shows right.
    """

    first: int
    second: int
    detail: float
    mirrored: bool


class _Pairs(NamedTuple):
    """Pairs of pictures; of ``mirrored`` ones the second is to be looked at in a mirror."""

    first: Index
    second: Index
    mirrored: npt.NDArray[np.bool_]

    def where(self, mask: npt.NDArray[np.bool_] | Index) -> _Pairs:
        return _Pairs(self.first[mask], self.second[mask], self.mirrored[mask])


def detail_thumbnail(rgb: Image.Image) -> bytes:
    """What altered copies are found by: the grey picture of `SIZE` squared bytes."""
    return rgb.convert("L").resize((SIZE, SIZE), Image.Resampling.BILINEAR).tobytes()


def find_altered(grey: npt.NDArray[np.uint8], group: Index, workers: int = 1) -> list[Alteration]:
    """Altered copies among pictures, of each two groups the one pair that is most alike.

    Of those that come after a picture, and may be altered copies of it, the `_FURTHER` most likely
    ones are looked at closely: a long row of frames of one video costs no more than its length.

    Args:
        grey: uint8 ``[N, SIZE ** 2]``, see `detail_thumbnail`.
        group: int64 ``[N]``: pictures of one group are known to be the same, and not compared.
        workers: Number of threads.

    Returns:
        Ordered by the pictures.
    """
    coarse = _Coarse.of(grey)
    rows = range(0, len(grey), _ROWS)
    with ThreadPoolExecutor(workers) as pool:
        found = list(
            track(
                pool.map(lambda row: _alterations(grey, group, coarse, row), rows),
                description="Comparing the pictures",
                total=len(rows),
                console=Console(stderr=True),
                disable=len(grey) < _SHOW_PROGRESS_FROM,
            )
        )
    best: dict[tuple[int, int], Alteration] = {}
    for pair in sorted((pair for part in found for pair in part), key=lambda pair: -pair.detail):
        one, other = sorted((int(group[pair.first]), int(group[pair.second])))
        best.setdefault((one, other), pair)
    return sorted(best.values())


def _alterations(
    grey: npt.NDArray[np.uint8], group: Index, coarse: _Coarse, row: int
) -> list[Alteration]:
    """The altered copies of `_ROWS` pictures from one on, among those after them."""
    pairs = coarse.candidates(grey, group, row)
    return [
        pair
        for start in range(0, len(pairs.first), _AT_ONCE)
        for pair in _verified(grey, pairs.where(np.arange(len(pairs.first))[start:][:_AT_ONCE]))
    ]


def _verified(grey: npt.NDArray[np.uint8], pairs: _Pairs) -> Iterator[Alteration]:
    """Those of some pairs that are altered copies."""
    first, second = _pictures(grey[pairs.first]), _pictures(grey[pairs.second])
    second = np.where(pairs.mirrored[:, None, None], second[:, :, ::-1], second)
    begin = np.zeros((len(first), MOTIONS), np.float32)
    _, motion = aligned(normalised(_half(first)), normalised(_half(second)), begin, steps=4)
    first, second = normalised(first), normalised(second)
    whole, motion = aligned(first, second, motion, steps=3)
    detail = (_detail(first) * _detail(moved(second, motion)) * window(SIZE)).sum((1, 2))
    for k in np.flatnonzero((whole >= WHOLE) & (detail >= DETAIL)).tolist():
        a, b = sorted((int(pairs.first[k]), int(pairs.second[k])))
        yield Alteration(a, b, float(detail[k]), bool(pairs.mirrored[k]))


@dataclass(frozen=True)
class _Coarse:
    """Low frequencies of all pictures.

    Attributes:
        points: ``[N, D]`` of length 1; of a flat picture 0.
        typical: ``[D]``, what is taken off; its own mirror picture.
    """

    points: Floats
    typical: Floats

    @classmethod
    def of(cls, grey: npt.NDArray[np.uint8]) -> _Coarse:
        """Those of pictures ``[N, SIZE ** 2]``."""
        parts = [
            _low_frequencies(normalised(_pictures(grey[start : start + _COLUMNS])))
            for start in range(0, len(grey), _COLUMNS)
        ]
        points = np.concatenate([np.empty((0, len(_mirror())), np.float32), *parts])
        typical = points.sum(axis=0) / max(len(points), _TYPICAL_FROM)
        typical = (typical + typical * _mirror()) / 2
        points = _unit(points - typical)
        points[grey.std(axis=1) < _FLAT] = 0
        return cls(points, typical)

    def candidates(self, grey: npt.NDArray[np.uint8], group: Index, row: int) -> _Pairs:
        """Pairs that may be altered copies: of `_ROWS` pictures from one on and those after them.

        Args:
            grey: All pictures.
            group: Their groups; pictures of one group make no pair.
            row: The first of the pictures.
        """
        across = self.tangents(grey[row : row + _ROWS])
        upright = _unit(_without(self.points[row : row + _ROWS][:, None], across)[:, 0])
        found = [
            (self._like(upright * side, across * side, row, column), bool(mirrored))
            for mirrored, side in enumerate((np.ones_like(_mirror()), _mirror()))
            for column in range(row, len(grey), _COLUMNS)
        ]
        first, second = np.concatenate([like for like, _ in found], axis=1)
        mirrored = np.repeat([side for _, side in found], [like.shape[1] for like, _ in found])
        pairs = _Pairs(first, second, mirrored).where(group[first] != group[second])
        correlation = self._two_sided(grey, pairs, across, row)
        likely = correlation >= _TWO_SIDED
        return pairs.where(likely).where(_highest(correlation[likely], pairs.first[likely]))

    def tangents(self, grey: npt.NDArray[np.uint8]) -> Floats:
        """An orthonormal basis ``[N, 4, D]`` of what small motions of pictures change."""
        low = _low_frequencies(tangents(normalised(_pictures(grey))))
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
        self, grey: npt.NDArray[np.uint8], pairs: _Pairs, across: Floats, row: int
    ) -> Floats:
        """Correlation ``[P]`` of what no motion of either picture explains."""
        values = [np.empty(0, np.float32)]
        for start in range(0, len(pairs.first), _COLUMNS):
            first, second, mirrored = (column[start : start + _COLUMNS] for column in pairs)
            side = np.where(mirrored[:, None], _mirror(), np.float32(1))
            both = np.stack([self.points[first], self.points[second] * side], axis=1)
            here, there = across[first - row], self.tangents(grey[second]) * side[:, None]
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


def _pictures(grey: npt.NDArray[np.uint8]) -> Pictures:
    return grey.reshape(-1, SIZE, SIZE).astype(np.float32)


def _half(pictures: Pictures) -> Pictures:
    """Pictures of half the width and height."""
    n, size, _ = pictures.shape
    quarters = pictures.reshape(n, size // 2, 2, size // 2, 2)
    return np.asarray(quarters.mean(axis=(2, 4)), np.float32)


def _detail(pictures: Pictures) -> Pictures:
    """What is finer than a tenth of a picture, normalised."""
    return normalised(pictures - gaussian_filter(pictures, (0, SIZE / 16, SIZE / 16)))
