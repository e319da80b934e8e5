"""A command that is forked is a process as any other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import forks

TRAIN = (sys.executable, "-m", "cage_lightning.train")


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"CAGE_DATA": "from-the-environment"}
    with forks():
        return subprocess.run(
            [*TRAIN, *arguments], cwd=cwd, env=env, capture_output=True, text=True, timeout=60
        )


def test_output_exit_code_and_environment_are_its_own(tmp_path: Path) -> None:
    shown = run("data=demo8", "--cfg", "job", "--resolve", cwd=tmp_path)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "root: from-the-environment/demo_faces/" in shown.stdout
    refused = run("data=nothing", cwd=tmp_path)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("error: ")
    assert os.environ.get("CAGE_DATA") != "from-the-environment"


@pytest.mark.parametrize("blow", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_to_its_group_ends_it(tmp_path: Path, blow: signal.Signals) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with os.fdopen(reader, "rb"), os.fdopen(writer, "wb", buffering=0) as full:
        while full.write(b" " * 4096):
            pass
        os.set_blocking(writer, True)  # what it prints has no room: it waits
        command = [*TRAIN, "data=demo8", "--cfg", "job"]
        with forks():
            process = subprocess.Popen(command, cwd=tmp_path, stdout=full, process_group=0)
        assert os.getpgid(process.pid) == process.pid != os.getpgid(0)
        os.killpg(process.pid, blow)
        assert process.wait(60) == -blow
