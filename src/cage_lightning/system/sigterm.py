"""SIGTERM, which asks a process to leave: it unwinds the stack as Ctrl-C does."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ONE_SIGNAL_S = 2.0  # `timeout` and srun send a signal twice in a row, which counts as one


class Terminated(KeyboardInterrupt):
    """SIGTERM has come: what tidies up after Ctrl-C does so now."""


@contextmanager
def sigterm_exits() -> Iterator[None]:
    """Let SIGTERM end the block by `Terminated`, and then the process, in one line with code 143.

    So it ends whatever a library in between has made of the exception. A second SIGTERM, more than
    `ONE_SIGNAL_S` after the first, ends the process at once: what is unwound may hang.

    Raises:
        SystemExit: SIGTERM has come.
    """
    process, came = os.getpid(), list[float]()

    def hear(number: int, frame: FrameType | None) -> None:
        if os.getpid() != process:  # a forked worker that has no handler of its own yet
            os._exit(143)
        came.append(time.monotonic())
        if len(came) == 1:
            raise Terminated
        if came[-1] - came[0] > ONE_SIGNAL_S:
            os._exit(143)

    before = signal.signal(signal.SIGTERM, hear)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        if came:
            print("stopped by SIGTERM", file=sys.stderr)
            sys.exit(143)
