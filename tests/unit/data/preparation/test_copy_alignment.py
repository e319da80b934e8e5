"""Moving pictures, and finding out how they were moved."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from cage_lightning.data.preparation.alignment import (
    MOTIONS,
    Pictures,
    aligned,
    moved,
    normalised,
    overlap,
    tangents,
    window,
)


def some_pictures(n: int = 6, size: int = 32) -> Pictures:
    noise = np.random.default_rng(0).normal(size=(n, size, size))
    return normalised(gaussian_filter(noise, (0, 3, 3)).astype(np.float32))


def some_motions(n: int, scale: float) -> Pictures:
    rng = np.random.default_rng(1)
    return rng.uniform(-scale, scale, (n, MOTIONS)).astype(np.float32)


def test_a_picture_that_does_not_move_stays_as_it_is() -> None:
    pictures = some_pictures()
    np.testing.assert_allclose(
        moved(pictures, np.zeros((6, MOTIONS), np.float32)), pictures, atol=1e-2
    )


def test_a_shift_by_whole_pixels_is_one() -> None:
    pictures = some_pictures()
    motion = np.zeros((6, MOTIONS), np.float32)
    motion[:, 0], motion[:, 1] = 2 / 32 * 3, 2 / 32
    there = moved(pictures, motion)[:, 4:-4, 4:-4]
    np.testing.assert_allclose(there, pictures[:, 5:-3, 7:-1], atol=1e-4)


@pytest.mark.parametrize("number", range(MOTIONS))
def test_tangents_are_the_derivatives_of_motions(number: int) -> None:
    pictures = some_pictures()
    motion = np.zeros((6, MOTIONS), np.float32)
    motion[:, number] = 0.02
    change = (moved(pictures, motion) - moved(pictures, -motion)) / 0.04
    weight = window(32)
    change -= (change * weight).sum((1, 2), keepdims=True) / weight.sum()
    expected = tangents(pictures)[:, number]
    rest = ((change - expected) ** 2 * weight).sum((1, 2))
    assert (rest < 0.03 * (expected**2 * weight).sum((1, 2))).all()


def test_a_small_motion_is_found_and_undone() -> None:
    pictures, motion = some_pictures(), some_motions(6, 0.12)
    second = normalised(0.5 * moved(pictures, motion) + 0.2)
    before = (pictures * second * window(32)).sum((1, 2))
    correlation, back = aligned(pictures, second, np.zeros((6, MOTIONS), np.float32), steps=6)
    assert (before < 0.96).all()
    assert (correlation > 0.99).all()
    np.testing.assert_allclose(back, -motion, atol=0.02)


def test_what_is_beyond_the_border_has_no_weight() -> None:
    motion = np.zeros((2, MOTIONS), np.float32)
    motion[1, 0] = 0.5
    weight = overlap(motion, 32)
    np.testing.assert_array_equal(weight[0], window(32))
    np.testing.assert_array_equal(weight[1] > 0, np.arange(32)[None].repeat(32, 0) < 24)


def test_a_picture_of_one_colour_has_no_motion() -> None:
    flat = normalised(np.full((1, 32, 32), 7, np.float32))
    assert np.abs(flat).max() < 1e-3
    correlation, motion = aligned(flat, some_pictures(1), np.zeros((1, MOTIONS), np.float32), 3)
    assert np.isfinite(correlation).all()
    assert np.isfinite(motion).all()
