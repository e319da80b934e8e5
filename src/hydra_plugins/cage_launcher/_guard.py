"""Run a command so that it never outlives the launcher: `python _guard.py GRACE COMMAND...`.

The launcher holds the other end of the standard input. When it lets go of it, or dies for any
reason, the command gets SIGTERM, with GRACE seconds to save its state. Its process group is killed
then, and also when it ends by itself: ranks and data-loader workers go with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _end_with_launcher(job: subprocess.Popen[bytes], grace: float) -> None:
    os.read(0, 1)  # nothing is ever written: returns when the launcher's end is closed
    # To the command alone: it tells its ranks, and does not take a dying worker for an error.
    job.terminate()
    time.sleep(grace)
    _kill(job.pid)


def main(grace: str, *command: str) -> int:
    """Run the command.

    Returns:
        Its exit code; 128 + the signal that ended it, as a shell says it.
    """
    job = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)
    threading.Thread(target=_end_with_launcher, args=(job, float(grace)), daemon=True).start()
    code = job.wait()
    _kill(job.pid)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
