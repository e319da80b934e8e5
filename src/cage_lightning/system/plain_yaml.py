"""YAML from anyone, as plain containers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

MOST_BYTES = 1 << 17
"""Of a file: a config has a twentieth of it, and reading so much takes a second."""

_TAG = "tag:yaml.org,2002:"
_TAGS = {f"{_TAG}{name}" for name in ("null", "bool", "int", "float", "str", "seq", "map")}


def read_plain(file: Path) -> Any:
    """Read a YAML file; see `load_plain`.

    Raises:
        OSError: It cannot be read.
        ValueError: As `load_plain`.
    """
    with file.open("rb") as opened:
        return load_plain(opened.read(MOST_BYTES + 1))


def load_plain(content: bytes) -> Any:
    """Read YAML as lists, mappings, texts and numbers; nothing in it is called, or expanded.

    A date stays a text.

    Raises:
        ValueError: It is no YAML, has references or other types, or is larger than `MOST_BYTES`.
    """
    if len(content) > MOST_BYTES:
        raise ValueError(f"it is larger than {MOST_BYTES:,} bytes")
    try:
        return yaml.load(content, _PlainLoader)  # a SafeLoader
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise ValueError(" ".join(str(error).split())) from error


class _PlainLoader(yaml.SafeLoader):  # type: ignore[misc]  # yaml has no types
    """A safe loader that refuses YAML references, with which a short file can mean a huge one."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # the loader has them so
        first: [(tag, form) for tag, form in known if tag != f"{_TAG}timestamp"]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    yaml_constructors = {  # noqa: RUF012
        tag: make
        for tag, make in yaml.SafeLoader.yaml_constructors.items()
        if tag in _TAGS or tag is None
    }

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has references (*name), which no such file has")
        return super().compose_node(parent, index)
