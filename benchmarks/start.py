"""CPU time of the commands for their help, an error and their smallest work, beside torch's import.

``python -m benchmarks.start`` writes start.csv beside itself, and start.md; some minutes on one
core. Every command is a new process with one thread. They take turns with ``python -c 'import
torch'``, and the median of five rounds counts. The work is that of 256 drawn faces of 32 pixels,
and of a run that was trained on them for an epoch before.
"""

from __future__ import annotations

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
    "prepare": "prepare data=demo8 data.size=tiny data.image_size=32 data.store=store",
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


def rivals(folder: Path) -> dict[str, Callable[[], float]]:
    """What is measured, by the column and the row of the table."""
    found: dict[str, Callable[[], float]] = {f" {TORCH}": partial(run, TORCH, folder)}
    for name in commands():
        module = f"cage_lightning.{name}"
        found[f"help {name}"] = partial(run, f"{module} --help", folder)
        found[f"error {name}"] = partial(run, f"{module} mistake=1", folder, True)
        if name in WORK:
            found[f"work {name}"] = partial(anew, f"cage_lightning.{WORK[name]}", folder)
    return found


def main() -> None:
    """Measure, and write the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(f"cage_lightning.{TRAIN}", folder)
        shutil.copy(next((folder / "data").glob("**/*.jpg")), folder / "face.jpg")
        costs = in_turn(rivals(folder))
    base = costs[f" {TORCH}"]
    rows = [[f"python -c '{TORCH}'", f"{base:.2f}", *[""] * 5]]
    for name in commands():
        row = [name]
        for column in ("help", "error", "work"):
            cost = costs.get(f"{column} {name}")
            row += ["", ""] if cost is None else [f"{cost:.2f}", f"{cost / base:.2f}"]
        rows.append(row)
    header = ["command"]
    for column in ("help", "error", "smallest work"):
        header += [f"{column}, CPU s", "of torch"]
    write("start", "CPU time of the commands", header, rows, ("lightning", "hydra-core"))


if __name__ == "__main__":
    main()
