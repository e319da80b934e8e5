"""Errors a user can mend. The command line prints their message, without a traceback."""

from __future__ import annotations

from collections.abc import Iterable


class CageError(Exception):
    """Something the user can put right: the message names the file, key or row, and the remedy."""


class ConfigError(CageError):
    """A setting that does not exist, or that contradicts another one."""


class DataError(CageError):
    """A dataset, picture or annotation that is missing, broken or out of range."""


class CheckpointError(CageError):
    """A weight file that is missing, unreadable, or made for another network."""


class DivergedError(CageError):
    """A loss or an output that is not finite: there is no result, whatever the scores would say."""


class OutputError(CageError):
    """A file that cannot be written, or no room: on its disk, or in shared memory."""


def check_choice(key: str, value: str, allowed: Iterable[str]) -> None:
    """Refuse a setting that is not among the allowed values.

    Raises:
        ConfigError: It is not; names them all.
    """
    if value not in (choices := tuple(allowed)):
        raise ConfigError(f"{key}={value}: choose one of {', '.join(choices)}")


def check_between(key: str, value: float, least: float, most: float) -> None:
    """Refuse a number outside of a range; its ends belong to it.

    Raises:
        ConfigError: It is outside, or NaN.
    """
    if not least <= value <= most:
        raise ConfigError(f"{key}={value} is not between {least} and {most}")


def check_not_negative(key: str, value: float) -> None:
    """Refuse a number below 0.

    Raises:
        ConfigError: It is negative, or NaN.
    """
    if not value >= 0:
        raise ConfigError(f"{key}={value} is less than 0")


def check_seed(value: int) -> None:
    """Refuse a seed that NumPy does not take.

    Raises:
        ConfigError: It is negative or needs more than 32 bits.
    """
    check_between("seed", value, 0, 2**32 - 1)


def first_line(error: BaseException) -> str:
    """What an error of another library says, without its details."""
    return str(error).strip().partition("\n")[0]
