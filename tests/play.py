"""A command whose jobs cost no training, for the tests of the launcher: python -m tests.play.

A job holds each of its devices exclusively for a while; it fails where another job holds one too.
`victim` waits to be killed, together with a worker.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from omegaconf import DictConfig

from cage_lightning.app.cli import command
from cage_lightning.errors import CageError


def saves(*_: Any) -> NoReturn:
    Path(f"saved-{os.environ['NAME']}").touch()
    sys.exit(143)


@command("play")  # type: ignore[arg-type]
def main(config: DictConfig) -> None:
    devices = os.environ.get("CUDA_VISIBLE_DEVICES", "none")
    seen = {"devices": devices, "rank": os.environ.get("LOCAL_RANK"), "argv": sys.argv[1:]}
    seen["threads"] = os.environ.get("OMP_NUM_THREADS")
    if config.act == "fail":
        raise CageError("this one fails")
    if config.act == "victim":
        os.environ["NAME"] = str(config.name)
        signal.signal(signal.SIGTERM, saves)
        subprocess.Popen(["sleep", "600"])
        Path(f"ready-{config.name}").touch()
        time.sleep(600)
    held = [Path(f"held-{device}") for device in devices.split(",") if device != "none"]
    for place in held:
        place.touch(exist_ok=False)
    time.sleep(0.3)
    for place in held:
        place.unlink()
    Path(f"ran-{os.getpid()}.json").write_text(json.dumps(seen), encoding="utf-8")


if __name__ == "__main__":
    main()
