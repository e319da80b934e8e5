"""The files of a run folder as tables and pages need them.

A run folder may come from anyone, and a full disk or a crash leaves damaged ones. What is read here
is checked, so that nothing behind it meets a value of another kind.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cage_lightning.errors import DataError, first_line
from cage_lightning.predictions.files import has_finite_outputs
from cage_lightning.report.pairs import check_pair
from cage_lightning.runs.folder import RunFolder
from cage_lightning.runs.identity import TIMM, flat, read_config
from cage_lightning.system.paths import is_inside, refuse_outside

_LOG_LINES, _LOG_BYTES = 20, 8192  # of the end of train.log, at most
_ERROR_BYTES = 65_536  # of error.txt, at most
_LARGEST_SEED = 2**32
_LONGEST_RUN = 1e12  # seconds
_DEEPEST = 50  # containers in each other; ours have six


def read_settings(file: Path) -> dict[str, Any]:
    """The config.yaml of a run, with what the rows of a table are named by.

    Raises:
        DataError: It cannot be read, or lacks that.
    """
    settings = read_config(file)
    choices, seed = settings.get("choices"), settings.get("seed")
    if not isinstance(choices, dict) or not {"data", "model", "loss"} <= choices.keys():
        raise _no_config(file, "it lacks choices.data, .model or .loss")
    wrong = [name for name, choice in choices.items() if not isinstance(choice, str | None)]
    wrong += [name for name in ("data", "model", "loss") if choices[name] is None]
    if wrong:
        raise _no_config(file, f"choices.{wrong[0]} is no name")
    if choices["model"] == TIMM and not isinstance(_at(settings, "model", "name"), str):
        raise _no_config(file, "it lacks model.name")
    if type(seed) is not int or not 0 <= seed < _LARGEST_SEED:
        raise _no_config(file, "it lacks a seed")
    try:
        json.dumps(flat(settings))
    except (ValueError, RecursionError) as error:
        raise _no_config(file, first_line(error)) from error
    return settings


def read_scores(folder: Path) -> dict[str, Any]:
    """The metrics.json in a folder of results.

    Raises:
        DataError: It cannot be read, is a link that leads out of the folder, is none, or is not
            that of the predictions there.
    """
    run = RunFolder(folder)
    refuse_outside(folder, run.metrics_file)
    metrics = run.read_metrics()
    try:
        _check_scores(metrics)
    except ValueError as error:
        raise DataError(f"{run.metrics_file} is unreadable: {first_line(error)}") from error
    check_pair(folder, metrics)
    return metrics


def _check_scores(metrics: Mapping[str, Any]) -> None:
    """Refuse what is no content of a metrics.json.

    Raises:
        ValueError: Says what is wrong.
    """
    if not any(key.startswith("test/") for key in metrics):
        raise ValueError("it holds no score of a test split")
    for key, value in metrics.items():
        if "/" in key and not _is_number(value):
            raise ValueError(f"{key!r:.60} is no number")
    intervals, meta = metrics.get("intervals", {}), metrics.get("meta", {})
    if not isinstance(intervals, dict) or not all(map(_are_limits, intervals.values())):
        raise ValueError("'intervals' holds something else than two limits for each score")
    if not isinstance(meta, dict):
        raise ValueError("'meta' holds no facts by name")
    if _is_deep(metrics):
        raise ValueError(f"it is more than {_DEEPEST} deep")
    if not isinstance(meta.get("git_revision"), str | None):
        raise ValueError("'git_revision' is no text")
    seconds = meta.get("wall_time_s")
    if seconds is not None and not (_is_number(seconds) and 0 <= seconds < _LONGEST_RUN):
        raise ValueError("'wall_time_s' is no time in seconds")
    if not isinstance(_at(meta, "selection", "metric"), str | None):
        raise ValueError("'selection.metric' is no name")


def is_diverged(folder: Path) -> bool:
    """Whether the outputs of a run are not finite.

    Raises:
        DataError: They cannot be read.
    """
    predictions = folder / "predictions.parquet"
    return is_inside(folder, predictions) and not has_finite_outputs(predictions)


def last_error(run: RunFolder) -> str | None:
    """Why the last start failed; None also where a link leads out of the run folder."""
    if not is_inside(run.path, run.error_file):
        return None
    with run.error_file.open("rb") as file:
        return file.read(_ERROR_BYTES).decode(errors="replace").strip()


def end_of_log(run: RunFolder) -> str:
    """The last lines of the log, which may be long and in the middle of a write."""
    if not is_inside(run.path, run.log_file):
        return ""
    with run.log_file.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _LOG_BYTES))
        lines = file.read(_LOG_BYTES).decode(errors="replace").splitlines()
    return "\n".join(lines[-_LOG_LINES:])


def _at(mapping: Mapping[str, Any], key: str, inner: str) -> Any:
    """A value inside a mapping inside another one; None where there is none."""
    found = mapping.get(key)
    return found.get(inner) if isinstance(found, Mapping) else None


def _is_deep(value: Any, left: int = _DEEPEST) -> bool:
    """Whether containers are in each other more than so many times."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return left == 0 or any(_is_deep(one, left - 1) for one in inner)


def _is_number(value: Any) -> bool:
    """Whether it is a number that a float can hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or abs(value) < 2**63


def _are_limits(value: Any) -> bool:
    pair = isinstance(value, list) and len(value) == 2
    return value is None or (
        pair and all(map(_is_number, value)) and not any(map(math.isnan, value))
    )


def _no_config(file: Path, reason: str) -> DataError:
    return DataError(f"{file} is no config of a run: {reason}")
