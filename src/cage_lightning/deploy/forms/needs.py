"""Packages of the extra `export`, imported where they are needed."""

from __future__ import annotations

from typing import Any

from cage_lightning.errors import ConfigError
from cage_lightning.system.extras import import_extra


def needed(*names: str) -> list[Any]:
    """Import packages.

    Raises:
        ConfigError: One of them is missing; names the extra that brings it.
    """
    try:
        return [import_extra(name) for name in names]
    except ImportError as error:
        raise ConfigError(
            f"this needs {', '.join(names)} ({error}): pip install 'cage-lightning[export]'"
        ) from error
