"""Copies that were altered: mirrored, lightened or darkened, slightly cropped, shifted or turned.

Two pictures are altered copies if, once the second is brought into register with the first (see
`alignment`), they correlate by at least `WHOLE`, and their fine detail by at least `DETAIL`. The
latter is what tells a copy from another photograph: two faces in the same light and pose correlate
by more than .95 as wholes, but their detail by less than .8. Drawings and other pictures that are
all alike correlate by more: where many pairs lie just below the level, it is raised: `level_of`.

All pairs are compared, coarsely first: see `coarse`.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from rich.console import Console
from rich.progress import track
from scipy.ndimage import gaussian_filter

from cage_lightning.data.preparation.alignment import (
    MOTIONS,
    Pictures,
    aligned,
    moved,
    normalised,
    overlap,
)
from cage_lightning.data.preparation.coarse import (
    ROWS,
    SIZE,
    Coarse,
    Floats,
    Index,
    Pairs,
    as_pictures,
)

WHOLE = 0.93
DETAIL = 0.9

# How far below the level pairs count against it; how many may, beside a share of those above.
_BELOW, _SOME, _SHARE = 0.03, 3, 0.25
_AT_ONCE = 1 << 9
_SHOW_PROGRESS_FROM = 20_000


class Alteration(NamedTuple):
    """Two pictures of which one is an altered copy of the other.

    Attributes:
        first: Number of a picture.
        second: Number of another one, greater than `first`.
        detail: Correlation of their fine detail.
        mirrored: Whether one shows left what the other shows right.
    """

    first: int
    second: int
    detail: float
    mirrored: bool


def detail_thumbnail(rgb: Image.Image) -> bytes:
    """What altered copies are found by: the grey picture of `SIZE` squared bytes."""
    return rgb.convert("L").resize((SIZE, SIZE), Image.Resampling.BILINEAR).tobytes()


def find_altered(
    grey: npt.NDArray[np.uint8], group: Index, workers: int = 1
) -> tuple[list[Alteration], float]:
    """Altered copies among pictures, of each two groups the one pair that is most alike.

    Of those that come after a picture, and may be altered copies of it, the 4 most likely ones
    are looked at closely: a long row of frames of one video costs no more than its length.

    Args:
        grey: uint8 ``[N, SIZE ** 2]``, see `detail_thumbnail`.
        group: int64 ``[N]``: pictures of one group are known to be the same, and not compared.
        workers: Number of threads.

    Returns:
        The pairs, ordered by the pictures, and the least correlation of detail that they have, see
        `level_of`.
    """
    coarse = Coarse.of(grey)
    rows = range(0, len(grey), ROWS)
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
    level = level_of(np.array([pair.detail for pair in best.values()]))
    return sorted(pair for pair in best.values() if pair.detail >= level), level


def level_of(detail: npt.NDArray[np.float64]) -> float:
    """The least correlation of fine detail at which a pair is taken for a copy.

    It is `DETAIL`, but higher as long as more than three pairs, and more than a quarter as many as
    are above it, are less than 0.03 below it: then the pictures are too much alike to tell.

    Args:
        detail: ``[P]``, of all pairs.
    """
    level = DETAIL
    while level < 1:
        above = int((detail >= level).sum())
        below = int((detail >= level - _BELOW).sum()) - above
        if below <= _SOME + _SHARE * above:
            break
        level += 0.005
    return round(level, 3)


def _alterations(
    grey: npt.NDArray[np.uint8], group: Index, coarse: Coarse, row: int
) -> list[Alteration]:
    """The altered copies of `ROWS` pictures from one on, among those after them."""
    pairs = coarse.candidates(grey, group, row)
    return [
        pair
        for start in range(0, len(pairs.first), _AT_ONCE)
        for pair in _verified(grey, pairs.where(np.arange(len(pairs.first))[start:][:_AT_ONCE]))
    ]


def _verified(grey: npt.NDArray[np.uint8], pairs: Pairs) -> Iterator[Alteration]:
    """Those of some pairs that are altered copies, or nearly as much alike."""
    first, second = as_pictures(grey[pairs.first]), as_pictures(grey[pairs.second])
    second = np.where(pairs.mirrored[:, None, None], second[:, :, ::-1], second)
    begin = np.zeros((len(first), MOTIONS), np.float32)
    _, motion = aligned(normalised(_half(first)), normalised(_half(second)), begin, steps=4)
    first, second = normalised(first), normalised(second)
    _, motion = aligned(first, second, motion, steps=3)
    weight = overlap(motion, SIZE)
    second = moved(second, motion)
    whole = _correlation(first, second, weight)
    detail = _correlation(_fine(first, weight), _fine(second, weight), weight)
    for k in np.flatnonzero((whole >= WHOLE) & (detail >= DETAIL - _BELOW)).tolist():
        a, b = sorted((int(pairs.first[k]), int(pairs.second[k])))
        yield Alteration(a, b, float(detail[k]), bool(pairs.mirrored[k]))


def _half(pictures: Pictures) -> Pictures:
    """Pictures of half the width and height."""
    n, size, _ = pictures.shape
    quarters = pictures.reshape(n, size // 2, 2, size // 2, 2)
    return np.asarray(quarters.mean(axis=(2, 4)), np.float32)


def _correlation(first: Pictures, second: Pictures, weight: Pictures) -> Floats:
    """The correlation of the pixels of pictures by their weights, ``[N]``."""
    product = normalised(first, weight) * normalised(second, weight) * weight
    return np.asarray(product.sum((1, 2)), np.float32)


def _fine(pictures: Pictures, weight: Pictures) -> Pictures:
    """What is finer than a tenth of a picture, where it has a weight."""
    inside = (weight > 0).astype(np.float32)
    blur = (0, SIZE / 16, SIZE / 16)
    near = np.maximum(gaussian_filter(inside, blur), 0.1)  # the share of neighbours that are seen
    return np.asarray(pictures - gaussian_filter(pictures * inside, blur) / near, np.float32)
