"""The study: every reader with changed inputs, by hand.

``python -m tests.fuzz.study --count 100000 --seed 0 [PART OF A NAME ...]`` writes what came of them
into README.md, and what failed into a folder. The work is done in a process of its own, so that one
that dies costs only its input; the same numbers give the same inputs.
"""

from __future__ import annotations

import argparse
import gc
import logging
import mmap
import os
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from tests.fuzz import models, overrides, releases, runs, tables
from tests.fuzz.results import folder_name, keep
from tests.fuzz.target import Bench, Files, Target

KINDS = {
    "annotations": (*releases.TARGETS, *tables.OWN),
    "overrides": overrides.TARGETS,
    "checkpoints": models.CHECKPOINTS,
    "stores": tables.STORES,
    "exports": models.EXPORTS,
    "predictions": tables.PREDICTIONS,
    "run folders": runs.TARGETS,
}
TARGETS = tuple(chain.from_iterable(KINDS.values()))
SECONDS, MEGABYTES = 5.0, 300  # of CPU time and of more memory than before, for one input, at most
_ADDRESSES = 8 << 30  # bytes that a process may map beyond what it has
_HANGS = 120  # seconds of a clock without a sign of life
_OWN_FAULT = 70
_MOST_FAILURES = 200  # of one reader, after which its study ends


class Slow(BaseException):
    """An input took too long; no reader catches it."""


def study(target: Target, count: int, seed: int, failures: Path) -> dict[str, Any]:
    """Give a reader `count` inputs.

    Args:
        target: The reader.
        count: How many.
        seed: Of all of them.
        failures: A folder for each input that failed is written here, with what was raised.

    Returns:
        The row of the table.
    """
    found: Counter[str] = Counter()
    start = resource.getrusage(resource.RUSAGE_CHILDREN)
    first = 0
    # The number of the input that is read, and 1 for each that was accepted or refused.
    shared = mmap.mmap(-1, 32)
    while first < count and found["failed"] < _MOST_FAILURES:
        shared[:32] = struct.pack("4q", first, 0, 0, 0)
        child = os.fork()
        if child == 0:
            try:
                _work(target, range(first, count), seed, failures, shared)
            except BaseException:  # of the study itself
                traceback.print_exc()
            finally:
                os._exit(_OWN_FAULT)
        died = _waited_for(child, shared)
        number, accepted, refused, failed = struct.unpack("4q", shared[:32])
        found.update(accepted=accepted, refused=refused, failed=failed + (died != ""))
        if died:
            with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
                changed = Bench(target, Path(folder)).drawn(number, seed)
                _keep(failures, target, number, changed, died)
        first = number + 1
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime
    return {
        "kind": next(kind for kind, targets in KINDS.items() if target in targets),
        "reader": target.name,
        "seed": seed,
        "inputs": sum(found.values()),
        **{key: found[key] for key in ("accepted", "refused", "failed")},
        "per second": round(sum(found.values()) / max(spent, 1e-9)),
    }


def _work(
    target: Target, numbers: Sequence[int], seed: int, failures: Path, shared: mmap.mmap
) -> None:
    """Read the inputs of some numbers and leave this process."""
    signal.signal(signal.SIGPROF, _too_slow)
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    mapped = int(pages) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + _ADDRESSES, mapped + _ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    gc.freeze()
    counts = Counter[str]()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        bench = Bench(target, Path(folder))
        assert bench.sound
        target.read(bench.folder)  # what is not changed is accepted
        for number in numbers:
            changed = bench.drawn(number, seed)
            values = (number, counts["accepted"], counts["refused"], counts["failed"])
            shared[:32] = struct.pack("4q", *values)
            before = _memory()
            try:
                signal.setitimer(signal.ITIMER_PROF, SECONDS)
                try:
                    outcome = bench.outcome(changed)
                finally:
                    signal.setitimer(signal.ITIMER_PROF, 0)
                if (grown := _memory() - before) > MEGABYTES:
                    raise MemoryError(f"{grown} MB more")
            except BaseException:
                outcome = "failed"
                _keep(failures, target, number, changed, traceback.format_exc())
            counts[outcome] += 1
            if counts["failed"] >= _MOST_FAILURES:
                break
        values = (number, counts["accepted"], counts["refused"], counts["failed"])
        shared[:32] = struct.pack("4q", *values)
    os._exit(0)


def _waited_for(child: int, shared: mmap.mmap) -> str:
    """How a process died; empty if it did not."""
    seen, since = -1, time.monotonic()
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            code = os.waitstatus_to_exitcode(status)
            if code == _OWN_FAULT:
                raise SystemExit("the study itself failed, see above")
            return "" if code == 0 else f"the process died: {code}"
        (number,) = struct.unpack("q", shared[:8])
        if number != seen:
            seen, since = number, time.monotonic()
        if time.monotonic() - since > _HANGS:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.05)


def _keep(failures: Path, target: Target, number: int, changed: Files, error: str) -> None:
    place = failures / folder_name(target.name) / str(number)
    shutil.rmtree(place, ignore_errors=True)
    for path, content in changed.items():
        (place / "files" / path).parent.mkdir(parents=True, exist_ok=True)
        (place / "files" / path).write_bytes(content)
    place.mkdir(parents=True, exist_ok=True)
    (place / "error.txt").write_text(error, errors="backslashreplace")


def _too_slow(*_: object) -> None:
    raise Slow(f"more than {SECONDS:g} seconds of CPU time")


def _memory() -> int:
    """The most megabytes that this process had at once."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _chosen(parts: Sequence[str]) -> Iterator[Target]:
    yield from (one for one in TARGETS if not parts or any(part in one.name for part in parts))


def main(arguments: Sequence[str]) -> int:
    """Run the study of some readers and write the table; 1 if any input failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of the names of readers; all of them")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--failures", type=Path, default=Path("fuzz_failures"))
    parser.add_argument("--write", action="store_true", help="keep the counts in README.md")
    given = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    failed = 0
    for target in _chosen(given.names):
        row = study(target, given.count, given.seed, given.failures)
        print(", ".join(f"{key} {value}" for key, value in row.items()), flush=True)
        failed += row["failed"]
        if given.write:
            keep(row)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
