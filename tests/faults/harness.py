"""A command that is struck while it works, and typed again."""

from __future__ import annotations

import itertools
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cage_lightning.callbacks.step_timeout import EXIT_CODE
from tests.conftest import environment, forks
from tests.faults.commands import Case
from tests.in_process import run_in_process

WAIT_S = 240
# What the process does to itself, called once in it before the command.
Arm = Callable[[], None]
_armed: list[Arm] = []


def _arm_child() -> None:
    while _armed:  # a process that the command starts in turn is not armed again
        _armed.pop()()


os.register_at_fork(after_in_child=_arm_child)


@dataclass
class Ended:
    """How a process has ended."""

    code: int
    error: str

    def check(self, *codes: int) -> None:
        """Fail unless it has ended with one of these exit codes, and with one line of error."""
        assert self.code in codes, f"exit code {self.code}, not {codes}: {self.error}"
        errors = [line for line in self.error.splitlines() if line.startswith("error: ")]
        assert len(errors) == (self.code in (1, EXIT_CODE)), self.error
        # Before the command itself begins, Python tells in its own way of Ctrl-C.
        assert "Traceback" not in self.error or self.code == -signal.SIGINT, self.error


@dataclass
class Bench:
    """A place where one command is tried again and again.

    Args:
        case: The command.
        folder: In which each try has a folder of its own.
        data: CAGE_DATA.
        seed: Of the moments.
        started: Start Python for each process.
        everywhere: Signals reach all processes of the command, as those of `pkill` do.
        again_here: Type it again in this process, which cannot be one of several ranks.
        before: Typed before the command, which Python is then started for.
        environment: Added to the environment of the process that is struck.
        given: What lies in the folder of each try from the beginning: names there, and copies of
            what.
    """

    case: Case
    folder: Path
    data: Path
    seed: int = 0
    started: bool = False
    everywhere: bool = False
    again_here: bool = True
    before: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    given: dict[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = random.Random(f"{self.case.name} {self.seed}")
        self.numbers = itertools.count()
        self._groups: list[int] = []
        self.folder.mkdir(exist_ok=True, parents=True)
        self.undisturbed, self.seconds = self._undisturbed()

    def _undisturbed(self) -> tuple[Any, float]:
        place, began = self.place(), time.monotonic()
        self.left_alone(place).check(0)
        seconds = time.monotonic() - began
        left = self.case.left(place)
        assert left
        return left, seconds

    def place(self) -> Path:
        """A new folder for a try."""
        place = self.folder / str(next(self.numbers))
        place.mkdir()
        for name, original in self.given.items():
            shutil.copytree(original, place / name)
        return place

    def share(self, tries: int) -> int:
        """Of the tries of a fault over all commands, those of this one; together they are as many.

        A training has most to lose.
        """
        return max(1, tries * 2 // 5 if self.case.name == "train" else tries // 10)

    def moment(self) -> float:
        """A moment of the command, in seconds from its start."""
        return self.random.uniform(0, self.seconds)

    @contextmanager
    def process(
        self, place: Path, arm: Arm | None = None, log: str = "first"
    ) -> Iterator[subprocess.Popen[bytes]]:
        """The command at work; at the end of the block it is no longer."""
        _armed[:] = [] if arm is None else [arm]
        with (
            self._log(place, log).open("wb") as output,
            nullcontext() if self.started else forks(),
        ):
            process = subprocess.Popen(
                [*self.before, *self.line()],
                cwd=place,
                env=environment(self.data) | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        _armed.clear()
        try:
            yield process
        finally:
            self._groups.append(process.pid)
            if process.poll() is None:
                self.end_groups()
                process.wait(WAIT_S)

    def line(self) -> list[str]:
        """What is typed."""
        return [sys.executable, "-m", f"cage_lightning.{self.case.name}", *self.case.arguments]

    def end_groups(self) -> None:
        """End what the processes have started, which may outlive them for a while."""
        while self._groups:
            with suppress(ProcessLookupError):
                os.killpg(self._groups.pop(), signal.SIGKILL)

    def ended(self, process: subprocess.Popen[bytes], place: Path, log: str = "first") -> Ended:
        """What has become of a process in a place."""
        code, file = process.wait(WAIT_S), self._log(place, log)
        return Ended(code, file.read_text(encoding="utf-8", errors="replace"))

    def _log(self, place: Path, name: str) -> Path:
        return place.parent / f"{place.name}-{name}.log"

    def struck(self, place: Path, blow: signal.Signals, after: float) -> Ended:
        """Start the command, and strike it after some seconds, if it is not over by then."""
        with self.process(place) as process:
            with suppress(subprocess.TimeoutExpired):
                process.wait(after)
            if process.poll() is None:
                self._send(process, blow)
            return self.ended(process, place)

    def _send(self, process: subprocess.Popen[bytes], blow: signal.Signals) -> None:
        if self.everywhere or blow == signal.SIGINT:  # as a terminal does after Ctrl-C
            os.killpg(process.pid, blow)
        else:
            process.send_signal(blow)

    def left_alone(self, place: Path) -> Ended:
        """Start the command, and wait for its end."""
        return self.striking_itself(place)

    def striking_itself(self, place: Path, arm: Arm | None = None) -> Ended:
        """Start the command so that something in it strikes, and wait for its end."""
        with self.process(place, arm) as process:
            return self.ended(process, place)

    def steps(self) -> list[str]:
        """The steps of an undisturbed command: what it flushes and renames, in order."""
        seen = self.folder / "seen"
        seen.unlink(missing_ok=True)
        self.striking_itself(self.place(), at_step(0, seen)).check(0)
        return seen.read_text(encoding="utf-8").splitlines()

    def typed_again(self, place: Path) -> None:
        """Type the command again, and compare what is there then.

        Raises:
            AssertionError: It is not what an undisturbed command leaves.
        """
        if not self.case.whole(place):
            self._again(place).check(0)
        self.end_groups()
        assert self.case.left(place) == self.undisturbed, "not what an undisturbed command leaves"
        check_parts(place)

    def _again(self, place: Path) -> Ended:
        if not self.again_here:
            return self.left_alone(place)
        line = (self.case.name, self.case.arguments)
        done = run_in_process(*line, place, environment(self.data))
        return Ended(done.returncode, done.stderr)


# Of a command, by its name and further settings; `data`, `run` where they are others; and `Bench`.
NewBench = Callable[..., Bench]


def check_parts(place: Path) -> None:
    """Fail if a hidden part of a file lies there."""
    parts = [str(file) for file in place.rglob(".part-*")]
    assert not parts, parts


def at_step(number: int, seen: Path | None = None) -> Arm:
    """SIGKILL itself before the `number`-th flush or rename of a file, the steps of each write.

    Args:
        number: From 1 on; 0 for never.
        seen: A file for the names of what is flushed and renamed, one in each line.
    """

    def arm() -> None:
        count = itertools.count(1)

        def counted(original: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **settings: Any) -> Any:
                if seen is not None:
                    with seen.open("a", encoding="utf-8") as file:
                        file.write(f"{original.__name__} {Path(str(arguments[-1])).name}\n")
                if next(count) == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                return original(*arguments, **settings)

            return call

        for name in ("fsync", "replace", "rename"):
            setattr(os, name, counted(getattr(os, name)))

    return arm


def at_another_time(seconds: float, call: int) -> Arm:
    """Let the clock of Python jump by some seconds at this call."""

    def arm() -> None:
        count, now = itertools.count(1), time.time
        time.time = lambda: now() + seconds * (next(count) >= call)

    return arm


def inside_a_file(size: int) -> Arm:
    """Have the system end the process inside a write, at this byte of a file."""

    def arm() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    return arm
