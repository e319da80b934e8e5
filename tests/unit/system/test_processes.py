"""Work in several processes: in order, and nothing is left of them when the first one ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cage_lightning.errors import OutputError
from cage_lightning.system.processes import map_in_processes, processes_for


def who(number: int) -> tuple[int, int]:
    return number, os.getpid()


def end(number: int) -> int:
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_no_more_processes_than_are_worth_their_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(4))
    assert [processes_for(n, 10) for n in (0, 9, 10, 35, 9_999)] == [1, 1, 1, 3, 4]


def test_the_order_is_kept_and_one_process_is_this_one() -> None:
    assert list(map_in_processes(who, [3, 1, 2], 1)) == [(n, os.getpid()) for n in (3, 1, 2)]
    found = list(map_in_processes(who, range(20), 2))
    assert [number for number, _ in found] == list(range(20))
    assert os.getpid() not in {process for _, process in found}
    assert list(map_in_processes(who, [5], 9)) == [(5, os.getpid())]  # one item needs no other
    assert list(map_in_processes(who, [], 9)) == []


def test_a_killed_process_is_an_error_of_one_line() -> None:
    with pytest.raises(OutputError, match=r"one of 2 processes .* was killed"):
        list(map_in_processes(end, range(3), 2))


SCRIPT = """
import os, time
from cage_lightning.system.processes import map_in_processes

def look(number):
    print(os.getpid(), flush=True)
    time.sleep(0.2)

if __name__ == "__main__":
    try:
        list(map_in_processes(look, range(1000), 2))
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_of_them(tmp_path: Path, number: signal.Signals) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    started = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert started.stdout is not None
    process = int(started.stdout.readline())
    if number == signal.SIGINT:
        os.killpg(started.pid, number)  # as a terminal does
    else:
        started.kill()
    output, errors = started.communicate(timeout=60)  # until no process holds the pipes
    assert "Traceback" not in errors
    assert ("interrupted" in output) == (number == signal.SIGINT)
    for _ in range(100):
        if not Path(f"/proc/{process}").exists():
            return
        time.sleep(0.1)
    pytest.fail(f"process {process} is still there")
