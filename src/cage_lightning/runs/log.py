"""The log of a command: on the terminal, and in train.log of a run folder."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from io import TextIOWrapper
from pathlib import Path

from cage_lightning.system.atomic import open_log
from cage_lightning.system.credentials import without_credentials
from cage_lightning.system.escaping import for_terminal

# Warnings of Lightning and torch that concern no user of this suite.
_NO_CONCERN = (
    ".*does not have many workers.*",  # depends on the machine, not on the run
    ".*will create .* worker processes in total.*",  # as does this; somebody typed how many
    ".*is smaller than the logging interval.*",
    ".*exists and is not empty.*",  # the folder of a run that is resumed
    ".*sync_dist=True.*",  # the logged values are those of all ranks already
    ".*`srun` command is available.*",  # training on a login node is allowed
    r".*isinstance\(treespec, LeafSpec\).*",  # a deprecated call inside Lightning
)
# What tells the rank of a process, the first that is there, as Lightning reads them.
_RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")
# Loggers of Lightning that write only what a setting asks for.
_ASKED_FOR = (
    "lightning.pytorch.callbacks.model_summary",
    "lightning.pytorch.profilers.profiler",
)


def first_process() -> bool:
    """Whether this process is rank 0; known from the environment before the ranks are connected.

    Where Lightning is imported, it knows best: it starts processes of its own.
    """
    if (lightning := sys.modules.get("lightning.pytorch.utilities")) is not None:
        return int(getattr(lightning.rank_zero_only, "rank", 0)) == 0
    return int(next((os.environ[key] for key in _RANKS if key in os.environ), 0)) == 0


class _LogFile(logging.FileHandler):
    """A log file that is not written through a symbolic link, and drops lines on a full disk.

    The run itself reports a full disk, once.
    """

    def _open(self) -> TextIOWrapper:
        return open_log(Path(self.baseFilename))

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exception(), OSError):
            super().handleError(record)


class _Plain(logging.Formatter):
    """Lines without passwords, in which nothing steers a terminal: a stranger may name things."""

    def format(self, record: logging.LogRecord) -> str:
        return for_terminal(without_credentials(super().format(record)))


def start_logging(file: Path | None) -> None:
    """Send the log records of rank 0 to the terminal and to a file; other ranks log nothing.

    Args:
        file: The file to append to, or None for the terminal alone.

    Raises:
        DataError: The file is a symbolic link, or something else than a regular file.
    """
    for name in ("lightning.pytorch", "lightning.fabric"):
        logger = logging.getLogger(name)
        logger.handlers.clear()  # otherwise every line appears twice
        logger.setLevel(logging.WARNING)
    for name in _ASKED_FOR:
        logging.getLogger(name).setLevel(logging.INFO)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    logging.captureWarnings(True)
    for message in _NO_CONCERN:
        warnings.filterwarnings("ignore", message=message)
    if not first_process():
        root.addHandler(logging.NullHandler())
        return
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    handlers[0].setFormatter(_Plain("%(message)s"))
    handlers[0].addFilter(lambda record: not record.exc_info)  # Python prints tracebacks anyway
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(_LogFile(file))
        handlers[1].setFormatter(_Plain("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root.setLevel(logging.INFO)
    for handler in handlers:
        root.addHandler(handler)
