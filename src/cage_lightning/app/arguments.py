"""Reads the arguments of a command before Hydra does, so that errors name what to type instead."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, Quote, QuotedString
from hydra.errors import HydraException

from cage_lightning.app.command import Command
from cage_lightning.errors import ConfigError

_LONGEST = 255  # bytes that file systems take for a name
_ACTIONS = ("run", "multirun", "cfg", "info", "shell_completion")


def parse_options(arguments: Sequence[str]) -> argparse.Namespace:
    """Hydra's options, and the overrides as they were typed.

    Raises:
        ConfigError: There is no such option, or it stands where it cannot be read.
    """
    parser = get_args_parser()
    parser.exit_on_error = False  # else argparse prints all options before its message
    try:
        options, unknown = parser.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        raise ConfigError(f"{error}; --hydra-help lists the options") from error
    for argument in unknown:
        raise ConfigError(_misplaced(argument))
    chosen = [f"--{action.replace('_', '-')}" for action in _ACTIONS if getattr(options, action)]
    if len(chosen) > 1:
        raise ConfigError(f"{' and '.join(chosen)} exclude each other: choose one")
    if options.resolve and not options.cfg:
        raise ConfigError("--resolve belongs to --cfg: --cfg job --resolve")
    return options


def check_overrides(arguments: Sequence[str], command: Command) -> None:
    """Refuse what Hydra's grammar cannot read, and what is no choice of a group.

    Raises:
        ConfigError: Names the argument, and how it is written, or what it goes with.
    """
    parser = OverridesParser.create()
    for argument in arguments:
        try:
            override = parser.parse_override(argument)
        except (HydraException, ValueError) as error:  # Python reads no number of 5,000 digits
            raise ConfigError(_unreadable(argument, parser)) from error
        group = override.key_or_group
        if not group or _is_too_long(group):
            raise ConfigError(_unknown(argument, group))
        if not command.is_group(group):
            continue
        if override.is_delete() and group == "data" and "data" in command.groups:
            raise ConfigError(f"data=... is needed: one of {', '.join(command.groups[group])}")
        if not (
            isinstance(override.value(), str | None)
            if override.is_delete()
            else all(map(_chooses, _values(override)))
        ):
            raise ConfigError(f"{argument}: {_what_to_choose(group, command)}")
        if group == "at" and not any(other.startswith("sweep=") for other in arguments):
            raise ConfigError(f"{argument} says what a sweep runs on: choose one with sweep=...")


def as_choices(arguments: Sequence[str], command: Command) -> list[str]:
    """The arguments, with quotes around the name of a choice that Hydra takes for a number.

    ``debug=nan`` becomes ``debug="nan"``.
    """
    parser = OverridesParser.create()

    def quoted(argument: str) -> str:
        group, _, name = argument.partition("=")
        if not command.is_group(group) or not _is_number(argument, parser):
            return argument  # most end here, and the files of the choices stay unread
        return f'{group}="{name}"' if name in command.groups.get(group, []) else argument

    return [quoted(argument) for argument in arguments]


def as_text(argument: str) -> str:
    """An override as it is typed into a shell, its value quoted so that Hydra takes it for text.

    A leading ``~`` becomes the folder that it means: no shell replaces it after a ``=``.
    """
    key, _, value = argument.partition("=")
    quote = Quote.single if '"' in value and "'" not in value else Quote.double
    place = os.path.expanduser(value)  # noqa: PTH111 - a Path would change other texts
    text = QuotedString(place, quote).with_quotes()
    return shlex.quote(f"{key}={text}")


def _is_number(argument: str, parser: OverridesParser) -> bool:
    """Whether Hydra takes a setting's value for a number, a truth value or null."""
    try:
        value = parser.parse_override(argument).value()
    except (HydraException, ValueError):  # `check_overrides` says what is wrong
        return False
    return value is None or isinstance(value, int | float)


def _misplaced(argument: str) -> str:
    if not argument.startswith("-"):
        return f"{argument} stands apart: write options such as -m before all settings"
    if "=" in argument:
        setting = shlex.quote(argument.lstrip("-"))
        return f"there is no option {argument}; settings have no dashes: {setting}"
    return f"there is no option {argument}; --hydra-help lists them"


def _unreadable(argument: str, parser: OverridesParser) -> str:
    key, equals, value = argument.partition("=")
    if not equals:
        return f"cannot read '{argument}': a setting is written KEY=VALUE; --help shows how"
    try:
        parser.parse_override(f"{key}=1")
    except HydraException:
        return _unknown(argument, key)
    brackets = (value[:1], value[-1:])  # quoted as a whole it would be a text
    if brackets == ("{", "}") and key == "mapping":
        return (
            f"cannot read {argument}: in front of a colon only letters from a to z, digits, _ and "
            "blanks can stand. Write a YAML file with a line for each, as in `Ärger: Anger`, and "
            "name it: mapping=FILE.yaml"
        )
    if brackets in (("[", "]"), ("{", "}")):
        return (
            f"cannot read {argument}: quote the names in it, as in "
            """'data.categories=["Ärger","sehr müde"]'"""
        )
    return f"cannot read {argument}: quote the value, as in {as_text(argument)}"


def _unknown(argument: str, key: str) -> str:
    return f"cannot read '{argument}': there is no setting '{key}'; `--cfg job` prints them all"


def _is_too_long(name: str) -> bool:
    """Whether no file or folder can be called so."""
    return any(len(os.fsencode(part)) > _LONGEST for part in name.split("/"))


def _values(override: Override) -> Iterator[Any]:
    value = override.value()
    yield from value.list if isinstance(value, ChoiceSweep) else [value]


def _chooses(value: Any) -> bool:
    """Whether a value is the name of a choice, or of several; a mapping adds to what is chosen."""
    names = value if isinstance(value, list) else [value]
    return isinstance(value, dict) or all(
        isinstance(name, (str, QuotedString)) and not _is_too_long(_text(name)) for name in names
    )


def _text(name: str | QuotedString) -> str:
    return name.text if isinstance(name, QuotedString) else name


def _what_to_choose(group: str, command: Command) -> str:
    choices = command.groups.get(group)
    if choices is None:
        return f"{group} takes the name of a choice"
    return f"choose one of {', '.join(choices)}, or leave {group} out"
