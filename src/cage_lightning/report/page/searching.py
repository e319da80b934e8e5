"""The course of a search as a chart."""

from __future__ import annotations

import math

from cage_lightning.report.page.line_chart import Points, line_chart
from cage_lightning.report.searches import Search


def search_history(search: Search) -> str:
    """A chart in SVG: the value of each trial, and the best one until then.

    Args:
        search: With one objective. Whether the least or the largest value is the best one is told
            by the trial that is marked.
    """
    (objective,) = search.objectives
    values = search.values(objective)
    finite = [(float(number), value) for number, value in enumerate(values) if math.isfinite(value)]
    marked = [value for value, trial in zip(values, search.trials, strict=True) if trial["best"]]
    better = max if marked and marked[0] == max(value for _, value in finite) else min
    best = [better(value for _, value in finite[: end + 1]) for end in range(len(finite))]
    numbers = [number for number, _ in finite]
    lines: dict[str, Points] = {
        objective: (numbers, [value for _, value in finite]),
        "best so far": (numbers, best),
    }
    return line_chart(lines, "trial")
