"""SIGTERM, which unwinds the stack as Ctrl-C does."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

import pytest

from cage_lightning.system.sigterm import Terminated, sigterm_exits


def test_what_is_begun_is_tidied_up(capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    ended: list[str] = []

    def work() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
            ended.append("went on")
        except KeyboardInterrupt:
            ended.append("as after Ctrl-C")
            raise

    with pytest.raises(SystemExit, match="143"), sigterm_exits():
        work()
    assert ended == ["as after Ctrl-C"]
    assert capfd.readouterr() == ("", "stopped by SIGTERM\n")
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_library_that_makes_an_error_of_it_changes_nothing() -> None:
    def library() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            raise RuntimeError("unexpected pos 704 vs 598") from None

    with pytest.raises(SystemExit, match="143"), sigterm_exits():
        library()
    with pytest.raises(SystemExit, match="143"), sigterm_exits(), suppress(RuntimeError):
        library()


def test_a_second_one_ends_what_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that follows at once, as `timeout` sends it, does not."""
    ended: list[int] = []
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("os._exit", ended.append)

    @sigterm_exits()
    def hangs() -> None:
        with suppress(Terminated):
            signal.raise_signal(signal.SIGTERM)
        now[0] = 1.0
        signal.raise_signal(signal.SIGTERM)
        assert ended == []
        now[0] = 2.5
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(SystemExit, match="143"):
        hangs()
    assert ended == [143]


def test_a_forked_worker_unwinds_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with sigterm_exits():
        child = os.fork()
        if child == 0:
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 143
    assert capfd.readouterr() == ("", "")
