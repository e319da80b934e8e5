"""A run that `wandb agent` starts: the settings that the agent chose, and the id of its W&B run.

The agent passes both in environment variables. It writes the values on the command line as Python
does, which Hydra would misread.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

_SETTINGS, _SWEEP, _RUN = "WANDB_SWEEP_PARAM_PATH", "WANDB_SWEEP_ID", "WANDB_RUN_ID"
# Texts that need no quotes. Numbers are among them: YAML reads 1e-3 as a text.
_AS_IT_IS = re.compile(r"[\w./:+-]+|.*\$\{.*", re.ASCII)


def chosen_keys() -> set[str]:
    """Return the keys of the settings that the agent chose; an empty set without an agent."""
    return {key for name, value in _settings().items() for key, _ in _flat(name, value)}


def run_id() -> str | None:
    """Return the id of the W&B run that the agent waits for, or None without an agent."""
    return os.environ.get(_RUN) if os.environ.get(_SWEEP) else None


def hydra_overrides(arguments: Iterable[str]) -> Iterator[str]:
    """Yield the arguments of a command line, those of the agent in the grammar of Hydra.

    ``key=None`` becomes ``key=null``, nested parameters become keys with dots, and a text is quoted
    where Hydra would otherwise read it as something else.

    Args:
        arguments: The arguments without the name of the program.
    """
    chosen = {f"{name}={value}": (name, value) for name, value in _settings().items()}
    for argument in arguments:
        if argument not in chosen:
            yield argument
            continue
        for key, value in _flat(*chosen[argument]):
            yield f"{key}={_written(value)}"


def _settings() -> dict[str, Any]:
    file = Path(os.environ.get(_SETTINGS, ""))
    if not file.is_file():
        return {}
    import yaml  # imported here, because `--help` does not need it

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
