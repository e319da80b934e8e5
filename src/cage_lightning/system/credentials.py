"""Keys and passwords: they stay in the environment, and get into no file that a command writes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from cage_lightning.errors import ConfigError

_NAMES = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$", re.IGNORECASE)
_SHORTEST = 8  # characters: a shorter value may stand in any text
_IN_ADDRESS = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]*://)[^\s/@:]*:[^\s/@]+@")
_REFERENCE = re.compile(r"\$\{oc\.env:\s*(\w+)")
HIDDEN = "***"


def without_credentials(text: str) -> str:
    """A text without the passwords in addresses, and without the keys in the environment.

    >>> without_credentials("cannot reach https://me:pass@example.org/x")
    'cannot reach https://***@example.org/x'
    """
    for value in _known().values():
        text = text.replace(value, HIDDEN)
    return _IN_ADDRESS.sub(rf"\1{HIDDEN}@", text)


def refuse_credentials(settings: Mapping[str, Any]) -> None:
    """Refuse settings that hold a key of the environment, or an address with a password.

    Run folders, logs and W&B keep all settings.

    Args:
        settings: By key, as plain containers whose references are not resolved.

    Raises:
        ConfigError: Names the setting and not what it holds.
    """
    known = {value: name for name, value in _known().items()}
    for key, text in _texts("", settings):
        names = [name for value, name in known.items() if value in text]
        names += [name for name in _REFERENCE.findall(text) if _NAMES.search(name)]
        if names:
            raise ConfigError(
                f"{key} holds the value of {names[0]}, which run folders, logs and W&B would keep: "
                "leave it out; what needs a key finds it in the environment"
            )
        if _IN_ADDRESS.search(text):
            raise ConfigError(
                f"{key} holds an address with a password, which run folders, logs and W&B would "
                "keep: leave the password out, and log in before"
            )


def _known() -> dict[str, str]:
    """The keys in the environment, by the names of the variables; a path is none."""
    return {
        name: value
        for name, value in os.environ.items()
        if _NAMES.search(name) and len(value) >= _SHORTEST and not value.startswith((os.sep, "~"))
    }


def _texts(key: str, value: Any) -> Iterator[tuple[str, str]]:
    """All texts in containers, also those that are keys, with where they stand."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if isinstance(name, str):
                yield key or "the name of a setting", name
            yield from _texts(f"{key}.{name}".lstrip("."), inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(key, inner)
    elif isinstance(value, str):
        yield key, value
