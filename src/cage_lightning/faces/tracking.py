"""Faces followed through a video, and their affect smoothed over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from cage_lightning.faces.face import Box, overlap

Smoothing = Literal["none", "exponential", "one_euro"]
"""How the affect of a face that is followed is smoothed."""

_SAME = 0.3  # intersection over union of a face in one frame and the next that is looked at
_PATIENCE = 10  # frames without a face, after which it is a new one
_TIME_CONSTANT_S = 0.3
_CUTOFF_HZ = 1.0
_RATE_CUTOFF_HZ = 1.0
_SLOPE = 0.5  # Hz of cut-off for each unit of affect per second

SMOOTHING_CONSTANTS: dict[Smoothing, dict[str, float]] = {
    "none": {},
    "exponential": {"time_constant_s": _TIME_CONSTANT_S},
    "one_euro": {"cutoff_hz": _CUTOFF_HZ, "slope": _SLOPE, "rate_cutoff_hz": _RATE_CUTOFF_HZ},
}
"""What the filters are set to."""


@dataclass
class _Track:
    box: Box
    missed: int = 0


@dataclass
class Tracker:
    """Gives the faces of one video numbers that stay the same from frame to frame.

    The boxes of a frame are assigned to those of the frames before such that the sum of their
    intersections over union is largest (Kuhn, The Hungarian Method, 1955).
    """

    _tracks: dict[int, _Track] = field(default_factory=dict)
    _begun: int = 0

    def follow(self, boxes: Sequence[Box]) -> list[int]:
        """The numbers of the faces in the next frame, from 0 in the order of their appearance."""
        known = list(self._tracks)
        numbers = dict(self._matches(known, boxes))
        for track in self._tracks.values():
            track.missed += 1
        for n, box in enumerate(boxes):
            if n not in numbers:
                numbers[n] = self._begun
                self._begun += 1
            self._tracks[numbers[n]] = _Track(box)
        self._tracks = {n: one for n, one in self._tracks.items() if one.missed <= _PATIENCE}
        return [numbers[n] for n in range(len(boxes))]

    def _matches(self, known: Sequence[int], boxes: Sequence[Box]) -> list[tuple[int, int]]:
        if not known or not boxes:
            return []
        from scipy.optimize import linear_sum_assignment  # half a second, for videos alone

        before = np.array([self._tracks[track].box for track in known])
        shared = overlap(before[:, None], np.array(boxes)[None])
        pairs = zip(*linear_sum_assignment(shared, maximize=True), strict=True)
        return [(int(n), known[row]) for row, n in pairs if shared[row, n] >= _SAME]


class Filter(Protocol):
    """Smooths the values of one face over time."""

    def smooth(self, time_s: float, values: Sequence[float]) -> list[float]:
        """The smoothed values at a time, which is later than those before."""
        ...


def make_filter(smoothing: Smoothing) -> Filter:
    """The filter for one face.

    Raises:
        ValueError: `smoothing` is ``none``.
    """
    if smoothing == "none":
        raise ValueError("smoothing=none has no filter")
    return OneEuro() if smoothing == "one_euro" else Exponential()


@dataclass
class Exponential:
    """A low-pass filter of the first order: weights fall by 1/e within the time constant."""

    _time_s: float = 0.0
    _values: list[float] = field(default_factory=list)

    def smooth(self, time_s: float, values: Sequence[float]) -> list[float]:
        """See `Filter`."""
        weight = 1 - math.exp(-max(0.0, time_s - self._time_s) / _TIME_CONSTANT_S)
        before = self._values or values
        self._values = [b + weight * (v - b) for b, v in zip(before, values, strict=True)]
        self._time_s = time_s
        return self._values


@dataclass
class OneEuro:
    """Casiez, Roussel and Vogel, 1 Euro Filter, 2012: slow values are smoothed more than fast ones.

    The cut-off frequency of a low-pass filter grows with how fast the value changes.
    """

    _time_s: float = 0.0
    _values: list[float] = field(default_factory=list)
    _rates: list[float] = field(default_factory=list)

    def smooth(self, time_s: float, values: Sequence[float]) -> list[float]:
        """See `Filter`."""
        step, self._time_s = time_s - self._time_s, time_s
        if not self._values:
            self._values, self._rates = list(values), [0.0] * len(values)
        elif step > 0:
            for n, value in enumerate(values):
                rate = (value - self._values[n]) / step
                self._rates[n] += _weight(_RATE_CUTOFF_HZ, step) * (rate - self._rates[n])
                cutoff = _CUTOFF_HZ + _SLOPE * abs(self._rates[n])
                self._values[n] += _weight(cutoff, step) * (value - self._values[n])
        return list(self._values)


def _weight(cutoff_hz: float, step_s: float) -> float:
    """Of a new value, in a low-pass filter of the first order."""
    turn = 2 * math.pi * cutoff_hz * step_s
    return turn / (turn + 1)
