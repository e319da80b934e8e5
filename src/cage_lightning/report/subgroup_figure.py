"""The figure of the scores of subgroups."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from cage_lightning.report.figures import PALETTE, Drawing, Row, new_figure, save
from cage_lightning.report.subgroups import NAME
from cage_lightning.scores.headline import main_scores
from cage_lightning.system.escaping import on_one_line

_SHOWN = ("f1_macro", "map", "ccc_mean", "rmse_pooled")
_LONGEST = 30  # characters of a value


def draw_subgroups(folder: Path, content: Mapping[str, Any]) -> list[str]:
    """Draw `subgroups` into a folder, if any has a score.

    Args:
        folder: Where to.
        content: As `scores.results.results_of` returns it.

    Returns:
        The names of the figures drawn.
    """
    groups = content.get(NAME, {}).values()
    if not any(value["scores"] for group in groups for value in group["values"].values()):
        return []
    save(folder, NAME, *subgroups(content[NAME]))
    return [NAME]


def subgroups(groups: Mapping[str, Any]) -> Drawing:
    """Some main scores of the values of each group, with their intervals: a row for each group."""
    each = [value for group in groups.values() for value in group["values"].values()]
    labels = main_scores(dict.fromkeys(key for value in each for key in value["scores"]))
    keys = [key for key in _SHOWN if key in labels] or [*labels][:1]
    sizes = [len(group["values"]) for group in groups.values()]
    title = "Scores of subgroups with their intervals"
    figure = new_figure(3.2 * len(keys) + 1.5, 0.35 * sum(sizes) + 0.8 * len(sizes) + 0.5, title)
    panels = figure.subplots(
        len(sizes), len(keys), squeeze=False, sharex="col", sharey="row", height_ratios=sizes
    )
    rows: list[Row] = []
    for line, (name, group) in zip(panels, groups.items(), strict=True):
        line[0].set_ylabel(on_one_line(name)[:_LONGEST])
        _name_values(line[0], group["values"])
        for axes, key in zip(line, keys, strict=True):
            rows += _points(axes, name, group["values"], key)
    for axes, key in zip(panels[-1], keys, strict=True):
        axes.set_xlabel(labels[key])
    return figure, rows


def _name_values(axes: Axes, values: Mapping[str, Any]) -> None:
    names = [f"{on_one_line(value)[:_LONGEST]} ({found['n']:,})" for value, found in values.items()]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)


def _points(axes: Axes, group: str, values: Mapping[str, Any], key: str) -> list[Row]:
    rows: list[Row] = []
    for y, (value, found) in enumerate(values.items()):
        score = found["scores"].get(key)
        low, high = found["intervals"].get(key, (None, None))
        whose = {"group": group, "value": value, "metric": key, "n": found["n"]}
        rows.append({**whose, "score": score, "low": low, "high": high})
        if score is not None:
            axes.plot([score], [y], "o", color=PALETTE[0])
        if low is not None:
            axes.plot([low, high], [y, y], color=PALETTE[0], lw=1.5)
    axes.grid(axis="x", color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    return rows
