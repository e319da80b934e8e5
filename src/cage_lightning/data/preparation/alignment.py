"""Bringing two pictures into register: small shifts, zooms and turns, whatever the light.

A picture here is grey and square, float32 ``[N, S, S]``, and its coordinates go from -1 to 1. It is
looked at through a window that fades towards the border, where crops and captions change most, and
is normalised there: brightness and contrast do not count.

The motion of a picture is found as in Lucas and Kanade (1981): to first order, a picture that moves
a little changes along the four `tangents`.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

Pictures = npt.NDArray[np.float32]
Motion = npt.NDArray[np.float32]

MOTIONS = 5
_FARTHEST = 0.3  # of half the picture: beyond, too little of it is left to compare


@cache
def window(size: int) -> Pictures:
    """The weight of each pixel, ``[S, S]``: a cosine in both directions."""
    weight = np.cos(_axis(size) * (np.pi / 2))
    return np.outer(weight, weight)


def normalised(pictures: Pictures, weight: Pictures | None = None) -> Pictures:
    """Pictures whose mean is 0 and whose squares sum to 1, both by the weights of their pixels.

    Args:
        pictures: ``[N, S, S]``.
        weight: ``[N, S, S]``; None: by the `window`.
    """
    weight = window(pictures.shape[-1]) if weight is None else weight
    pictures = centred(pictures, weight)
    norm = np.sqrt((pictures * pictures * weight).sum((-2, -1), keepdims=True))
    return np.asarray(pictures / np.maximum(norm, 1e-6), np.float32)


def centred(pictures: Pictures, weight: Pictures) -> Pictures:
    """Pictures, of any leading shape, whose mean by the weights of their pixels is 0."""
    total = np.maximum(weight.sum((-2, -1), keepdims=True), 1e-6)
    mean = (pictures * weight).sum((-2, -1), keepdims=True) / total
    return np.asarray(pictures - mean, np.float32)


def tangents(pictures: Pictures) -> Pictures:
    """How pictures change by the motions of `moved`, to first order: ``[N, 5, S, S]``."""
    size = pictures.shape[-1]
    down, right = (slope * np.float32(size / 2) for slope in np.gradient(pictures, axis=(1, 2)))
    x, y = _axis(size), _axis(size)[:, None]
    slopes = np.stack([right, down, x * right, y * down, x * down - y * right], axis=1)
    return centred(slopes, window(size))


def moved(pictures: Pictures, motion: Motion) -> Pictures:
    """Pictures after motions ``[N, 5]``: shift right, shift down, width, height, turn (radians).

    Between pixels the values are interpolated linearly; beyond the border they are those at it.
    """
    n, size, _ = pictures.shape
    across, along = _seen_at(motion, size)
    column, column_part = _between(across, size)
    row, row_part = _between(along, size)
    at = (np.arange(n, dtype=np.int32)[:, None, None] * size + row) * size + column
    flat = pictures.ravel()
    above = flat[at] + column_part * (flat[at + 1] - flat[at])
    below = flat[at + size] + column_part * (flat[at + size + 1] - flat[at + size])
    return np.asarray(above + row_part * (below - above), np.float32)


def overlap(motion: Motion, size: int) -> Pictures:
    """The `window`, ``[N, S, S]``, but 0 where a picture moved by this is beyond its border."""
    across, along = _seen_at(motion, size)
    return window(size) * ((np.abs(across) <= 1) & (np.abs(along) <= 1))


def aligned(
    first: Pictures, second: Pictures, motion: Motion, steps: int
) -> tuple[npt.NDArray[np.float32], Motion]:
    """The motion of the second of two `normalised` pictures that brings it nearest to the first.

    Args:
        first: ``[N, S, S]``.
        second: ``[N, S, S]``.
        motion: Where to begin, see `moved`.
        steps: Number of improvements.

    Returns:
        The highest correlation met on the way, ``[N]``, and the motion it was met at.
    """
    weight = window(first.shape[-1])
    slopes = tangents(first)
    # What only changes the contrast is no motion.
    contrast = (slopes * (first * weight)[:, None]).sum((2, 3))
    slopes -= contrast[:, :, None, None] * first[:, None]
    weighted = (slopes * weight).reshape(len(first), MOTIONS, -1)
    normal = weighted @ slopes.reshape(len(first), MOTIONS, -1).swapaxes(1, 2)
    stiff = 1e-4 * np.trace(normal, axis1=1, axis2=2) + 1e-9  # solvable where nothing changes
    normal += stiff[:, None, None] * np.eye(MOTIONS, dtype=np.float32)
    best, best_motion = np.full(len(first), -1, np.float32), motion
    for step in range(steps + 1):
        there = normalised(moved(second, motion))
        correlation = (first * there * weight).sum((1, 2))
        better = correlation > best
        best = np.where(better, correlation, best)
        best_motion = np.where(better[:, None], motion, best_motion)
        if step < steps:
            scale = np.maximum(correlation, _FARTHEST)[:, None, None]
            rest = (there / scale - first).reshape(len(first), -1, 1)
            motion = motion - np.linalg.solve(normal, weighted @ rest)[..., 0]
            motion = motion.clip(-_FARTHEST, _FARTHEST).astype(np.float32)
    return best, best_motion


def _seen_at(motion: Motion, size: int) -> tuple[Pictures, Pictures]:
    """The coordinates, across and down, that each pixel of a moved picture shows: ``[N, S, S]``."""
    x, y = _axis(size), _axis(size)[:, None]
    right, down, width, height, turn = motion.astype(np.float32).T[..., None, None]
    return x + right + width * x - turn * y, y + down + height * y + turn * x


def _axis(size: int) -> npt.NDArray[np.float32]:
    """Where the middles of the pixels of a row are, between -1 and 1."""
    return ((np.arange(size) + 0.5) / size * 2 - 1).astype(np.float32)


def _between(place: Pictures, size: int) -> tuple[npt.NDArray[np.int32], Pictures]:
    """The pixel on the left of, or above, each coordinate, and the share of the next one."""
    pixel = ((place + 1) * (size / 2) - 0.5).clip(0, size - 1.001)
    whole = pixel.astype(np.int32)
    return whole, np.asarray(pixel - whole, np.float32)
