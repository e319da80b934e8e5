"""Which pictures of a dataset are the same: byte for byte, pixel for pixel, nearly, or altered.

Two pictures are nearly the same if their 16 x 16 grey pictures, each with its own mean brightness
taken off, differ by at most `GREY_LEVELS` of 255 (root mean square). A JPEG of quality 20 is up to
3 levels from its original of 64 x 64 pixels, and less from a larger one. There is no hash of
gradients: where a picture is flat, its bits are noise, and it would pass over copies. What was
mirrored, lightened or cropped is found in another way, see `altered`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.fft import dct
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

Kind = Literal["bytes", "pixels", "near", "altered"]
KINDS: tuple[Kind, ...] = ("bytes", "pixels", "near", "altered")
GREY_LEVELS = 4.0
GREY_SIZE = 16

_FREQUENCIES = 4
_AT_ONCE = 1 << 14

Index = npt.NDArray[np.int64]


class Pair(NamedTuple):
    """Two pictures that are the same.

    Attributes:
        kind: ``bytes``, ``pixels`` (other bytes), ``near`` (other pixels) or ``altered``.
        first: Number of a picture.
        second: Number of another one, greater than `first`.
        difference: Of their grey pictures, see `GREY_LEVELS`; 0 of the first two kinds.
        detail: Correlation of their fine detail, see `altered`; None of the other kinds.
        mirrored: Whether one is the mirror picture of the other; only of ``altered``.
    """

    kind: Kind
    first: int
    second: int
    difference: float
    detail: float | None = None
    mirrored: bool = False


def grey_thumbnail(rgb: Image.Image) -> bytes:
    """What near duplicates are found by: the grey picture of `GREY_SIZE` squared bytes."""
    size = (GREY_SIZE, GREY_SIZE)
    return rgb.convert("L").resize(size, Image.Resampling.BILINEAR).tobytes()


def find_duplicates(
    content: npt.NDArray[np.bytes_],
    pixels: npt.NDArray[np.bytes_],
    grey: npt.NDArray[np.uint8],
) -> list[Pair]:
    """Pictures that occur more than once, by all kinds but ``altered``.

    Of pictures with the same bytes, pixels or grey picture, each further one is paired with the
    first one only, so that k copies give k - 1 pairs, and only the first one is compared further.

    Args:
        content: ``[N]``, a digest of each file.
        pixels: ``[N]``, a digest of each decoded picture.
        grey: uint8 ``[N, GREY_SIZE ** 2]``, see `grey_thumbnail`.

    Returns:
        Ordered by kind, then by the pictures.
    """
    rest = np.arange(len(content))
    repeated = []
    for keys in (content, pixels, grey.view(f"S{GREY_SIZE**2}").ravel()):
        pairs = _repeats(keys, rest)
        repeated.append(pairs)
        rest = np.setdiff1d(rest, pairs[:, 1])
    same_bytes, same_pixels, same_grey = repeated
    pairs = np.concatenate([same_grey, rest[_candidates(grey[rest])]])
    differences = grey_differences(grey, pairs)
    near = zip(pairs.tolist(), differences.tolist(), strict=True)
    return [
        *(Pair("bytes", a, b, 0.0) for a, b in same_bytes.tolist()),
        *(Pair("pixels", a, b, 0.0) for a, b in same_pixels.tolist()),
        *sorted(Pair("near", a, b, d) for (a, b), d in near if d <= GREY_LEVELS),
    ]


def groups_of(pairs: list[Pair], count: int) -> Index:
    """Which group each picture belongs to: pictures that pairs connect, directly or in a chain.

    Args:
        pairs: The pairs.
        count: Number of pictures.

    Returns:
        int64 ``[count]``: the first picture of the group; a picture without duplicate is its own.
    """
    edges = np.array([(pair.first, pair.second) for pair in pairs], np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(edges)), edges.T), shape=(count, count))
    _, group = connected_components(graph, directed=False)
    _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
    numbers: Index = first[inverse]
    return numbers


def _repeats(keys: npt.NDArray[np.generic], rows: Index) -> Index:
    """Pairs ``[P, 2]`` of the first row with a key and each further one, ordered by the latter."""
    _, first, group = np.unique(keys[rows], return_index=True, return_inverse=True)
    pairs: Index = np.stack([rows[first[group]], rows], axis=1)
    repeated: Index = pairs[pairs[:, 0] != pairs[:, 1]]
    return repeated


def _candidates(grey: npt.NDArray[np.uint8]) -> Index:
    """Pairs ``[P, 2]`` of pictures whose low frequencies are close: all near ones are among them.

    The cosine transform is orthonormal, so that two pictures are at least as far apart as any part
    of their coefficients.
    """
    low = dct(np.eye(GREY_SIZE), axis=0, norm="ortho")[:_FREQUENCIES]
    basis = np.kron(low, low)[1:].T  # the first coefficient is the mean
    starts = range(0, len(grey), _AT_ONCE)
    points = [grey[start : start + _AT_ONCE] @ basis for start in starts]
    tree = cKDTree(np.concatenate([np.empty((0, basis.shape[1])), *points]))
    radius = GREY_SIZE * GREY_LEVELS * (1 + 1e-6)  # not less for a rounding error
    pairs: Index = tree.query_pairs(radius, output_type="ndarray").reshape(-1, 2)
    return pairs


def grey_differences(grey: npt.NDArray[np.uint8], pairs: Index) -> npt.NDArray[np.float64]:
    """The differences ``[P]`` of pairs ``[P, 2]`` of grey pictures, see `GREY_LEVELS`."""
    differences = np.empty(len(pairs))
    for start in range(0, len(pairs), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        first, second = (grey[pairs[part, k]].astype(np.float64) for k in (0, 1))
        differences[part] = (first - second).std(axis=1)
    return differences
