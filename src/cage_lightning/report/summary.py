"""The tables of scores that a command prints at its end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from cage_lightning.scores.headline import main_scores
from cage_lightning.scores.results import best_baseline
from cage_lightning.system.escaping import on_one_line
from cage_lightning.system.output import console, say

_OF_TEST = "test/"


def print_results(content: Mapping[str, Any], title: str) -> None:
    """Print the main numbers of a metrics.json, with interval and the best baseline of each.

    Args:
        content: As `scores.results.results_of` returns it.
        title: Above the table.
    """
    table = _table("test split", "", _interval_heading(content), "best baseline")
    for label, key in _rows(content):
        interval = content["intervals"].get(key)
        table.add_row(
            label,
            _number(content[key]),
            "" if interval is None else _interval(*interval),
            _best_baseline(content, key.removeprefix(_OF_TEST)),
        )
    _show(title, table)


def print_comparison(content: Mapping[str, Any], title: str) -> None:
    """Print the scores of two prediction files and their differences, second minus first."""
    table = _table("test split", "A", "B", "B - A", _interval_heading(content), "p")
    differences = content["differences"]
    for label, key in _rows(differences):
        d = differences[key]
        table.add_row(
            label,
            *map(_number, (d["a"], d["b"], d["difference"])),
            _interval(d["low"], d["high"]),
            f"{d['p']:.2g}",
        )
    if content["mcnemar"] is not None:
        table.add_row("McNemar", *[""] * 4, f"{content['mcnemar']:.2g}")
    _show(title, table)


def print_seeds(content: Mapping[str, Any], title: str) -> None:
    """Print mean and spread over several seeds."""
    table = _table("test split", "seeds", "mean", "sd", _interval_heading(content))
    seeds = content["seeds"]
    for label, key in _rows(seeds):
        s = seeds[key]
        interval = "" if s["low"] is None else _interval(s["low"], s["high"])
        table.add_row(label, str(s["n"]), _number(s["mean"]), _number(s["sd"]), interval)
    _show(title, table)


def print_malformed(malformed: Mapping[Path, str]) -> None:
    """Print what is left out of a table because it cannot be read."""
    for line in unread_lines(malformed):
        say(f"left out: {line}")


def unread_lines(malformed: Mapping[Path, str]) -> list[str]:
    """What is left out of a table because it cannot be read, and why: a line each."""
    return [on_one_line(f"{place}: {reason}") for place, reason in malformed.items()]


def _best_baseline(content: Mapping[str, Any], metric: str) -> str:
    """Name and value of the baseline that does best in a metric."""
    best = best_baseline(content, metric)
    return "" if best is None else f"{best[0]} {_number(best[1])}"


def _rows(scores: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Label and key of the main scores that are there."""
    keys = [key.removeprefix(_OF_TEST) for key in scores if key.startswith(_OF_TEST)]
    return [(label, f"{_OF_TEST}{key}") for key, label in main_scores(keys).items()]


def _table(*headings: str) -> Table:
    table = Table(headings[0])
    for heading in headings[1:]:
        table.add_column(heading, justify="right")
    return table


def _show(title: str, table: Table) -> None:
    say(title)
    console().print(table)


def _interval_heading(content: Mapping[str, Any]) -> str:
    return f"{content['meta']['scores']['confidence']:.0%} interval"


def _interval(low: float, high: float) -> str:
    return f"{low:.3f} to {high:.3f}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
