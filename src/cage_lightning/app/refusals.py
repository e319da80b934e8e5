"""Turns an error that a library raises about a setting into one that names the setting."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf

from cage_lightning.app.signatures import key_of, shown
from cage_lightning.errors import CageError, ConfigError


@contextmanager
def naming(node: Any) -> Iterator[None]:
    """Let what goes wrong while a node is built name its key, and its settings that are meant.

    The user chose what is built and with which settings; HYDRA_FULL_ERROR=1 shows where it failed.

    Raises:
        CageError: As raised by what is built; ConfigError in place of any other exception.
    """
    try:
        yield
    except CageError:
        raise
    except Exception as error:
        cause = error.__cause__ if isinstance(error, InstantiationException) else None
        if isinstance(cause, CageError):
            raise cause from None
        raise ConfigError(_message(node, error, cause or error)) from error


def naming_later(partial: Callable[..., Any], node: Any) -> Callable[..., Any]:
    """The same call, which is made `naming` its node."""

    def call(*arguments: Any, **named: Any) -> Any:
        with naming(node):
            return partial(*arguments, **named)

    return call


def _message(node: Any, error: Exception, cause: BaseException) -> str:
    message = " ".join(str(cause).split()) or type(cause).__name__
    inner = re.search(r"full_key: (\S+)", str(error))
    if inner:
        message = message.replace(f"full_key: {inner.group(1)}", "").strip()
    place = re.sub(r"\[(\d+)\]", r".\1", inner.group(1)) if inner else key_of(node)
    root = node._get_root() if isinstance(node, DictConfig) else None
    settings = OmegaConf.select(root, place) if isinstance(root, DictConfig) else None
    meant = [f"{place}.{setting}" for setting in _meant(settings, message)]
    return f"{', '.join(meant) or place}: {message}"


def _meant(settings: Any, message: str) -> list[str]:
    """The settings that a message names, else the only one whose value it quotes."""
    if not isinstance(settings, DictConfig):
        return []
    values = {str(k): v for k, v in settings.items() if not str(k).startswith("_")}
    named = [key for key in values if re.search(rf"\b{re.escape(key)}\b", message)]
    quoted = [key for key, value in values.items() if _quotes(message, value)]
    chosen = named or (quoted if len(quoted) == 1 else [])
    return [f"{key}={shown(values[key])}" for key in chosen if not OmegaConf.is_config(values[key])]


def _quotes(message: str, value: Any) -> bool:
    texts = {str(value), str(float(value))} if isinstance(value, (int, float)) else {str(value)}
    return any(
        re.search(rf"(?<![\w.]){re.escape(text)}(?![\w.])", message) for text in texts if text
    )
