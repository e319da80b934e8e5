"""What makes a run the same run: which of its settings count, and how older configs are read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from cage_lightning.errors import DataError
from cage_lightning.system.links import refuse_outside

# Where and how fast a run is computed, not what: may differ when a run is taken up again. The batch
# is shared out among the devices and every statistic is that of the whole batch.
EXECUTION = (
    "runs",
    "run_dir",
    "local",
    "logger",
    "figures",
    "init_wait_s",
    "start_group",  # these two only lead to init_from
    "starts",
    "callbacks.progress",
    "callbacks.progress_log",
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

# What says nothing about a run that its other settings do not say: the names of its choices, what
# its sweep could choose from, and weights that those of the data replaced.
WITHOUT_EFFECT = ("choices", "at", "loss.class_weights")

# Settings that a run may have been written without, and the value that their absence stood for. A
# new setting of `train` needs its line here: else no run from before is taken up again.
ABSENT: Mapping[str, Any] = MappingProxyType({"loss.gamma": 1.0})

TIMM = "timm"  # what the folder of every network of timm was called once


def essence(settings: Any) -> dict[str, Any]:
    """What a run computes, as flat keys: its settings without those of EXECUTION.

    Args:
        settings: The config of a run as plain containers, of this version or an older one.
    """
    left_out = (*EXECUTION, *WITHOUT_EFFECT)
    return dict(ABSENT) | {
        key: value
        for key, value in flat(settings).items()
        if not any(key == other or key.startswith(f"{other}.") for other in left_out)
    }


def flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings as one, the keys joined by dots; lists and empty mappings are values."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            found |= {f"{key}.{inner}": content for inner, content in flat(value).items()}
        else:
            found[str(key)] = value
    return found


def network_name(settings: Mapping[str, Any]) -> str:
    """What the config of a run, of this version or an older one, calls its network."""
    name: str = settings["choices"]["model"]
    return settings["model"]["name"] if name == TIMM else name


def read_config(file: Path) -> dict[str, Any]:
    """The config.yaml of a run, which may come from anyone, as plain containers.

    Nothing in it is resolved: a ``${...}`` stays the text that it is.

    Raises:
        DataError: It is unreadable, a link that leads out of its folder, or no config.
    """
    refuse_outside(file.parent, file)
    try:
        settings = yaml.load(file.read_bytes(), _PlainLoader)  # a SafeLoader
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise DataError(f"{file} is unreadable: {' '.join(str(error).split())}") from error
    if not isinstance(settings, dict):
        raise DataError(f"{file} is no config of a run")
    return settings


class _PlainLoader(yaml.SafeLoader):  # type: ignore[misc]  # yaml has no types
    """YAML as configs are written: no references, with which a short file can mean a huge one."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has references (*name), which no config of a run has")
        return super().compose_node(parent, index)
