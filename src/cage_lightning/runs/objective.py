"""What a search improves: the numbers of a finished run that its config names as `objective`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig

from cage_lightning.errors import ConfigError
from cage_lightning.runs.folder import RunFolder
from cage_lightning.runs.pruning import read_pruned, read_pruning, values_of

MONITOR = "monitor"
"""The best value of `monitor.metric`, by which the epoch was chosen."""

_OF_TEST = ("test/", "contempt_dropped/")
_OF_EPOCHS = ("val/", "train/")
_ALLOW = "objective_on_test=true"


@dataclass(frozen=True)
class TrialResult:
    """What a search that may prune is told of a trial.

    Attributes:
        value: That of the objective; None of a trial that is pruned.
        validations: The monitored value of every validation that counts, NaN where not finite; none
            of a run of a version that did not keep them.
        pruned: Whether it is pruned, after the last of these.
    """

    value: float | list[float] | None
    validations: tuple[float, ...]
    pruned: bool = False


Returned = float | list[float] | TrialResult | None
"""What a sweeper is handed back for a training."""


def objectives(config: DictConfig) -> tuple[str, ...]:
    """Return the names of the objectives: `monitor`, or keys of metrics.json.

    Args:
        config: The config of a training.

    Raises:
        ConfigError: There is none, one is named twice or is no text, one cannot be a key of
            metrics.json, or one is a score of the test split and `objective_on_test` is false.
    """
    given = config.objective
    names = tuple(given) if isinstance(given, ListConfig) else (given,)
    if not names or len(set(names)) < len(names) or not all(isinstance(n, str) for n in names):
        raise ConfigError(
            f"objective={given}: give {MONITOR}, a key of metrics.json, or a list of different ones"
        )
    for name in names:
        if name.startswith(_OF_EPOCHS):
            raise ConfigError(
                f"objective={name}: metrics.json has no scores of epochs; choose the epoch by it, "
                f"monitor.metric={name} monitor.mode=min or max, with objective={MONITOR}"
            )
        if name != MONITOR and "/" not in name and not name.startswith("meta"):
            raise ConfigError(
                f"objective={name}: metrics.json has no such key; give {MONITOR}, meta.NAME as in "
                "meta.wall_time_s, or test/NAME"
            )
        if name.startswith(_OF_TEST) and not config.objective_on_test:
            raise ConfigError(
                f"objective={name} is a score of the test split, which a search would fit its "
                f"settings to: name another one, or say {_ALLOW}"
            )
    return names


def check_searchable(config: DictConfig) -> None:
    """Refuse to search with objectives of the test split, unless the config asks for it.

    Args:
        config: The config of a training of the search.

    Raises:
        ConfigError: An objective is a score of the test split, also where that split chooses the
            epoch, and `objective_on_test` is false.
    """
    objectives(config)
    if config.data.selection == "test" and not config.objective_on_test:
        raise ConfigError(
            "data.selection=test chooses the epoch on the test split, to which a search would then "
            f"fit its settings: choose data.selection=holdout, or say {_ALLOW}"
        )


def objective(config: DictConfig, metrics: Mapping[str, Any]) -> float | list[float] | None:
    """Return the value of the objective, or a list of values where `objective` is a list.

    Args:
        config: The config of the run.
        metrics: The content of its metrics.json.

    Returns:
        None where the test split chose the epoch and `objective_on_test` is false, and for runs of
        versions that did not note the value.

    Raises:
        ConfigError: metrics.json has no such number, or `objectives` refuses the names.
    """
    names = objectives(config)
    selection = _at(metrics, "meta.selection")
    chosen_on_test = isinstance(selection, Mapping) and selection.get("split") == "test"
    if chosen_on_test and not config.objective_on_test:
        return None
    values = [_value(metrics, name) for name in names]
    if isinstance(config.objective, ListConfig):
        return None if None in values else [value for value in values if value is not None]
    return values[0]


def returned(config: DictConfig, metrics: Mapping[str, Any] | None) -> Returned:
    """Return what a sweeper is handed back for a run that has ended.

    A trial that may be pruned is pruned where its validations say so, also if its run was trained
    to its end outside the search: so the search does not depend on that.

    Args:
        config: The config of the run, with its `run_dir`.
        metrics: The content of its metrics.json; None if it has none.

    Raises:
        ConfigError: As `objective`.
        DataError: The file of the search, or the mark in the run folder, cannot be read.
    """
    if config.get("pruning") is None:
        return None if metrics is None else objective(config, metrics)
    if metrics is None:
        pruned = read_pruned(RunFolder(Path(config.run_dir)))
        return None if pruned is None else TrialResult(None, pruned.values, pruned=True)
    values = values_of(_at(metrics, "meta.selection.validations"))
    after = read_pruning(config.pruning).pruned_after(values)
    if after is not None:
        return TrialResult(None, values[:after], pruned=True)
    return TrialResult(objective(config, metrics), values)


def _value(metrics: Mapping[str, Any], name: str) -> float | None:
    if name == MONITOR:
        best = _at(metrics, "meta.selection.value")
        return best if _is_number(best) else None
    value = metrics.get(name, _at(metrics, name))
    if not _is_number(value):
        raise ConfigError(
            f"objective={name}: metrics.json has no such number; it has {', '.join(_keys(metrics))}"
        )
    return value  # type: ignore[no-any-return]


def _keys(metrics: Mapping[str, Any]) -> list[str]:
    """The keys of all finite numbers."""
    meta = metrics.get("meta")
    inner = meta if isinstance(meta, Mapping) else {}
    return [key for key in metrics if _is_number(metrics[key])] + [
        f"meta.{key}" for key in inner if _is_number(inner[key])
    ]


def _at(node: Any, key: str) -> Any:
    """The value under a key with dots, or None if there is none."""
    for part in key.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
