"""The CPUs that a process may use."""

from __future__ import annotations

import os

MOST_WORKERS = 4
"""The decoding processes of a loader where nothing says how many, if there are as many CPUs."""


def usable_cpus() -> int:
    """Return the number of CPUs that this process may use.

    In a job of a cluster that is the share of the job. On systems that cannot tell (macOS) it is
    the number of CPUs of the machine.
    """
    has_share = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if has_share else os.cpu_count() or 1
