"""YAML from anyone, as plain containers."""

from __future__ import annotations

from typing import Any

import yaml


def load_plain(content: bytes) -> Any:
    """Read YAML; nothing in it is called, looked up or expanded.

    Raises:
        ValueError: It is no YAML, or has references.
    """
    try:
        return yaml.load(content, _PlainLoader)  # a SafeLoader
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise ValueError(" ".join(str(error).split())) from error


class _PlainLoader(yaml.SafeLoader):  # type: ignore[misc]  # yaml has no types
    """A safe loader that refuses YAML references, with which a short file can mean a huge one."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has references (*name), which no such file has")
        return super().compose_node(parent, index)
