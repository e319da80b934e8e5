"""Work on pictures in several processes, which share no lock of Python."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from cage_lightning.errors import OutputError
from cage_lightning.system.machine import usable_cpus
from cage_lightning.system.orphans import end_with

Item = TypeVar("Item")
Value = TypeVar("Value")


def processes_for(pictures: int, worth_one: int) -> int:
    """One process per usable CPU, as far as each has enough pictures to be worth its start.

    Args:
        pictures: How many there are.
        worth_one: A process that is started for fewer takes longer to start than it saves.
    """
    return max(1, min(usable_cpus(), pictures // worth_one))


def map_in_processes(
    function: Callable[[Item], Value], items: Sequence[Item], processes: int
) -> Iterator[Value]:
    """``map(function, items)`` in several processes, which end with this one, however it ends.

    They are spawned: a script that uses more than one needs the usual
    ``if __name__ == "__main__":``.

    Args:
        function: Can be pickled, like the items.
        items: What it is called with.
        processes: How many, at most one for each item; 1: everything is done in this one.

    Returns:
        The values in the order of the items.

    Raises:
        OutputError: A process could not start, or was killed.
    """
    processes = min(processes, len(items))
    if processes <= 1:
        yield from map(function, items)
        return
    # Never a plain fork: threads of other libraries may hold locks.
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(processes, context, end_with, (os.getpid(),)) as pool:
            with _no_interrupts():  # the processes, which are started here, never see Ctrl-C
                values = pool.map(function, items)
            yield from values
    except BrokenProcessPool as error:
        raise OutputError(
            f"one of {processes} processes could not start or was killed, perhaps for want of "
            'memory; a script needs `if __name__ == "__main__":` around what starts them'
        ) from error


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Hold Ctrl-C back meanwhile, and for ever in the processes that are started meanwhile."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
