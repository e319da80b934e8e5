"""What a command takes: its groups of choices and its help.

Read from its primary config, conf/<name>.yaml: nothing is composed and no plugin imported.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator
from dataclasses import Field, dataclass, fields
from functools import cache, cached_property
from pathlib import Path
from string import Template
from typing import Any

from omegaconf import OmegaConf

from cage_lightning.app.schema import CONF_DIR, SCHEMAS

_GLOBAL = "# @package _global_"


@dataclass(frozen=True)
class Command:
    """One of the commands, by its name.

    Attributes:
        name: That of its primary config.
        places: The folders that hold choices: conf/ and what the user adds with --config-dir.
    """

    name: str
    places: tuple[Path, ...] = (CONF_DIR,)

    @cached_property
    def groups(self) -> dict[str, list[str]]:
        """The choices of each group that the command offers, in the order of its defaults."""
        found = {group: self._choices(group) for group in self._offered()}
        return {group: choices for group, choices in found.items() if choices}

    @cached_property
    def keys(self) -> frozenset[str]:
        """Its top-level settings that a user may type, each a group or a value."""
        typed = {field.name for field in self._fields if field.metadata.get("typed", True)}
        return frozenset({*typed, *self._offered(), "hydra"})

    @property
    def _fields(self) -> tuple[Field[Any], ...]:
        return fields(SCHEMAS[self.name])

    def is_group(self, key: str) -> bool:
        """Whether Hydra takes a setting for a group, of this command or not."""
        # `Path.is_dir` fails for a name that is too long for one.
        return "/" in key or any(os.path.isdir(place / key) for place in self.places)  # noqa: PTH112

    def help(self) -> str:
        """What `--help` prints."""
        lines = [f"{group}: {', '.join(choices)}" for group, choices in self.groups.items()]
        wrapped = [textwrap.fill(line, 110, subsequent_indent="  ") for line in lines]
        template = Template(self._primary["hydra"]["help"]["template"])
        return template.substitute(APP_CONFIG_GROUPS="\n".join([*wrapped, ""]))

    @cached_property
    def _primary(self) -> Any:
        return _content(CONF_DIR / f"{self.name}.yaml")

    def _offered(self) -> Iterator[str]:
        """The groups in its defaults; those that follow from other choices name a package."""
        for entry in self._primary["defaults"]:
            for key in entry if isinstance(entry, dict) else ():
                if not key.startswith(("override ", "optional ")) and "@" not in key:
                    yield key

    def _choices(self, group: str) -> list[str]:
        files = {
            file.stem: file for place in self.places for file in (place / group).glob("*.yaml")
        }
        return sorted(name for name, file in files.items() if self._takes(file))

    def _takes(self, file: Path) -> bool:
        """Whether all that a choice sets is a setting of the command."""
        with file.open(encoding="utf-8") as lines:
            is_global = lines.readline().strip() == _GLOBAL
        known = self.keys | {field.name for field in self._fields}
        return not is_global or _set_by(file) <= known


def commands() -> list[str]:
    """The names of all commands."""
    return sorted(SCHEMAS)


def _set_by(file: Path) -> set[str]:
    """The top-level keys that a choice sets, itself or by the files of its group it is made of."""
    content = _content(file)
    found: set[str] = content.keys() - {"defaults"}
    for entry in content.get("defaults", []):
        base = file.parent / f"{entry}.yaml"
        if isinstance(entry, str) and base.is_file():
            found |= _set_by(base)
    return found


@cache
def _content(file: Path) -> Any:
    return OmegaConf.to_container(OmegaConf.load(file)) or {}
