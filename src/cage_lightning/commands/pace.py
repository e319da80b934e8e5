"""How far a long look at files is, and how fast: a bar on a terminal, else lines in the log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

log = logging.getLogger(__name__)

_LINE_S = 30.0  # between two lines of the log


class Pace:
    """Shows how many files are done, the frames per second, the faces and the faults.

    Args:
        total: Number of files.
        done: Of them from the beginning.
    """

    def __init__(self, total: int, done: int) -> None:
        self._total, self._done = total, done
        self._frames = self._faces = self._faults = 0
        self._began = self._said = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task("Looking", total=total, completed=done)

    def __enter__(self) -> Pace:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
        log.info("%s", self)

    def advance(self, frames: int, rows: Sequence[dict[str, Any]], done: int) -> None:
        """Count what was looked at.

        Args:
            frames: How many pictures and frames.
            rows: What was found in them.
            done: The number of files that are done.
        """
        self._frames, self._done = self._frames + frames, done
        self._faces += sum(row.get("face") is not None for row in rows)
        self._faults += sum(row.get("fault") is not None for row in rows)
        self._bar.update(self._task, completed=done, description=str(self))
        if self._bar.disable and time.monotonic() - self._said >= _LINE_S:
            self._said = time.monotonic()
            log.info("%s", self)

    def __str__(self) -> str:
        pace = self._frames / max(1e-9, time.monotonic() - self._began)
        faults = f", {self._faults} faults" if self._faults else ""
        found = f"{self._frames} frames, {self._faces} faces{faults}"
        return f"{self._done} of {self._total} files, {found}, {pace:.1f} frames/s"
