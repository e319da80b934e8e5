"""The course of a search, and its trials side by side, as charts."""

from __future__ import annotations

import math
from collections.abc import Collection

from cage_lightning.report.page.line_chart import Points, line_chart
from cage_lightning.report.searches import Search

_PRUNED = "pruned, best until then"


def search_history(search: Search) -> str:
    """A chart in SVG: the value of each trial, and the best one until then.

    Trials that were pruned are marked with the best value that they had reached; of those far
    beyond the finished ones nothing but the direction is shown, for these would be one line.

    Args:
        search: With one objective. Whether the least or the largest value is the best one is told
            by the trial that is marked.
    """
    (objective,) = search.objectives
    known = [
        (float(number), value, pruned)
        for number, (value, pruned) in enumerate(
            zip(search.values(objective), search.pruned, strict=True)
        )
        if math.isfinite(value)
    ]
    finished = [(number, value) for number, value, pruned in known if not pruned]
    low, high = _range({value for _, value in finished})
    given_up = [(number, min(max(value, low), high)) for number, value, pruned in known if pruned]
    better = max if _larger_is_better(search) else min
    best = [better(value for _, value in finished[: end + 1]) for end in range(len(finished))]
    lines: dict[str, Points] = {
        objective: _points(finished),
        "best so far": ([number for number, _ in finished], best),
    }
    if given_up:
        lines[_PRUNED] = _points(given_up)
    return line_chart(lines, "trial", unjoined=(_PRUNED,))


def _range(values: Collection[float]) -> tuple[float, float]:
    """That of several different values, wider by half of itself on either side."""
    if len(values) < 2:
        return -math.inf, math.inf
    margin = (max(values) - min(values)) / 2
    return min(values) - margin, max(values) + margin


def _points(pairs: list[tuple[float, float]]) -> Points:
    return [number for number, _ in pairs], [value for _, value in pairs]


def _larger_is_better(search: Search) -> bool:
    """Whether the trial that is marked as the best one has the largest value of the finished."""
    values = search.values(search.objectives[0])
    rows = list(zip(values, search.trials, search.pruned, strict=True))
    finished = [value for value, _, pruned in rows if math.isfinite(value) and not pruned]
    marked = [value for value, trial, _ in rows if trial["best"]]
    return bool(marked) and marked[0] == max(finished)
