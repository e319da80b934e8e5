"""Standard output and standard error: a command works on, whether or not they can be written."""

from __future__ import annotations

import errno
import io
import os
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TextIO

from cage_lightning.system.escaping import for_terminal

if TYPE_CHECKING:
    from rich.console import Console


class _Steady(io.FileIO):
    """A file that drops what cannot be written, to a closed pipe or a full disk, without an error.

    Attributes:
        lost: The first error of writing, or None.
    """

    lost: OSError | None = None

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.lost = self.lost or error
            return memoryview(data).nbytes


def clock(seconds: float) -> str:
    """A time as people read it.

    >>> clock(3723.6)
    '1:02:04'
    """
    return str(timedelta(seconds=round(seconds)))


def keep_printing() -> None:
    """Make every later `print` of this process succeed, also to a closed stream or a full disk."""
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, _nowhere())
        elif stream is getattr(sys, f"__{name}__") and isinstance(stream, io.TextIOWrapper):
            setattr(sys, name, _steady(stream, number))


def is_lost() -> bool:
    """Whether printed text was lost, other than to a reader that has closed its pipe."""
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return isinstance(raw, _Steady) and raw.lost is not None and raw.lost.errno != errno.EPIPE


def console(stderr: bool = False) -> Console:
    """Return a console of Rich that takes no text for markup, an emoji or what steers a terminal.

    What is printed may come from a stranger's file.

    Args:
        stderr: Print to standard error instead of standard output.
    """
    from rich.console import Console  # imported here, because `--help` does not need it
    from rich.text import Text

    class Plain(Console):
        def render_str(self, text: str, **arguments: Any) -> Text:
            return super().render_str(for_terminal(text), **arguments)

    return Plain(stderr=stderr, markup=False, emoji=False, highlight=False)


def say(text: str) -> None:
    """Print a line of text without breaking it at the width of the terminal."""
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
