"""What a process may use of its machine: CPUs, and memory that it has had before."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import time
from pathlib import Path

MOST_WORKERS = 4
"""The decoding processes of a loader where nothing says how many, if there are as many CPUs."""


# Numbers of parameters, as <malloc.h> has them.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def usable_cpus() -> int:
    """Return the number of CPUs that this process may use.

    In a job of a cluster that is the share of the job. On systems that cannot tell (macOS) it is
    the number of CPUs of the machine.
    """
    has_share = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if has_share else os.cpu_count() or 1


def processor() -> str:
    """Return what kind of CPU the machine has, as the system calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    found = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(found, platform.machine())


def process_age() -> float:
    """Return for how many seconds this process has run; 0 on systems that cannot tell (macOS)."""
    try:
        # proc_pid_stat(5): after the name, which may hold anything, field 22 is the 20th.
        fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        began = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - began)
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0


def keep_freed_memory() -> None:
    """Have the C library keep what is freed, for the process to use again.

    It would return large blocks to the system, and every step of a training on the CPU would wait
    for the same blocks to be mapped and cleared again. Only glibc can be told so; elsewhere nothing
    changes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
