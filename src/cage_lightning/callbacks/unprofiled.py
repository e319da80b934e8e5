"""What Lightning asks to profile each hook of each callback, where nothing is to be profiled."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from lightning.pytorch.profilers import PassThroughProfiler

_NOTHING = nullcontext()


class Unprofiled(PassThroughProfiler):
    """Profiles nothing. Lightning's own such class makes a generator for every hook of a step."""

    def profile(  # type: ignore[override]
        self, action_name: str
    ) -> AbstractContextManager[None]:
        """Do nothing around a block."""
        return _NOTHING
