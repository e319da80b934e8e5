"""What counts as a hang."""

from __future__ import annotations

import bdb
import threading
from collections.abc import Callable
from typing import Any

import pytest

from cage_lightning.callbacks import StepTimeout
from cage_lightning.errors import ConfigError

BOUND_S = 10.0  # ten looks


class Looks:
    """Instead of the event that ends a watch: what happens before each look, and then the end."""

    def __init__(self, *before: Callable[[], object]) -> None:
        self.before = [*before]

    def wait(self, pause: float) -> bool:
        if not self.before:
            return True
        self.before.pop(0)()
        return False


def nothing() -> None:
    pass


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An entry for each time that a watch would end the run."""
    found: list[str] = []
    monkeypatch.setattr(StepTimeout, "_end", lambda *_: found.append("ended"))
    return found


def test_only_what_does_not_move_is_ended(ended: list[str]) -> None:
    watched: Any = StepTimeout(BOUND_S, "run")
    moves = watched.on_validation_batch_end
    watched._watch(None, Looks(*[nothing] * 9, moves, *[nothing] * 9, moves))
    assert not ended
    watched._watch(None, Looks(moves, *[nothing] * 10))
    assert ended


def test_a_debugger_may_wait(ended: list[str]) -> None:
    watched: Any = StepTimeout(BOUND_S, "run")
    bdb.Bdb().runcall(watched._watch, None, Looks(*[nothing] * 20))
    assert not ended


@pytest.mark.parametrize("end", ["teardown", "on_exception"])
def test_a_watch_ends_with_what_it_watches(end: str) -> None:
    watched: Any = StepTimeout(600, "run")
    before = set(threading.enumerate())
    watched.setup(None, None, "fit")
    [watch] = set(threading.enumerate()) - before
    assert watch.daemon
    getattr(watched, end)(None, None, "fit")
    watch.join(60)
    assert not watch.is_alive()


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_bound_is_above_0(seconds: float) -> None:
    with pytest.raises(ConfigError, match=r"callbacks\.step_timeout=null does without"):
        StepTimeout(seconds, "run")
