"""The end of a process when the one that started it is gone."""

from __future__ import annotations

import os
import threading
import time

_LOOK_S = 0.5  # between two looks at who the parent is


def end_with_the_first_rank() -> None:
    """If another process has started this one as a further rank, end with it, however it ends.

    Lightning's first rank starts those of its machine, torchrun all of them. Until they are
    connected, torch lets them wait half an hour for a first one that was killed.
    """
    if os.environ.get("LOCAL_RANK", "0") != "0":
        end_with(os.getppid())


def end_with(starter: int) -> None:
    """End this process when its parent is no longer `starter`, a process number."""
    threading.Thread(target=_watch, args=(starter,), daemon=True).start()


def _watch(starter: int) -> None:
    while os.getppid() == starter:
        time.sleep(_LOOK_S)
    os._exit(1)
