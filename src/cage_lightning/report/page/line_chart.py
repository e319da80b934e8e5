"""Lines over a common axis as SVG: sharp at any width, and quickly drawn."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from cage_lightning.report.figures import PALETTE

SIZE = (440, 300)
"""Width and height of a chart in pixels."""

_RIGHT, _BOTTOM = 24, 44  # pixels beside and below the axes
_CHARACTER, _LINE = 8, 18  # pixels of a text: at most, of any font
_FEW = 50  # points: of fewer each is marked
_LARGEST = 1e100  # the span of what is drawn is a number, too

Points = tuple[Sequence[float], Sequence[float]]
"""x and y."""


@dataclass(frozen=True)
class _Axis:
    """The values `low` to `high`, drawn from pixel `start` to pixel `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Pixel and label of round values."""
        for value in MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(self.low, self.high):
            if self.low <= value <= self.high:
                yield self(value), f"{value:,.10g}".replace("-", "\N{MINUS SIGN}")


def line_chart(lines: Mapping[str, Points], label: str, unjoined: Collection[str] = ()) -> str:
    """An SVG document with a legend above the axes.

    Args:
        lines: The points by the names that the legend shows, at most eight lines; where a value is
            not finite, the line has a gap.
        label: The label of the x axis.
        unjoined: The names of those whose points are marked, and not joined by a line.
    """
    width, height = SIZE
    top = 8 + _LINE * math.ceil(len(lines) / 2)
    # Where the y axis is depends on its labels, and these do not depend on it.
    y = _axis((v for _, values in lines.values() for v in values), height - _BOTTOM, top)
    left = 16 + _CHARACTER * max((len(text) for _, text in y.ticks()), default=0)
    x = _axis((v for values, _ in lines.values() for v in values), left, width - _RIGHT)
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{1}" viewBox="0 0 {0} {1}"'
        ' font-family="system-ui, sans-serif" font-size="12" fill="#222">{2}</svg>'
    ).format(
        width,
        height,
        Markup().join([*_axes(x, y, label), *_legend(lines, x), *_drawn(lines, x, y, unjoined)]),
    )


def _axis(values: Iterable[float], start: float, end: float) -> _Axis:
    shown = [value for value in values if abs(value) < _LARGEST]
    low, high = min(shown, default=0.0), max(shown, default=1.0)
    # A constant has an axis, too.
    margin = max(0.04 * (high - low), 1e-3 * max(abs(low), abs(high))) or 1.0
    return _Axis(low - margin, high + margin, start, end)


def _axes(x: _Axis, y: _Axis, label: str) -> Iterator[Markup]:
    line = Markup('<line x1="{}" y1="{}" x2="{}" y2="{}" stroke="{}"/>').format
    text = Markup('<text class="{}" x="{}" y="{}" text-anchor="{}">{}</text>').format
    for at, tick in y.ticks():
        yield line(x.start, at, x.end, at, "#e4e4e4")
        yield text("y", x.start - 8, at + 4, "end", tick)
    for at, tick in x.ticks():
        yield line(at, y.start, at, y.start + 4, "#222")
        yield text("x", at, y.start + 18, "middle", tick)
    yield line(x.start, y.start, x.end, y.start, "#222")
    yield line(x.start, y.start, x.start, y.end, "#222")
    yield text("label", (x.start + x.end) / 2, y.start + 36, "middle", label)


def _legend(names: Iterable[str], x: _Axis) -> Iterator[Markup]:
    """Two names to a line."""
    for i, (name, color) in enumerate(zip(names, PALETTE, strict=False)):
        at, below = x.start + i % 2 * (x.end - x.start) / 2, _LINE * (i // 2 + 1)
        yield Markup(
            '<rect x="{}" y="{}" width="18" height="3" fill="{}"/>'
            '<text class="legend" x="{}" y="{}">{}</text>'
        ).format(at, below - 5.5, color, at + 24, below, name)


def _drawn(
    lines: Mapping[str, Points], x: _Axis, y: _Axis, unjoined: Collection[str]
) -> Iterator[Markup]:
    for (name, (xs, ys)), color in zip(lines.items(), PALETTE, strict=False):
        points = [
            (x(a), y(b)) if abs(a) < _LARGEST and abs(b) < _LARGEST else None
            for a, b in zip(xs, ys, strict=True)
        ]
        if name not in unjoined:
            yield Markup('<path d="{}" fill="none" stroke="{}" stroke-width="1.6"/>').format(
                _path(points), color
            )
        if len(points) < _FEW or name in unjoined:
            circle = Markup('<circle cx="{}" cy="{}" r="2.5" fill="{}"/>').format
            yield from (circle(*point, color) for point in points if point)


def _path(points: Iterable[tuple[float, float] | None]) -> str:
    """Through the points, with a gap where there is none."""
    path, command = "", "M"
    for point in points:
        path += f"{command}{point[0]} {point[1]}" if point else ""
        command = "L" if point else "M"
    return path
