"""What a command prints. Whether anybody can read it decides nothing."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console


class _Steady(io.FileIO):
    """What cannot be written any more, to a pipe that is closed or a disk that is full, is lost."""

    lost: OSError | None = None

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.lost = self.lost or error
            return memoryview(data).nbytes


def keep_printing() -> None:
    """From now on no print of this process fails; streams that are closed lead nowhere."""
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, _nowhere())
        elif stream is getattr(sys, f"__{name}__") and isinstance(stream, io.TextIOWrapper):
            setattr(sys, name, _steady(stream, number))


def is_lost() -> bool:
    """Whether something that was printed did not arrive, though somebody still waits for it."""
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return isinstance(raw, _Steady) and raw.lost is not None and raw.lost.errno != errno.EPIPE


def console() -> Console:
    """The terminal. What is printed may come from anywhere: no markup in it counts."""
    from rich.console import Console  # not for `--help`

    return Console(markup=False, emoji=False, highlight=False)


def say(text: str) -> None:
    """Print a line, which the terminal may break but we do not."""
    console().print(text, soft_wrap=True)


def _nowhere() -> TextIO:
    return io.TextIOWrapper(io.FileIO(os.devnull, "w"), encoding="utf-8", errors="backslashreplace")


def _steady(stream: io.TextIOWrapper, number: int) -> TextIO:
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Steady(number, "w", closefd=False)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
