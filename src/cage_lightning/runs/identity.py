"""The identity of a run: which settings count, and how configs of older versions are read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cage_lightning.errors import DataError
from cage_lightning.system.paths import refuse_outside
from cage_lightning.system.plain_yaml import read_plain

# These settings decide where and how fast a run is computed, but not its result, so they may differ
# when a run is resumed. The number of devices is among them: they share one batch, and every
# statistic is that of the whole batch.
EXECUTION = (
    "runs",
    "run_dir",
    "local",
    "logger",
    "figures",
    "pictures",
    "init_wait_s",
    "objective",  # what a search reads of the results, as does the next one
    "objective_on_test",
    "pruning",  # a run that it ends early has no results
    "start_group",  # this setting and the next one only compose init_from
    "starts",
    "callbacks.progress",
    "callbacks.progress_log",
    "callbacks.step_timeout",
    "callbacks.last",
    "callbacks.best.dirpath",
    "data.root",
    "data.store",
    "data.num_workers",
    "trainer.accelerator",
    "trainer.devices",
    "trainer.num_nodes",
    "trainer.strategy",
    "trainer.enable_progress_bar",
    "trainer.log_every_n_steps",
)

# These settings add nothing to the other ones: the names of the chosen config files, what a sweep
# could choose from, what other settings look up, class weights that `data.class_weights` has
# replaced, and that nothing is run.
WITHOUT_EFFECT = ("choices", "at", "scripts", "loss.class_weights", "dry")

# Settings that configs of older runs lack, with the value that the code used then. A new setting of
# `train` needs a line here: without it, no older run could be resumed.
ABSENT: Mapping[str, Any] = MappingProxyType(
    {
        "loss.gamma": 1.0,
        "loss.label_smoothing": 0.0,
        "data.soft_labels": False,
        "data.copies": "keep",
        "data.mixup": 0.0,
        "data.cutmix": 0.0,
        "layer_decay": 1.0,
        "decay_norms_and_biases": True,
        "sam": 0.0,
        "skip_not_finite": 0,
        "compile": "off",
    }
)

TIMM = "timm"  # the model's name in the folders of older versions, for every network of timm


def essence(settings: Any) -> dict[str, Any]:
    """Return the settings of a run that decide its result, by keys joined with dots.

    Two configs with equal results describe the same run.

    Args:
        settings: The config of a run as plain containers, from this version or an older one.
    """
    left_out = (*EXECUTION, *WITHOUT_EFFECT)
    return dict(ABSENT) | {
        key: value
        for key, value in flat(settings).items()
        if not any(key == other or key.startswith(f"{other}.") for other in left_out)
    }


def flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested mappings as one, keys joined by dots; lists and empty mappings are values."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            found |= {f"{key}.{inner}": content for inner, content in flat(value).items()}
        else:
            found[str(key)] = value
    return found


def network_name(settings: Mapping[str, Any]) -> str:
    """Return the name of the network in the config of a run, from this version or an older one."""
    name: str = settings["choices"]["model"]
    return settings["model"]["name"] if name == TIMM else name


def read_config(file: Path) -> dict[str, Any]:
    """Read the config.yaml of a run, which may come from anyone, as plain containers.

    No interpolation is resolved: ``${...}`` remains text.

    Raises:
        DataError: The file is unreadable, a link that leads out of its folder, or not a config.
    """
    refuse_outside(file.parent, file)
    try:
        settings = read_plain(file)
    except (OSError, ValueError) as error:
        raise DataError(f"{file} is unreadable: {' '.join(str(error).split())}") from error
    if not isinstance(settings, dict):
        raise DataError(f"{file} is no config of a run")
    return settings
