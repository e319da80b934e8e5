"""Which settings of a run a sweep chose, and the tag that they give it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from cage_lightning.app.cli import multirun
from cage_lightning.runs.naming import named_settings, tag_of
from cage_lightning.runs.pruning import PRUNING
from cage_lightning.runs.wandb_agent import chosen_keys


def automatic_tag(config: DictConfig, chosen: dict[str, Any]) -> str | None:
    """The tag of a run whose settings a sweep chose; None if its name holds them all.

    Args:
        config: The config of the run, not resolved.
        chosen: Key and value of the settings.
    """
    named = named_settings(config)
    left = {key: value for key, value in chosen.items() if key not in {*named, PRUNING}}
    return tag_of(left) if left else None


def chosen_by_sweep(sweep: DictConfig, job: Sequence[str]) -> dict[str, Any]:
    """The settings of a job that its sweep chose: those that were not given a single value.

    Args:
        sweep: The `hydra` node of the sweep.
        job: The overrides that the sweeper made for the job.
    """
    return _chosen(job, [*_params(sweep), *_as_typed(sweep.overrides.task)])


def chosen_for_this_process() -> dict[str, Any]:
    """The settings of this process's run that `wandb agent` chose, or `hydra/launcher=basic`.

    Any other launcher starts a process for each job, and names its run.
    """
    if not HydraConfig.initialized():
        return {}
    hydra = HydraConfig.get()
    job = _as_typed(hydra.overrides.task)
    chosen = chosen_by_wandb(job)
    if multirun() and hydra.runtime.choices["hydra/launcher"] == "basic":
        typed = [word for word in sys.argv[1:] if "=" in word and not word.startswith("-")]
        chosen |= _chosen(job, [*_params(hydra), *typed])
    return chosen


def chosen_by_wandb(job: Sequence[str]) -> dict[str, Any]:
    """The settings of a run that `wandb agent` chose; empty without it."""
    keys = chosen_keys()
    if not keys:
        return {}
    return {one.key_or_group: one.value() for one in _parsed(job) if one.key_or_group in keys}


def _chosen(job: Sequence[str], arguments: Sequence[str]) -> dict[str, Any]:
    # The last one counts: the command line after `hydra.sweeper.params`.
    single = {one.key_or_group: not one.is_sweep_override() for one in _parsed(arguments)}
    return {
        one.key_or_group: one.value()
        for one in _parsed(job)
        if not (single.get(one.key_or_group) or one.is_delete() or one.is_hydra_override())
    }


def _params(hydra: Any) -> Iterator[str]:
    """The overrides that a sweep file gives to the sweeper."""
    params = OmegaConf.select(hydra, "sweeper.params")
    for key, value in (params or {}).items():  # resolved, as Hydra's sweeper reads them
        yield f"{key}={value}"


def _as_typed(node: Any) -> Any:
    """A container without resolving what overrides refer to."""
    return OmegaConf.to_container(node, resolve=False)


def _parsed(overrides: Sequence[str]) -> list[Override]:
    return OverridesParser.create().parse_overrides(list(overrides))
