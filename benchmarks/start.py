"""CPU time of the commands for their help and for an error, beside torch's import.

``python -m benchmarks.start`` writes start.csv beside itself, and start.md, in two minutes on one
core. Every command is a new process with one thread. They take turns with ``python -c 'import
torch'``, and the median of five rounds counts. With ``--work``, some minutes, it is the smallest
work of the commands that have one instead, on 256 drawn faces of 32 pixels and a run that was
trained on them for an epoch; that writes start_work.csv and start_work.md.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.measuring import ended_cpu_seconds, in_turn, write
from cage_lightning.app.command import commands

TORCH = "import torch"
DATA = "data=demo8 data.size=tiny data.num_workers=0 trainer=cpu"
RUN = "runs/default/demo8-tiny-combined-s0"
TRAIN = f"train {DATA} model=tiny trainer.max_epochs=1 trainer.enable_progress_bar=false"
WORK = {
    "train": f"train {DATA} model=tiny trainer.fast_dev_run=true",
    "evaluate": f"evaluate {DATA} checkpoint={RUN} output=evaluated",
    "predict": f"predict checkpoint={RUN} source=face.jpg faces=none output=faces.csv device=cpu",
    "score": f"score predictions={RUN}/predictions.parquet output=scores.json",
    "collect": "collect table=runs output=report",
    "prepare": "prepare data=demo8 data.size=tiny data.store=store",
}
"""The smallest work of the commands that have a small one."""


def run(arguments: str, folder: Path, fails: bool = False) -> float:
    """Seconds of CPU of a module with arguments, or of a line of Python."""
    words = ["-c", arguments] if arguments == TORCH else ["-m", *arguments.split()]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CAGE_DATA": str(folder / "data")}
    before = ended_cpu_seconds()
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True
    )
    if bool(done.returncode) != fails:
        raise SystemExit(f"{arguments} ended with {done.returncode}:\n{done.stderr}")
    return ended_cpu_seconds() - before


def anew(arguments: str, folder: Path) -> float:
    """The same of a command that would find its result of before."""
    for name in ("evaluated", "report", "store"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("faces.csv", "scores.json"):
        (folder / name).unlink(missing_ok=True)
    return run(arguments, folder)


def starts(folder: Path) -> dict[str, Callable[[], float]]:
    """The help of each command, and an error of it, by column and row of the table."""
    found: dict[str, Callable[[], float]] = {}
    for name in commands():
        module = f"cage_lightning.{name}"
        found[f"help {name}"] = partial(run, f"{module} --help", folder)
        found[f"error {name}"] = partial(run, f"{module} mistake=1", folder, True)
    return found


def works(folder: Path) -> dict[str, Callable[[], float]]:
    """The smallest work of each command, after a training that it is about."""
    run(f"cage_lightning.{TRAIN}", folder)
    shutil.copy(next((folder / "data").glob("**/*.jpg")), folder / "face.jpg")
    return {
        f"work {name}": partial(anew, f"cage_lightning.{arguments}", folder)
        for name, arguments in WORK.items()
    }


def main(work: bool) -> None:
    """Measure, and write the table."""
    columns = ("work",) if work else ("help", "error")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = works(folder) if work else starts(folder)
        costs = in_turn({TORCH: partial(run, TORCH, folder)} | found)
    base = costs[TORCH]
    rows = [[f"python -c '{TORCH}'"] + [f"{base:.2f}", "1.00"] * len(columns)]
    for name in WORK if work else commands():
        of_name = [costs[f"{column} {name}"] for column in columns]
        rows.append([name, *(one for c in of_name for one in (f"{c:.2f}", f"{c / base:.2f}"))])
    header = ["command", *(one for c in columns for one in (f"{c}, CPU s", "of torch"))]
    file, what = ("start_work", "for their smallest work") if work else ("start", "to start")
    write(file, f"CPU time of the commands {what}", header, rows, ("lightning", "hydra-core"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", action="store_true", help="measure their smallest work instead")
    main(parser.parse_args().work)
