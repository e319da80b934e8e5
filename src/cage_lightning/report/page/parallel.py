"""The trials of a search as lines across parallel axes, one for each setting and objective."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from cage_lightning.report.figures import PALETTE
from cage_lightning.report.searches import OBJECTIVE, Search, number_of

_HEIGHT, _TOP, _BOTTOM = 300, 56, 24  # pixels: of the chart, above and below the axes
_BETWEEN, _LEFT, _RIGHT = 116, 52, 96  # pixels: between two axes, and beside them
_FINISHED, _BEST, _PRUNED = PALETTE[0], "#D55E00", "#999999"
_LEGEND = (("finished", _FINISHED), ("best", _BEST), ("pruned", _PRUNED))


@dataclass(frozen=True)
class _Axis:
    """An axis by its place: where each text lies, as a share from the lower end, and its ticks."""

    name: str
    x: float
    places: Mapping[str, float]
    ticks: Sequence[tuple[float, str]]

    def y(self, text: str) -> float:
        return _at(self.places[text])


def parallel_coordinates(search: Search) -> tuple[str, tuple[int, int]]:
    """An SVG document, with its width and height in pixels: a line for each trial with values.

    The best trials lie on top of the finished ones, and these on those that were pruned, which end
    on the axis of the objective at the best value until then. That axis has the range of the
    finished trials; a pruned one that is beyond them ends at its end.

    Args:
        search: Its settings are shown on the scale that they are searched on; those that are no
            numbers at equal distances.
    """
    columns = [*search.settings, *(f"{OBJECTIVE}{name}" for name in search.objectives)]
    shown = [
        trial
        for trial in search.trials
        if all(math.isfinite(number_of(trial[f"{OBJECTIVE}{name}"])) for name in search.objectives)
    ]
    axes = [
        _axis(
            column.removeprefix(OBJECTIVE),
            _LEFT + place * _BETWEEN,
            [trial[column] for trial in shown],
            [trial[column] for trial in _ranging(shown, column)],
            column in search.on_log_scale,
        )
        for place, column in enumerate(columns)
    ]
    width = _LEFT + _BETWEEN * (len(axes) - 1) + _RIGHT
    document = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{1}" viewBox="0 0 {0} {1}"'
        ' font-family="system-ui, sans-serif" font-size="12" fill="#222">{2}</svg>'
    ).format(
        width,
        _HEIGHT,
        Markup().join([*_legend(), *_lines(shown, columns, axes), *_drawn(axes)]),
    )
    return document, (width, _HEIGHT)


def _ranging(trials: Sequence[Mapping[str, str]], column: str) -> Sequence[Mapping[str, str]]:
    """The trials that decide on the range of an axis."""
    finished = [trial for trial in trials if trial["state"] != "pruned"]
    several = len({trial[column] for trial in finished}) > 1
    return finished if several and column.startswith(OBJECTIVE) else trials


def _axis(
    name: str, x: float, texts: Sequence[str], ranging: Sequence[str], logarithmic: bool
) -> _Axis:
    numbers = {text: number_of(text) for text in texts}
    if not all(map(math.isfinite, numbers.values())):
        names = sorted(numbers)
        places = {text: (place + 0.5) / len(names) for place, text in enumerate(names)}
        return _Axis(name, x, places, [(place, text) for text, place in places.items()])
    logarithmic = logarithmic and all(number > 0 for number in numbers.values())
    scaled = {t: math.log10(n) if logarithmic else n for t, n in numbers.items()}
    limits = [scaled[text] for text in ranging]
    low, high = min(limits, default=0.0), max(limits, default=1.0)
    span = high - low
    places = {
        text: min(max((value - low) / span, 0.0), 1.0) if span else 0.5
        for text, value in scaled.items()
    }
    ends = [(0.0, low), (0.5, (low + high) / 2), (1.0, high)] if span else [(0.5, low)]
    ticks = [(place, _short(10**value if logarithmic else value)) for place, value in ends]
    return _Axis(name, x, places, ticks)


def _lines(
    trials: Sequence[Mapping[str, str]], columns: Sequence[str], axes: Sequence[_Axis]
) -> Iterator[Markup]:
    line = Markup(
        '<polyline points="{}" fill="none" stroke="{}" stroke-width="{}" stroke-opacity="{}"/>'
    ).format
    for kind, color, width, opacity in (
        ("pruned", _PRUNED, 1.2, 0.7),
        ("finished", _FINISHED, 1.4, 0.6),
        ("best", _BEST, 2.6, 1),
    ):
        for trial in trials:
            if _kind(trial) == kind:
                points = [
                    f"{axis.x},{axis.y(trial[column])}"
                    for axis, column in zip(axes, columns, strict=True)
                ]
                yield line(" ".join(points), color, width, opacity)


def _kind(trial: Mapping[str, str]) -> str:
    if trial["best"]:
        return "best"
    return "pruned" if trial["state"] == "pruned" else "finished"


def _drawn(axes: Sequence[_Axis]) -> Iterator[Markup]:
    """The axes over the lines; a text has a white rim where lines cross it."""
    line = Markup('<line x1="{0}" y1="{1}" x2="{0}" y2="{2}" stroke="#222"/>').format
    tick = Markup(
        '<text class="tick" x="{}" y="{}" stroke="#fff" stroke-width="3" paint-order="stroke">{}'
        "</text>"
    ).format
    for place, axis in enumerate(axes):
        yield line(axis.x, _TOP, _HEIGHT - _BOTTOM)
        # Two rows: long names of neighbours stay apart.
        yield Markup('<text class="axis" x="{}" y="{}" text-anchor="middle">{}</text>').format(
            axis.x, _TOP - 8 - 14 * (place % 2), axis.name
        )
        for share, text in axis.ticks:
            yield tick(axis.x + 5, _at(share) + 4, text)


def _legend() -> Iterator[Markup]:
    for place, (name, color) in enumerate(_LEGEND):
        x = 12 + 84 * place
        yield Markup(
            '<rect x="{}" y="{}" width="18" height="3" fill="{}"/><text class="legend" x="{}" '
            'y="{}">{}</text>'
        ).format(x, 11.5, color, x + 24, 17, name)


def _at(share: float) -> float:
    """The pixel of a share of an axis."""
    return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP), 1)


def _short(value: float) -> str:
    return f"{value:.3g}".replace("-", "\N{MINUS SIGN}")
