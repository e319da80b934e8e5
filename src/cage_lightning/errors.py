"""Errors that a user can put right: the command line prints their message without a traceback."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

_BEGINNING, _END = 2000, 1000  # characters of a message
_RAISED = re.compile(r"\n[\w.]+Error: ")


class CageError(Exception):
    """An error that the user can put right; it names the file, key or row, and the remedy.

    Each argument is a line of the message, whatever line breaks are in the names and values that it
    quotes. Of a message with a long quotation from a file, the middle is left out.
    """

    def __str__(self) -> str:
        first, *more = map(str, self.args or [""])
        # Of a loader's worker process; its message follows a traceback.
        first = _RAISED.split(first)[-1] if "Original Traceback" in first else first
        message = "\n".join(" ".join(line.splitlines()) for line in (first.strip(), *more))
        if len(message) <= _BEGINNING + _END:
            return message
        return f"{message[:_BEGINNING]} [...] {message[-_END:]}"


class ConfigError(CageError):
    """A setting that does not exist, or that contradicts another one."""


class DataError(CageError):
    """A dataset, picture or annotation that is missing, broken or out of range."""


class CheckpointError(CageError):
    """A weight file that is missing, unreadable, or made for another network."""


class DivergedError(CageError):
    """A loss or an output that is not finite, so that the run has no result."""


class OutputError(CageError):
    """A file that cannot be written, or too little room on a disk or in a memory."""


def check_choice(key: str, value: str, allowed: Iterable[str]) -> None:
    """Refuse a value of a setting that is not among the allowed ones.

    Args:
        key: The setting, for the message.
        value: Its value.
        allowed: The allowed values.

    Raises:
        ConfigError: The value is another one; names the allowed values.
    """
    if value not in (choices := tuple(allowed)):
        raise ConfigError(f"{key}={value}: choose one of {', '.join(choices)}")


def check_names(key: str, values: Any) -> tuple[str, ...] | None:
    """Refuse a value of a setting that is neither a list of names nor None.

    Raises:
        ConfigError: It is something else.
    """
    if values is None:
        return None
    if not isinstance(values, Sequence) or not all(isinstance(value, str) for value in values):
        raise ConfigError(f"{key}={values}: a list of names is needed, {key}=[A,B,C]")
    if isinstance(values, str):
        raise ConfigError(f"{key}={values}: a list is needed, {key}=[{values},...]")
    return tuple(values)


def check_between(key: str, value: float, least: float, most: float) -> None:
    """Refuse a number outside the closed interval [least, most].

    Raises:
        ConfigError: The number is outside, or NaN.
    """
    if not least <= value <= most:
        raise ConfigError(f"{key}={value} is not between {least} and {most}")


def check_not_negative(key: str, value: float) -> None:
    """Refuse a number below 0.

    Raises:
        ConfigError: The number is negative, or NaN.
    """
    if not value >= 0:
        raise ConfigError(f"{key}={value} is less than 0")


def check_seed(value: int) -> None:
    """Refuse a seed that NumPy does not accept.

    Raises:
        ConfigError: The seed is negative, or 2^32 or more.
    """
    check_between("seed", value, 0, 2**32 - 1)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, without the details that may follow it."""
    return str(error).strip().partition("\n")[0]
