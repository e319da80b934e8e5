"""Errors a user can mend. The command line prints their message, without a traceback."""


class CageError(Exception):
    """Something the user can put right: the message names the file, key or row, and the remedy."""


class ConfigError(CageError):
    """A setting that does not exist, or that contradicts another one."""


class DataError(CageError):
    """A dataset, picture or annotation that is missing, broken or out of range."""


class CheckpointError(CageError):
    """A weight file that is missing, unreadable, or made for another network."""
