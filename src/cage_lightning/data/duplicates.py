"""Which pictures of a dataset are the same: byte for byte, pixel for pixel, or nearly.

Two pictures are nearly the same if their difference hashes (64 bits: is a pixel of the 9 x 8 grey
picture brighter than its left neighbour?) differ in at most `HASH_BITS` bits and their 16 x 16 grey
pictures, each with its own mean brightness taken off, in at most `GREY_LEVELS` of 255 (root mean
square). The hash finds candidates quickly; alone it takes many different faces for the same, since
aligned faces look alike at that size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

KINDS = ("bytes", "pixels", "near")
HASH_BITS = 4
GREY_LEVELS = 5.0
GREY_SIZE = 16

_BITS = np.arange(64, dtype=np.uint64)
_DIRECTLY = 1_024
_AT_ONCE = 1 << 16

Index = npt.NDArray[np.int64]


class Pair(NamedTuple):
    """Two pictures that are the same.

    Attributes:
        kind: ``bytes``, ``pixels`` (other bytes) or ``near`` (other pixels).
        first: Number of a picture.
        second: Number of another one, greater than `first`.
        bits: How many bits of the hashes differ; 0 unless ``near``.
    """

    kind: str
    first: int
    second: int
    bits: int


def grey_thumbnails(rgb: Image.Image) -> tuple[int, bytes]:
    """What near duplicates are found by.

    Returns:
        The difference hash, 64 bits, and the grey picture of `GREY_SIZE` squared bytes.
    """
    grey = rgb.convert("L")
    small = np.asarray(grey.resize((9, 8), Image.Resampling.BILINEAR))
    bits = np.packbits(small[:, 1:] > small[:, :-1]).tobytes()
    picture = grey.resize((GREY_SIZE, GREY_SIZE), Image.Resampling.BILINEAR)
    return int.from_bytes(bits, "big"), picture.tobytes()


def find_duplicates(
    content: npt.NDArray[np.bytes_],
    pixels: npt.NDArray[np.bytes_],
    hashes: npt.NDArray[np.uint64],
    grey: npt.NDArray[np.uint8],
) -> list[Pair]:
    """Pictures that occur more than once.

    Of pictures with the same bytes or pixels, and of near ones with the same hash, each further one
    is paired with the first one only, so that k copies give k - 1 pairs, and only the first one is
    compared further.

    Args:
        content: ``[N]``, a digest of each file.
        pixels: ``[N]``, a digest of each decoded picture.
        hashes: uint64 ``[N]``, see `grey_thumbnails`.
        grey: uint8 ``[N, GREY_SIZE ** 2]``, see `grey_thumbnails`.

    Returns:
        Ordered by kind, then by the pictures.
    """
    everything = np.arange(len(content))
    same_bytes = _repeats(content, everything)
    rest = np.setdiff1d(everything, same_bytes[:, 1])
    same_pixels = _repeats(pixels, rest)
    rest = np.setdiff1d(rest, same_pixels[:, 1])
    near, single = _alike_with_same_hash(hashes, grey, rest)
    near = np.concatenate([near, single[_near(hashes[single], grey[single])]])
    near = near[np.lexsort((near[:, 1], near[:, 0]))]
    bits = np.bitwise_count(hashes[near[:, 0]] ^ hashes[near[:, 1]])
    return [
        *(Pair("bytes", a, b, 0) for a, b in same_bytes.tolist()),
        *(Pair("pixels", a, b, 0) for a, b in same_pixels.tolist()),
        *(Pair("near", a, b, n) for (a, b), n in zip(near.tolist(), bits.tolist(), strict=True)),
    ]


def groups_of(pairs: list[Pair], count: int) -> Index:
    """Which group each picture belongs to: pictures that pairs connect, directly or in a chain.

    Args:
        pairs: The pairs.
        count: Number of pictures.

    Returns:
        int64 ``[count]``: the first picture of the group; a picture without duplicate is its own.
    """
    group = np.arange(count)

    def first(number: int) -> int:
        while group[number] != number:
            group[number] = number = group[group[number]]
        return number

    for pair in pairs:
        low, high = sorted((first(pair.first), first(pair.second)))
        group[high] = low
    return np.array([first(number) for number in range(count)], dtype=np.int64)


def _repeats(keys: npt.NDArray[np.generic], rows: Index) -> Index:
    """Pairs ``[P, 2]`` of the first row with a key and each further one, ordered by the latter."""
    _, first, group = np.unique(keys[rows], return_index=True, return_inverse=True)
    pairs: Index = np.stack([rows[first[group]], rows], axis=1)
    repeated: Index = pairs[pairs[:, 0] != pairs[:, 1]]
    return repeated


def _alike_with_same_hash(
    hashes: npt.NDArray[np.uint64], grey: npt.NDArray[np.uint8], rows: Index
) -> tuple[Index, Index]:
    """Near pairs of the same hash, and the rows that are the second picture of none of them."""
    found, single = [np.empty((0, 2), dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    while len(rows):
        pairs = _repeats(hashes, rows)
        found.append(pairs[_look_alike(grey, pairs)])
        single.append(np.setdiff1d(rows, pairs[:, 1]))
        rows = np.setdiff1d(pairs[:, 1], found[-1][:, 1])
    return np.concatenate(found), np.sort(np.concatenate(single))


def _near(hashes: npt.NDArray[np.uint64], grey: npt.NDArray[np.uint8]) -> Index:
    """Pairs ``[P, 2]`` of pictures that are nearly the same and have different hashes.

    Multi-index hashing: of HASH_BITS + 1 parts of two such hashes at least one is the same in both.
    So only pictures that share a part are compared; where too many do, they are divided again by
    the parts of the remaining bits.
    """
    found = [np.empty((0, 2), dtype=np.int64)]
    for pairs in _candidates(hashes, np.arange(len(hashes)), ()):
        found.append(pairs[_look_alike(grey, pairs)])
    return np.concatenate(found)


def _candidates(
    hashes: npt.NDArray[np.uint64], rows: Index, unlike: Sequence[np.uint64]
) -> Iterator[Index]:
    """Pairs of `rows` whose hashes are at most `HASH_BITS` apart, each pair once.

    Args:
        hashes: All hashes.
        rows: Ascending.
        unlike: Masks of parts; pairs that share one of those are passed over, being found there.
    """
    varying = np.bitwise_or.reduce(hashes[rows] ^ hashes[rows[:1]], initial=0)
    if any(varying & part == 0 for part in unlike):
        return
    free = np.flatnonzero(varying >> _BITS & np.uint64(1))
    if len(rows) <= _DIRECTLY or len(free) <= HASH_BITS:
        step = max(1, _AT_ONCE // max(1, len(rows)))
        for start in range(0, len(rows), step):
            difference = hashes[rows[start : start + step], None] ^ hashes[rows]
            wanted = np.bitwise_count(difference) <= HASH_BITS
            for part in unlike:
                wanted &= (difference & part) != 0
            a, b = np.nonzero(np.triu(wanted, start + 1))
            yield np.stack([rows[a + start], rows[b]], axis=1)
        return
    # The bits that divide the rows best are dealt out to the parts in turn.
    sample = hashes[rows[:: 1 + len(rows) // 1_000], None]
    share = (sample >> _BITS[free] & np.uint64(1)).mean(axis=0)
    free = free[np.argsort(np.abs(share - 0.5), kind="stable")]
    for k in range(HASH_BITS + 1):
        part = np.bitwise_or.reduce(np.uint64(1) << _BITS[free[k :: HASH_BITS + 1]])
        keys = hashes[rows] & part
        order = np.argsort(keys, kind="stable")
        for bucket in np.split(rows[order], np.flatnonzero(np.diff(keys[order])) + 1):
            if len(bucket) > 1:
                yield from _candidates(hashes, bucket, unlike)
        unlike = [*unlike, part]


def _look_alike(grey: npt.NDArray[np.uint8], pairs: Index) -> npt.NDArray[np.bool_]:
    """Mask ``[P]`` of the pairs whose grey pictures are alike."""
    alike = np.ones(len(pairs), dtype=bool)
    for start in range(0, len(pairs), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        first, second = (grey[pairs[part, k]].astype(np.float32) for k in (0, 1))
        alike[part] = (first - second).std(axis=1) <= GREY_LEVELS
    return alike
