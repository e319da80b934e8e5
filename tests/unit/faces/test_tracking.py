"""Faces keep their numbers from frame to frame; filters do what their formulas say."""

from __future__ import annotations

import math
from typing import Literal

import pytest

from cage_lightning.faces.face import Box
from cage_lightning.faces.tracking import Tracker, make_filter


def box(x: float, y: float = 0.0, size: float = 100.0) -> Box:
    return (x, y, x + size, y + size)


def test_faces_keep_their_numbers_in_any_order() -> None:
    tracker = Tracker()
    assert tracker.follow([box(0), box(300)]) == [0, 1]
    assert tracker.follow([box(310), box(5)]) == [1, 0]
    assert tracker.follow([box(320), box(600), box(10)]) == [1, 2, 0]


def test_the_sum_of_overlaps_decides_and_not_the_first_face() -> None:
    tracker = Tracker()
    assert tracker.follow([box(0), box(40)]) == [0, 1]
    # The first overlaps best with track 1, but the second has nothing else than it.
    assert tracker.follow([box(25), box(75)]) == [0, 1]


def test_a_face_that_is_gone_for_long_is_a_new_one() -> None:
    tracker = Tracker()
    assert tracker.follow([box(0)]) == [0]
    for _ in range(5):
        assert tracker.follow([]) == []
    assert tracker.follow([box(0)]) == [0]
    for _ in range(20):
        tracker.follow([])
    assert tracker.follow([box(0)]) == [1]


def test_a_face_elsewhere_is_another_one() -> None:
    tracker = Tracker()
    assert tracker.follow([box(0)]) == [0]
    assert tracker.follow([box(90)]) == [1]


@pytest.mark.parametrize("smoothing", ["exponential", "one_euro"])
def test_what_filters_keep_and_what_they_take(
    smoothing: Literal["exponential", "one_euro"],
) -> None:
    steady = make_filter(smoothing)
    assert [steady.smooth(t, [0.25, -1.0]) for t in (3.0, 3.1, 9.0)] == [[0.25, -1.0]] * 3
    jump = make_filter(smoothing)
    jump.smooth(0.0, [0.0])
    values = [jump.smooth(n / 25, [1.0])[0] for n in range(1, 100)]
    assert values == sorted(values)
    assert 0 < values[0] < 0.5
    assert values[-1] == pytest.approx(1, abs=1e-3)


def test_exponential_weights_fall_by_e_within_the_time_constant() -> None:
    smooth = make_filter("exponential").smooth
    smooth(1.0, [0.0])
    assert smooth(1.3, [1.0]) == [pytest.approx(1 - math.exp(-1))]
    assert smooth(1.3, [5.0]) == [pytest.approx(1 - math.exp(-1))]  # no time has passed


def test_one_euro_follows_the_published_formulas() -> None:
    smooth = make_filter("one_euro").smooth
    smooth(0.0, [0.0])
    step = 0.04
    rate_weight = 1 / (1 + 1 / (2 * math.pi * 1.0 * step))
    cutoff = 1.0 + 0.5 * rate_weight * (0.8 / step)
    weight = 1 / (1 + 1 / (2 * math.pi * cutoff * step))
    assert smooth(step, [0.8]) == [pytest.approx(weight * 0.8)]
