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
# What else a choice stands for, by the first parts of the keys.
_BELONGS: Mapping[str, tuple[str, ...]] = {
    "loss": ("module", "data.balance", "init_from"),
    "model": ("init_from",),
    "data": ("init_from",),
    "protocol": ("augment", "scheduler", "optimizer", "data", "trainer", "model", "loss"),
}


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


def other_differences(one: Run, other: Run, setting: str) -> list[str]:
    """The settings in which two runs differ besides one setting and what belongs to it.

    What a choice sets belongs to it: to ``loss`` also the mode, and the run that it starts from.
    The seed and the names of runs do not count.

    Args:
        one: A run.
        other: Another one.
        setting: A choice such as ``loss`` or ``augment``, or a key of the config.
    """
    belongs = (setting, *_BELONGS.get(setting, ()))
    choices = _common([run.config["choices"] for run in (one, other)])
    settings = [computed_settings(run) for run in (one, other)]
    found = [
        key for key in choices if len({run.config["choices"][key] for run in (one, other)}) > 1
    ]
    found += [
        key
        for key in sorted({*settings[0], *settings[1]})
        if json.dumps(settings[0].get(key)) != json.dumps(settings[1].get(key))
    ]
    # A choice stands for the settings it makes.
    own = (*belongs, *(key for key in found if key in choices))
    return [
        key
        for key in found
        if not any(key == top or key.startswith(f"{top}.") for top in belongs)
        and not any(key.startswith(f"{top}.") for top in own)
    ]
