"""A rank ends with the process that has started it."""

from __future__ import annotations

import os
import subprocess
import sys

SCRIPT = """
import os, time
from cage_lightning.system.orphans import end_with_the_first_rank
ready, begun = os.pipe()
if os.fork():
    os.read(ready, 1)
else:
    end_with_the_first_rank()
    os.write(begun, b".")
    time.sleep(120)
"""


def test_a_rank_ends_with_the_process_that_has_started_it() -> None:
    # Both hold the pipe on which the end is waited for.
    environment = os.environ | {"LOCAL_RANK": "1"}
    line = [sys.executable, "-c", SCRIPT]
    subprocess.run(line, env=environment, stdout=subprocess.PIPE, timeout=60, check=True)
