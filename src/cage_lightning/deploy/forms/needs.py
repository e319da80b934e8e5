"""Packages of the extra `export`, imported where they are needed."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from cage_lightning.errors import ConfigError

# Read by nncf when it is imported: without it, each use would be reported to its makers.
os.environ.setdefault("NNCF_CI", "1")


def needed(*names: str) -> list[Any]:
    """Import packages.

    Raises:
        ConfigError: One of them is missing; names the extra that brings it.
    """
    try:
        return [import_module(name) for name in names]
    except ImportError as error:
        raise ConfigError(
            f"this needs {', '.join(names)} ({error}): pip install 'cage-lightning[export]'"
        ) from error
