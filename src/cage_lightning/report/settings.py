"""The settings in which runs differ that have the same data, model and loss."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cage_lightning.report.runs import Run
from cage_lightning.runs.identity import essence
from cage_lightning.runs.naming import plain

_NAMES = ("tag", "group", "seed")
_IN_EVERY_TABLE = ("data", "model", "loss")


def differing_settings(runs: Sequence[Run]) -> dict[Path, dict[str, Any]]:
    """The settings in which runs differ that share data, model and loss: the same keys for each.

    A choice of a group (`augment`) stands for the settings it makes; what only the seed changes is
    left out. The tag is among them where it distinguishes runs that have the same settings.

    Args:
        runs: Runs of this version or an older one.

    Returns:
        By run folder; None where a run has no such setting.
    """
    choices = _common([run.config["choices"] for run in runs])
    keys = _differing(runs, lambda run: run.row.choices, choices)
    settings = {run.folder: computed_settings(run) for run in runs}
    keys += _differing(
        runs,
        lambda run: (*run.row.choices, *(run.config["choices"][key] for key in choices)),
        sorted({key for found in settings.values() for key in found}),
        lambda run: settings[run.folder],
    )
    found = {
        run.folder: {
            key: {**settings[run.folder], **run.config["choices"]}.get(key) for key in keys
        }
        for run in runs
    }
    rows = {(run.row.choices, json.dumps(found[run.folder])) for run in runs}
    if keys and len(rows) < len({(run.row, json.dumps(found[run.folder])) for run in runs}):
        for run in runs:
            found[run.folder]["tag"] = run.row.tag
    return found


def computed_settings(run: Run) -> dict[str, Any]:
    """What a run computes; runs that differ only in their seed have the same."""
    return {
        key: re.sub(r"-s\d+(?=[-/]|$)", "-s*", value) if isinstance(value, str) else plain(value)
        for key, value in essence(run.config).items()
        if key not in _NAMES and not key.endswith(".seed")
    }


def _differing(
    runs: Sequence[Run],
    alike: Callable[[Run], Any],
    keys: Iterable[str],
    read: Callable[[Run], Mapping[str, Any]] = lambda run: run.config["choices"],
) -> list[str]:
    """The keys that have several values among runs that are `alike`."""
    groups: dict[Any, list[Run]] = defaultdict(list)
    for run in runs:
        groups[alike(run)].append(run)
    return [
        key
        for key in keys
        if any(
            len({json.dumps(read(run).get(key)) for run in group}) > 1 for group in groups.values()
        )
    ]


def _common(choices: Sequence[Mapping[str, Any]]) -> list[str]:
    """The groups whose choice every run names; an older version named fewer."""
    return [
        key
        for key in choices[0]
        if key not in _IN_EVERY_TABLE and all(key in other for other in choices)
    ]
