"""Hydra's compositions of the files in conf/, each made once in a test run.

To compose a config takes Hydra a fifth of a second, and the tests do it a thousand times. Each
file is read once. Which files make up a config, and what they say together, depends on the chosen
groups alone: it is kept for each choice. Hydra applies the other overrides every time.
"""

from __future__ import annotations

import copy
import functools
import itertools
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra._internal import config_loader_impl, defaults_list
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import (
    CachingConfigRepository,
    ConfigRepository,
    IConfigRepository,
)
from hydra._internal.hydra import Hydra
from hydra.core.default_element import InputDefault, ResultDefault
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, base

from cage_lightning.app.schema import CONF_DIR

_Function = Callable[..., Any]


def remember_compositions() -> None:
    """Let Hydra read conf/ once; files elsewhere are read every time."""
    for owner, name, remembering in (
        (ConfigRepository, "load_config", _remember_source),
        (config_loader_impl, "create_defaults_list", _remember_files),
        (CachingConfigRepository, "__init__", _copy_lightly),
        (defaults_list, "_create_interpolation_map", _where_it_is_asked),
        (ConfigLoaderImpl, "_compose_config_from_defaults_list", _remember_content),
        (ConfigLoaderImpl, "_load_single_config", _take_together),
        (Hydra, "get_mode", _remember_mode),
        (HydraConfig, "set_config", _share_settings),
        (OverridesParser, "parse_rule", _remember_rule),
        (base.Box, "_re_parent", _leave_right_parents),
        (base, "parse", functools.cache),
    ):
        setattr(owner, name, remembering(getattr(owner, name)))


class _Read(ConfigResult):
    """What a file says; its content is copied where it is asked for: mostly its head is."""

    def __init__(self, result: ConfigResult) -> None:
        vars(self).update(vars(result), kept=pickle.dumps(result.config))
        del self.config

    def __getattr__(self, name: str) -> Any:
        if name != "config":
            raise AttributeError(name)
        self.config = pickle.loads(vars(self)["kept"])
        return self.config


def _remember_source(load: _Function) -> _Function:
    """Keep a file as Hydra reads it."""
    known: dict[str, _Read | None] = {}

    @functools.wraps(load)
    def load_config(self: ConfigRepository, config_path: str) -> Any:
        if not _reads_only_conf(self):
            return load(self, config_path)
        if config_path not in known:
            result = load(self, config_path)
            known[config_path] = result and _Read(result)
        return copy.copy(known[config_path])

    return load_config


def _copy_lightly(make: _Function) -> _Function:
    """Copy of a repository what a composition replaces, its list of sources, not all schemas."""

    @functools.wraps(make)
    def initialize(self: CachingConfigRepository, delegate: IConfigRepository) -> None:
        self.delegate = copy.copy(delegate)
        self.cache = {}

    return initialize


def _remember_files(create: _Function) -> _Function:
    """Keep which files make up a config."""
    known: dict[tuple[Any, ...], Any] = {}

    @functools.wraps(create)
    def create_defaults_list(
        repo: IConfigRepository, config_name: str, overrides_list: list[Override], **how: Any
    ) -> Any:
        if not _reads_only_conf(repo):
            return create(repo, config_name, overrides_list, **how)
        choices = [override for override in overrides_list if _may_choose(override, repo)]
        key = (config_name, *(choice.input_line for choice in choices), *how.items())
        if key not in known:
            known[key] = create(repo, config_name, choices, **how)
        values = [override for override in overrides_list if override not in choices]
        return replace(known[key], config_overrides=known[key].config_overrides + values)

    return create_defaults_list


def _where_it_is_asked(create: _Function) -> _Function:
    """Tell which choices are known only to a file whose list of defaults refers to them."""

    @functools.wraps(create)
    def create_interpolation_map(
        overrides: Any, of_a_file: list[InputDefault], self_added: bool
    ) -> DictConfig:
        if not any(default.is_interpolation() for default in of_a_file):
            return DictConfig({})
        known: DictConfig = create(overrides, of_a_file, self_added)
        return known

    return create_interpolation_map


def _remember_content(compose: _Function) -> _Function:
    """Keep what the files of a config say together, and what those of Hydra say that come first."""
    known: dict[str, bytes] = {}

    def kept(self: ConfigLoaderImpl, defaults: list[Any], repo: IConfigRepository) -> bytes:
        key = repr(defaults)
        if key not in known:
            known[key] = pickle.dumps(compose(self, defaults, repo))
        return known[key]

    @functools.wraps(compose)
    def compose_config(self: ConfigLoaderImpl, defaults: list[Any], repo: IConfigRepository) -> Any:
        if not _reads_only_conf(repo):
            return compose(self, defaults, repo)
        first = list(itertools.takewhile(_is_of_hydra, defaults))
        together = _Together(config_path=repr(first), content=kept(self, first, repo))
        return pickle.loads(kept(self, [together, *defaults[len(first) :]], repo))

    return compose_config


def _is_of_hydra(default: ResultDefault) -> bool:
    return (default.config_path or "").startswith("hydra/")


@dataclass
class _Together(ResultDefault):
    """Several files in the place of one, as they are merged."""

    content: bytes = b""


def _take_together(load: _Function) -> _Function:
    """Load several files that are merged already."""

    @functools.wraps(load)
    def load_config(self: ConfigLoaderImpl, default: ResultDefault, repo: IConfigRepository) -> Any:
        if isinstance(default, _Together):
            return ConfigResult("", "", pickle.loads(default.content), {})
        return load(self, default=default, repo=repo)

    return load_config


def _remember_mode(ask: _Function) -> _Function:
    """Keep which choices make a sweep: to know it, Hydra composes the whole config once more."""
    known: dict[tuple[str, ...], Any] = {}

    @functools.wraps(ask)
    def get_mode(self: Hydra, config_name: str, overrides: list[str]) -> Any:
        repo = vars(self.config_loader)["repository"]
        if not _reads_only_conf(repo):
            return ask(self, config_name, overrides)
        choices = [
            typed
            for typed in overrides
            if typed.startswith("hydra") or repo.group_exists(typed.lstrip("+~").partition("=")[0])
        ]
        key = (config_name, *choices)
        if key not in known:
            known[key] = ask(self, config_name, choices)
        sweeps = known[key] == RunMode.MULTIRUN
        return ask(self, config_name, overrides) if sweeps else known[key]

    return get_mode


def _share_settings(_: _Function) -> _Function:
    """Let HydraConfig hold the settings of Hydra themselves; it would copy them, twice a job."""

    def set_config(self: HydraConfig, cfg: DictConfig) -> None:
        OmegaConf.set_readonly(cfg.hydra, True)
        shared = DictConfig({"hydra": cfg.hydra}, flags={"no_deepcopy_set_nodes": True})
        shared.hydra._set_parent(cfg)
        vars(self)["cfg"] = shared

    return set_config


def _remember_rule(parse: _Function) -> _Function:
    """Keep what an override means; one that cannot be read is read every time."""
    known: dict[tuple[str, str], Any] = {}

    @functools.wraps(parse)
    def parse_rule(self: OverridesParser, s: str, rule_name: str) -> Any:
        if (s, rule_name) not in known:
            known[s, rule_name] = parse(self, s, rule_name)
        return copy.deepcopy(known[s, rule_name])

    return parse_rule


def _leave_right_parents(correct: _Function) -> _Function:
    """Set only those parents that a merge has left wrong; OmegaConf sets that of every node."""

    @functools.wraps(correct)
    def re_parent(self: base.Box) -> None:
        content = vars(self)["_content"]
        if not isinstance(content, dict | list):
            correct(self)
            return
        for node in content.values() if isinstance(content, dict) else content:
            if vars(node)["_parent"] is not self:
                node._set_parent(self)
            if isinstance(node, base.Box):
                re_parent(node)

    return re_parent


def _may_choose(override: Override, repo: IConfigRepository) -> bool:
    """Whether an override may say which files make up a config."""
    return override.is_sweep_override() or repo.group_exists(override.key_or_group)


def _reads_only_conf(repo: IConfigRepository) -> bool:
    files = [source.path for source in repo.get_sources() if source.scheme() == "file"]
    return all(Path(path) == CONF_DIR for path in files)
