"""One job of a grid: a single run in a process of its own."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from cage_lightning.runs.folder import RunFolder
from cage_lightning.system.credentials import without_credentials
from cage_lightning.system.storage import room_for
from hydra_plugins.cage_launcher._slots import CPU

_GUARD = Path(__file__).with_name("_guard.py")
_GRACE = "30"  # seconds for a last checkpoint

# What a job must not inherit: it would take itself for a rank of this process, or print a
# traceback where a message is enough.
_NOT_INHERITED = {
    *("LOCAL_RANK", "RANK", "NODE_RANK", "GROUP_RANK", "LOCAL_WORLD_SIZE", "WORLD_SIZE"),
    *("MASTER_ADDR", "MASTER_PORT", "PL_GLOBAL_SEED", "TORCHELASTIC_RUN_ID"),
    *("SLURM_NTASKS", "SLURM_NTASKS_PER_NODE", "SLURM_PROCID", "SLURM_LOCALID"),
    "HYDRA_FULL_ERROR",
}


class State(StrEnum):
    """How far a job is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass
class Job:
    """A job, its process and what came of it.

    Attributes:
        number: In the sweep.
        label: What tells it from the other jobs.
        command: The single run.
        log: Where its output goes.
        count: How many devices it takes; 0: a place on the CPU.
        folder: Where a training leaves its results; None for anything else.
        threads: How many it may compute with on the CPU.
        starts_from: The job from whose weights it starts.
        devices: Those it runs on.
        result: Why it failed.
        killed: Whether a signal ended it.
    """

    number: int
    label: str
    command: list[str]
    log: Path
    count: int
    folder: RunFolder | None
    threads: int = 1
    starts_from: Job | None = None
    state: State = State.WAITING
    devices: list[str] = field(default_factory=list)
    result: str = ""
    killed: bool = False
    _process: subprocess.Popen[bytes] | None = None
    _began: float = 0.0
    _ended: float | None = None

    @property
    def seconds(self) -> float:
        """For how long it has run."""
        return (self._ended or time.monotonic()) - self._began

    def can_start(self) -> bool:
        """Whether what it starts from has ended, well or not: a start then says what is wrong."""
        start = self.starts_from
        return start is None or start.state not in (State.WAITING, State.RUNNING)

    def start(self, devices: Sequence[str]) -> None:
        """Start the process on these devices."""
        env = {key: value for key, value in os.environ.items() if key not in _NOT_INHERITED}
        if CPU in devices:
            env.setdefault("OMP_NUM_THREADS", str(self.threads))
        else:
            env["CUDA_VISIBLE_DEVICES"] = ",".join(devices)
        self.devices, self.state, self._began = list(devices), State.RUNNING, time.monotonic()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with room_for(self.log), self.log.open("w", encoding="utf-8") as log:
            print("$", without_credentials(shlex.join(self.command)), file=log, flush=True)
            self._process = subprocess.Popen(
                [sys.executable, "-IS", str(_GUARD), _GRACE, *self.command],
                env=env,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches the launcher alone
            )

    def ended(self) -> bool:
        """Whether the process has ended; then the state says how."""
        assert self._process is not None
        code = self._process.poll()
        if code is None:
            return False
        self._ended = time.monotonic()
        self.let_go()
        if code == 0 and (self.folder is None or self.folder.ended):
            self.state = State.DONE
        else:
            self.state, self.result = State.FAILED, f"exit code {code}: {self._last_words()}"
            self.killed = code > 128
        return True

    def let_go(self) -> None:
        """Have the guard end the process."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    def wait(self) -> None:
        """Until the process has ended."""
        if self._process is not None:
            self._process.wait()

    def _last_words(self) -> str:
        """The error message of the command, else the last line that it printed."""
        lines = [
            line
            for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines()
            if line.strip()
        ]
        return next(line for line in lines if line.startswith("error: ") or line is lines[-1])
