"""Memory that a process has had stays its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

_FAULTS = """
import resource, sys
from cage_lightning.system.machine import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    before = faults()
    bytearray(b"1") * (64 << 20)
print(faults() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_freed_memory_is_used_again() -> None:
    mapped, kept = (
        int(subprocess.run([sys.executable, "-c", _FAULTS, which], capture_output=True).stdout)
        for which in ("returned", "kept")
    )
    assert mapped > 1000 > kept
