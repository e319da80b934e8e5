"""Hydra's compositions of conf/, each read and composed once in a test run.

To compose a config takes Hydra a fifth of a second, and the tests do it a thousand times.
"""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository

from cage_lightning.app import command
from cage_lightning.app.schema import CONF_DIR

_Load = Callable[..., Any]


def remember_compositions() -> None:
    """Let Hydra and the commands read conf/ from memory; files elsewhere are read every time."""
    for owner, name, remembered in (
        (ConfigRepository, "load_config", _remembered_file),
        (ConfigLoaderImpl, "_load_configuration_impl", _remembered_config),
        (command, "_content", _remembered_content),
    ):
        setattr(owner, name, remembered(getattr(owner, name)))


def _remembered_file(load: _Load) -> _Load:
    known: dict[str, bytes] = {}

    @functools.wraps(load)
    def load_config(self: ConfigRepository, config_path: str) -> Any:
        if not _reads_only_conf(self):
            return load(self, config_path)
        if config_path not in known:
            known[config_path] = pickle.dumps(load(self, config_path))
        return pickle.loads(known[config_path])

    return load_config


def _remembered_config(load: _Load) -> _Load:
    known: dict[tuple[Any, ...], bytes] = {}

    @functools.wraps(load)
    def load_configuration(
        self: ConfigLoaderImpl, config_name: str, overrides: list[str], **how: Any
    ) -> Any:
        searches = any("hydra.searchpath" in override for override in overrides)
        if searches or not _reads_only_conf(self.repository):
            return load(self, config_name, overrides, **how)
        key = (config_name, *overrides, *how.items())
        if key not in known:
            known[key] = pickle.dumps(load(self, config_name, overrides, **how))
        config = pickle.loads(known[key])
        config.hydra.runtime.cwd = str(Path.cwd())
        return config

    return load_configuration


def _remembered_content(read: _Load) -> _Load:
    known = functools.cache(read)

    @functools.wraps(read)
    def content(file: Path) -> Any:
        return known(file) if file.is_relative_to(CONF_DIR) else read(file)

    return content


def _reads_only_conf(repository: ConfigRepository) -> bool:
    files = [source.path for source in repository.get_sources() if source.scheme() == "file"]
    return all(Path(path) == CONF_DIR for path in files)
