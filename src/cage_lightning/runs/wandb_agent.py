"""A run that `wandb agent` starts: what it chose, and as which run of W&B.

The agent says both in the environment; its command line is written for Python, not for Hydra.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

_SETTINGS, _SWEEP, _RUN = "WANDB_SWEEP_PARAM_PATH", "WANDB_SWEEP_ID", "WANDB_RUN_ID"
_AS_IT_IS = re.compile(
    r"[\w./:+-]+|.*\$\{.*", re.ASCII
)  # numbers as well: YAML takes 1e-3 for a text


def chosen_keys() -> set[str]:
    """The keys of the settings that the agent chose; empty without one."""
    return {key for name, value in _settings().items() for key, _ in _flat(name, value)}


def run_id() -> str | None:
    """The id of the run that the agent waits for; None without one."""
    return os.environ.get(_RUN) if os.environ.get(_SWEEP) else None


def hydra_overrides(arguments: Iterable[str]) -> Iterator[str]:
    """A command line, with the settings that the agent chose as Hydra writes them.

    ``key=None`` becomes ``key=null``, nested parameters keys with dots; a text is quoted where
    Hydra would not take it for one.

    Args:
        arguments: Without the name of the program.
    """
    said = {f"{name}={value}": (name, value) for name, value in _settings().items()}
    for argument in arguments:
        if argument not in said:
            yield argument
            continue
        for key, value in _flat(*said[argument]):
            yield f"{key}={_written(value)}"


def _settings() -> dict[str, Any]:
    file = Path(os.environ.get(_SETTINGS, ""))
    if not file.is_file():
        return {}
    import yaml  # `--help` does without

    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    return {
        str(name): entry["value"]
        for name, entry in content.items()
        if isinstance(entry, Mapping) and "value" in entry
    }


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if not (isinstance(value, Mapping) and value):
        yield name, value
        return
    for inner, content in value.items():
        yield from _flat(f"{name}.{inner}", content)


def _written(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, list):
        return f"[{','.join(_written(one) for one in value)}]"
    if isinstance(value, str) and not _AS_IT_IS.fullmatch(value):
        escaped = re.sub(r"(\\*)'", r"\1\1\'", value)
        return f"'{escaped}'"
    return str(value)
