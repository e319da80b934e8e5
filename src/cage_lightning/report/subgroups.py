"""The scores of subgroups as a printed table and as a file of rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from cage_lightning.scores.headline import main_scores
from cage_lightning.scores.subgroups import LEAST
from cage_lightning.system.atomic import write_csv
from cage_lightning.system.escaping import on_one_line
from cage_lightning.system.output import console, say

NAME = "subgroups"
"""The key in metrics.json, and the name of the file of rows."""
_COLUMNS = (
    *("group", "metric", "value", "n", "units", "score", "low", "high"),
    *("best", "worst", "by_chance", "p"),
)


def print_subgroups(content: Mapping[str, Any]) -> None:
    """Print the scores of each value and the gap, a table for each group, and who is left out.

    Args:
        content: As `scores.results.results_of` returns it; nothing is printed without subgroups.
    """
    for name, group in content.get(NAME, {}).items():
        confidence = content["meta"]["scores"]["confidence"]
        say(f"by {name}, with {confidence:.0%} intervals")
        console().print(_table(group))
        if left_out := _left_out(group):
            say(f"  not scored: {left_out}")


def write_subgroups(folder: Path, content: Mapping[str, Any]) -> None:
    """Write ``subgroups.csv``, a row for each score of each value and for each gap.

    Without subgroups one of an earlier result is removed.
    """
    file = folder / f"{NAME}.csv"
    if NAME in content:
        write_csv(file, _COLUMNS, [*_rows(content[NAME])])
    else:
        file.unlink(missing_ok=True)


def _rows(groups: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, group in groups.items():
        for value, found in group["values"].items():
            size = {"value": value, "n": found["n"], "units": found["units"]}
            for metric, score in found["scores"].items():
                low, high = found["intervals"].get(metric, (None, None))
                numbers = {"score": score, "low": low, "high": high}
                yield {"group": name, "metric": metric} | size | numbers
        for metric, gap in group["gaps"].items():
            numbers = {"score": gap["gap"]} | {k: v for k, v in gap.items() if k != "gap"}
            yield {"group": name, "metric": metric} | numbers


def _table(group: Mapping[str, Any]) -> Table:
    values, gaps = group["values"], group["gaps"]
    table = Table("")
    for value, found in values.items():
        table.add_column(f"{on_one_line(value)}\nn = {found['n']}", justify="right")
    for heading in ("gap", "by chance", "p") if gaps else ():
        table.add_column(heading, justify="right")
    keys = dict.fromkeys(key for found in values.values() for key in found["scores"])
    for key, label in main_scores(keys).items():
        cells = [
            _score(found["scores"].get(key), found["intervals"].get(key))
            for found in values.values()
        ]
        table.add_row(label, *cells, *(_gap(gaps.get(key)) if gaps else ()))
    return table


def _gap(gap: Mapping[str, Any] | None) -> tuple[str, str, str]:
    if gap is None:
        return "", "", ""
    limits = None if gap["low"] is None else (gap["low"], gap["high"])
    chance = "" if gap["p"] is None else f"{gap['by_chance']:.3f}"
    return _score(gap["gap"], limits), chance, "" if gap["p"] is None else f"{gap['p']:.2g}"


def _score(score: float | None, limits: Sequence[float] | None) -> str:
    if score is None:
        return ""
    return f"{score:.3f}" if limits is None else f"{score:.3f}\n{limits[0]:.3f} to {limits[1]:.3f}"


def _left_out(group: Mapping[str, Any]) -> str:
    few = ", ".join(f"{on_one_line(value)} ({n})" for value, n in group["few"].items())
    parts = [f"fewer than {LEAST} samples: {few}"] if few else []
    if group["unknown"]:
        parts.append(f"not known of {group['unknown']} samples")
    return "; ".join(parts)
