"""What a person sees while it runs: the log."""

from __future__ import annotations

import logging
import sys
import warnings
from io import TextIOWrapper
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_only

from cage_lightning.system.atomic import open_log

_NO_CONCERN = (
    ".*does not have many workers.*",  # depends on the machine, not on the run
    ".*is smaller than the logging interval.*",
    ".*exists and is not empty.*",  # the folder of a run that is taken up again
    ".*sync_dist=True.*",  # what is logged is that of all ranks already
    ".*`srun` command is available.*",  # a login node may train as well
    r".*isinstance\(treespec, LeafSpec\).*",  # inside Lightning
)
# What Lightning says only when it is asked to.
_ASKED_FOR = (
    "lightning.pytorch.callbacks.model_summary",
    "lightning.pytorch.profilers.profiler",
)


def first_process() -> bool:
    """Whether this is rank 0, also before the ranks know of each other."""
    return int(getattr(rank_zero_only, "rank", 0)) == 0


class _LogFile(logging.FileHandler):
    """Never writes through a link, and loses what finds no room.

    Where the disk is full, the run itself says so, once.
    """

    def _open(self) -> TextIOWrapper:
        return open_log(Path(self.baseFilename))

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exception(), OSError):
            super().handleError(record)


def start_logging(file: Path | None) -> None:
    """Send log records of rank 0 to the terminal and, if given, to the end of `file`."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logger = logging.getLogger(name)
        logger.handlers.clear()  # else every line appears twice
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
    handlers[0].setFormatter(logging.Formatter("%(message)s"))
    handlers[0].addFilter(lambda record: not record.exc_info)  # Python prints it anyway
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(_LogFile(file))
        handlers[1].setFormatter(
            logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
        )
    root.setLevel(logging.INFO)
    for handler in handlers:
        root.addHandler(handler)
