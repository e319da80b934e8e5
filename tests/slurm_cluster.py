"""A real SLURM on this machine, in a folder of its own: a controller, two nodes and munge.

Each process of the tests has one, on ports of its own.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

NODES = ("n1", "n2")

# cred_expire is also how long a job waits before it is started again: two minutes by default.
CONF = """\
ClusterName=cagetest
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/jobcomp.txt
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=1,sched_interval=2,bf_interval=2
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
JobRequeue=1
KillWait=5
SlurmdTimeout=10
SlurmdParameters=config_overrides
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str | None:
    """Why there can be no cluster here."""
    for program in ("slurmctld", "slurmd", "munged"):
        if shutil.which(program, path=_PATH) is None:
            return f"{program} is not installed (make test-slurm installs it)"
    if importlib.util.find_spec("submitit") is None:
        return "the extra `slurm` is not installed (make test-slurm installs it)"
    return None if os.geteuid() == 0 else "the daemons of a test SLURM run as root"


class Cluster:
    """The daemons and their clients.

    Args:
        folder: Config, state and logs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.conf = folder / "slurm.conf"
        self.env = {"SLURM_CONF": str(self.conf), "PATH": _PATH}

    def up(self) -> None:
        """Start, and wait until both nodes are idle."""
        self.folder.chmod(0o755)
        for name in ("state", "munge", "spool-n1", "spool-n2"):
            (self.folder / name).mkdir()
        host = socket.gethostname().split(".")[0]
        port, *ports = _free_ports(1 + len(NODES))
        nodes = "\n".join(
            f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={of_node} "
            "CPUs=4 RealMemory=8000"
            for name, of_node in zip(NODES, ports, strict=True)
        )
        self.conf.write_text(CONF.format(host=host, port=port, folder=self.folder, nodes=nodes))
        munge = self.folder / "munge"
        munge.chmod(0o700)
        key = munge / "key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        places = {
            "key-file": key,
            "socket": self.folder / "munge.sock",
            "pid-file": self.folder / "munged.pid",
            "log-file": munge / "log",
            "seed-file": munge / "seed",
        }
        self.run("munged", "--force", *(f"--{name}={place}" for name, place in places.items()))
        self.run("slurmctld", "-f", str(self.conf))
        for name in NODES:
            self.start_node(name)
        until(lambda: self.run("sinfo", "-h", "-N", "-t", "idle").count("\n") == 2, 30)

    def down(self) -> None:
        """Cancel all jobs and stop."""
        self.run("scancel", "--user", "root")
        until(lambda: not self.queue(), 30)
        for daemon in (*(f"slurmd-{name}" for name in NODES), "slurmctld", "munged"):
            pid = int((self.folder / f"{daemon}.pid").read_text())
            os.kill(pid, signal.SIGTERM)
            until(lambda pid=pid: not _alive(pid), 30)  # type: ignore[misc]

    def start_node(self, name: str) -> None:
        self.run("slurmd", "-N", name, "-f", str(self.conf))

    def lose_node(self, name: str) -> None:
        """Kill the node's daemon and all that runs on it, as a power failure does: all at once."""
        here = {f"SLURMD_NODENAME={name}", f"SLURM_CONF={self.conf}"}
        jobs = [pid for pid in _processes() if here <= _environment(pid)]
        steps = {_parent(pid) for pid in jobs} - {1}
        daemon = int((self.folder / f"slurmd-{name}.pid").read_text())
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in (daemon, *(steps - set(jobs)), *jobs):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)

    def queue(self) -> dict[str, str]:
        """The state of every job that has not ended, by its id."""
        lines = self.run("squeue", "-h", "-o", "%A %T").splitlines()
        return {job: state for job, state in map(str.split, lines)}

    def job(self, job_id: str) -> dict[str, str]:
        """What the controller knows of a job, ended ones too."""
        words = self.run("scontrol", "show", "job", job_id).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, env=os.environ | self.env, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, (command, done.stdout + done.stderr)
        return done.stdout


def until(condition: Callable[[], object], seconds: float) -> None:
    """Wait for it, and fail if it does not come."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.2)


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on; several clusters may be up side by side."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _processes() -> list[int]:
    return [int(place.name) for place in Path("/proc").iterdir() if place.name.isdigit()]


def _environment(pid: int) -> set[str]:
    try:
        return set(
            Path(f"/proc/{pid}/environ").read_text(encoding="utf-8", errors="replace").split("\0")
        )
    except OSError:  # it has ended
        return set()


def _state(pid: int) -> list[str]:
    """State, parent, ... of a process; state X if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
    except OSError:
        return ["X", "1"]


def _parent(pid: int) -> int:
    return int(_state(pid)[1])


def _alive(pid: int) -> bool:
    return _state(pid)[0] not in "XZ"


_PATH = f"{os.environ['PATH']}:/usr/sbin:/usr/bin"
