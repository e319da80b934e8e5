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

MOTIONS = 4
_FARTHEST = 0.3  # of half the picture: beyond, too little of it is left to compare


@cache
def window(size: int) -> Pictures:
    """The weight of each pixel, ``[S, S]``: a cosine in both directions."""
    weight = np.cos(_axis(size) * (np.pi / 2))
    return np.outer(weight, weight)


def normalised(pictures: Pictures) -> Pictures:
    """Pictures whose mean is 0 and whose squares sum to 1, both by the window."""
    weight = window(pictures.shape[-1])
    pictures = centred(pictures)
    norm = np.sqrt((pictures * pictures * weight).sum((-2, -1), keepdims=True))
    return np.asarray(pictures / np.maximum(norm, 1e-6), np.float32)


def centred(pictures: Pictures) -> Pictures:
    """Pictures, of any leading shape, whose mean by the window is 0."""
    weight = window(pictures.shape[-1])
    mean = (pictures * weight).sum((-2, -1), keepdims=True) / weight.sum()
    return np.asarray(pictures - mean, np.float32)


def tangents(pictures: Pictures) -> Pictures:
    """How pictures change by a shift right, a shift down, a zoom and a turn: ``[N, 4, S, S]``."""
    size = pictures.shape[-1]
    down, right = (slope * np.float32(size / 2) for slope in np.gradient(pictures, axis=(1, 2)))
    x, y = _axis(size), _axis(size)[:, None]
    return centred(np.stack([right, down, x * right + y * down, x * down - y * right], axis=1))


def moved(pictures: Pictures, motion: Motion) -> Pictures:
    """Pictures after a shift right and down, a zoom and a turn (radians), ``[N, 4]``.

    Between pixels the values are interpolated linearly; beyond the border they are those at it.
    """
    n, size, _ = pictures.shape
    x, y = _axis(size), _axis(size)[:, None]
    right, down, zoom, turn = motion.astype(np.float32).T[..., None, None]
    column, column_part = _between(x + right + zoom * x - turn * y, size)
    row, row_part = _between(y + down + zoom * y + turn * x, size)
    at = (np.arange(n, dtype=np.int32)[:, None, None] * size + row) * size + column
    flat = pictures.ravel()
    above = flat[at] + column_part * (flat[at + 1] - flat[at])
    below = flat[at + size] + column_part * (flat[at + size + 1] - flat[at + size])
    return np.asarray(above + row_part * (below - above), np.float32)


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


def _axis(size: int) -> npt.NDArray[np.float32]:
    """Where the middles of the pixels of a row are, between -1 and 1."""
    return ((np.arange(size) + 0.5) / size * 2 - 1).astype(np.float32)


def _between(place: Pictures, size: int) -> tuple[npt.NDArray[np.int32], Pictures]:
    """The pixel on the left of, or above, each coordinate, and the share of the next one."""
    pixel = ((place + 1) * (size / 2) - 0.5).clip(0, size - 1.001)
    whole = pixel.astype(np.int32)
    return whole, np.asarray(pixel - whole, np.float32)
