"""What this machine gives a process."""

from __future__ import annotations

import os


def usable_cpus() -> int:
    """The share of the machine that a cluster job was given, where the system can tell."""
    has_share = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if has_share else os.cpu_count() or 1
