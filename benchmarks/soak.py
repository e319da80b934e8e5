"""Whether a long training grows: memory, handles, threads, files and the time of a step.

``python -m benchmarks.soak`` trains the network `tiny` for 10,000 steps and 50 epochs on small
drawn faces, and writes soak.csv, soak.png and soak.md beside itself.
A callback in the training looks at its processes every hundred steps. Times are CPU times, which
other work on the machine hardly changes, of the process and of those of its loader; wall times are
in soak.csv as well.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback
from matplotlib.axes import Axes
from scipy.stats import linregress

from benchmarks.measuring import cpu_seconds, machine
from cage_lightning.report.figures import PALETTE, new_figure
from cage_lightning.system.markdown import markdown_table

HERE = Path(__file__).parent
EPOCHS, STEPS, EVERY = 50, 200, 100
WARM = EPOCHS * STEPS // 10  # steps after which nothing should grow any more
FLAT = 0.02  # of its mean: growth from there to the end that is no growth
MIB, KIB = 2**20, 2**10
SETTINGS = (
    *("data=demo8", "model=tiny", "model.image_size=32", "trainer=cpu"),
    *("data.batch_size=8", "data.num_workers=1", f"trainer.max_epochs={EPOCHS}"),
    *(f"trainer.limit_train_batches={STEPS}", "trainer.limit_val_batches=10"),
)


@dataclass(frozen=True)
class Sample:
    """What a training is like at a step; the times are means over the steps since the last one."""

    step: int
    epoch: int
    main_mib: float
    loaders_mib: float
    handles: int
    threads: int
    log_kib: float
    csv_kib: float
    cpu_ms_per_step: float
    wall_ms_per_step: float


# What is judged: its name, the column, and whether it grows with every line that is written.
JUDGED: Mapping[str, tuple[str, bool]] = {
    "memory of the training, MiB": ("main_mib", False),
    "memory of the loader's processes, MiB": ("loaders_mib", False),
    "open handles": ("handles", False),
    "threads": ("threads", False),
    "CPU time of a step, ms": ("cpu_ms_per_step", False),
    "train.log, KiB": ("log_kib", True),
    "csv/, KiB": ("csv_kib", True),
}


class Sampling(Callback):
    """Append a `Sample` to a CSV file every `EVERY` steps; without the validations between them.

    Args:
        file: The CSV file.
        folder: The run folder.
    """

    def __init__(self, file: str, folder: str) -> None:
        self.file, self.folder = Path(file), Path(folder)
        self._steps, self._cpu, self._wall, self._began = 0, 0.0, 0.0, (0.0, 0.0)

    def on_train_epoch_start(self, *_: object) -> None:
        """Start both clocks."""
        self._began = cpu_seconds(), time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """Look, at every `EVERY`-th step."""
        self._steps += 1
        if trainer.global_step % EVERY:
            return
        now = cpu_seconds(), time.perf_counter()
        cpu, wall = (1000 * (b - a) / self._steps for a, b in zip(self._began, now, strict=True))
        processes = [os.getpid(), *_children()]
        main, *loaders = (_resident(process) / MIB for process in processes)
        sample = Sample(
            step=trainer.global_step,
            epoch=trainer.current_epoch + 1,
            main_mib=round(main, 2),
            loaders_mib=round(sum(loaders), 2),
            handles=sum(_entries(f"/proc/{process}/fd") for process in processes),
            threads=sum(_entries(f"/proc/{process}/task") for process in processes),
            log_kib=round((self.folder / "train.log").stat().st_size / KIB, 2),
            csv_kib=round(sum(f.stat().st_size for f in self.folder.rglob("csv/*/*")) / KIB, 2),
            cpu_ms_per_step=round(cpu, 3),
            wall_ms_per_step=round(wall, 3),
        )
        new = not self.file.exists()
        with self.file.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(Sample)])
            if new:
                writer.writeheader()
            writer.writerow(asdict(sample))
        self._steps, self._began = 0, (cpu_seconds(), time.perf_counter())


def _children() -> list[int]:
    found: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        found += map(int, (task / "children").read_text(encoding="utf-8").split())
    return found


def _entries(folder: str) -> int:
    return len([*Path(folder).iterdir()])


def _resident(process: int) -> int:
    """Bytes of the process that are in memory, those that it shares with others included."""
    pages = int(Path(f"/proc/{process}/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def train(file: Path) -> None:
    """Train in a process of its own, whose samples are in `file` then."""
    with tempfile.TemporaryDirectory() as place:
        folder = "${run_dir}"
        node = f"{{_target_: benchmarks.soak.Sampling, file: '{file}', folder: '{folder}'}}"
        line = [*SETTINGS, f"runs={place}/runs", f"+callbacks.soak={node}"]
        subprocess.run(
            [sys.executable, "-m", "cage_lightning.train", *line],
            check=True,
            cwd=HERE.parent,
            env=os.environ | {"CAGE_DATA": place, "OMP_NUM_THREADS": "1"},
        )


def read(file: Path) -> dict[str, npt.NDArray[np.float64]]:
    """The samples by column."""
    with file.open(encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}


def judged(samples: Mapping[str, npt.NDArray[np.float64]]) -> list[list[str]]:
    """A row for each of `JUDGED`.

    A line is fitted to the samples after step `WARM`, and its growth up to the end is told in parts
    of their mean, with two standard errors. It is flat if that is less than `FLAT` for certain. A
    file grows evenly if the slope of the second half of these steps is less than `FLAT` steeper.
    """
    rows = []
    warm = samples["step"] > WARM
    x = samples["step"][warm]
    for name, (column, written) in JUDGED.items():
        y = samples[column][warm]
        line = linregress(x, y)
        if written:
            if column == "log_kib":
                y = _without_the_clock(samples, y)
            halves = zip(np.array_split(x, 2), np.array_split(y, 2), strict=True)
            first, second = (linregress(*half).slope for half in halves)
            growth = second / first - 1
            what = f"slope {100 * growth:+.1f} % in the second half"
            verdict = "even" if growth < FLAT else "GROWS"
        else:
            error = 2 * np.nan_to_num(line.stderr)  # of equal values there is none
            growth, error = (value * (x[-1] - x[0]) / y.mean() for value in (line.slope, error))
            what = f"{100 * growth:+.2f} ± {100 * error:.2f} %"
            verdict = "GROWS" if growth - error > 0 and growth >= FLAT else "not clear"
            verdict = "flat" if growth + error < FLAT else verdict
        ends = (f"{line.intercept + line.slope * step:.1f}" for step in (x[0], x[-1]))
        rows.append([name, *ends, f"{1000 * line.slope:+.3f}", what, verdict])
    return rows


def _without_the_clock(
    samples: Mapping[str, npt.NDArray[np.float64]], sizes: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """The sizes of the log after step `WARM` without the lines that it gets every half minute.

    They are a multiple of the wall time, in the best fit of the sizes by steps and wall time.
    """
    steps = samples["step"]
    wall = np.cumsum(samples["wall_ms_per_step"] * np.diff(steps, prepend=0))[steps > WARM]
    known = np.stack([steps[steps > WARM], wall, np.ones_like(wall)], axis=1)
    [_, by_the_clock, _], *_ = np.linalg.lstsq(known, sizes, rcond=None)
    without: npt.NDArray[np.float64] = sizes - by_the_clock * wall
    return without


def draw(samples: Mapping[str, npt.NDArray[np.float64]], file: Path) -> None:
    """Draw every column over the steps; every axis begins at 0."""
    panels: Sequence[tuple[str, Mapping[str, str]]] = (
        ("memory, MiB", {"main_mib": "training", "loaders_mib": "loader processes"}),
        ("open", {"handles": "handles", "threads": "threads"}),
        ("files, KiB", {"log_kib": "train.log", "csv_kib": "csv/"}),
        ("CPU time of a step, ms", {"cpu_ms_per_step": "all processes"}),
    )
    title = f"A training of {EPOCHS * STEPS:,} steps and {EPOCHS} epochs (tiny, drawn faces)"
    figure = new_figure(10, 6.5, title)
    axes: Any = figure.subplots(2, 2, sharex=True)
    for place, (label, columns) in zip(axes.flat, panels, strict=True):
        _panel(place, samples, label, columns)
    for place in axes[1]:
        place.set_xlabel("step")
    figure.savefig(file)


def _panel(
    axes: Axes,
    samples: Mapping[str, npt.NDArray[np.float64]],
    label: str,
    columns: Mapping[str, str],
) -> None:
    for color, (column, name) in zip(PALETTE, columns.items(), strict=False):
        axes.plot(samples["step"], samples[column], color=color, label=name)
    axes.axvspan(0, WARM, color="0.93", zorder=0, label="first tenth, not judged")
    axes.set_ylabel(label)
    axes.set_xlim(0, EPOCHS * STEPS)
    axes.set_ylim(0, 1.4 * max(samples[column].max() for column in columns))
    axes.legend(loc="upper left", fontsize=8)
    axes.grid(alpha=0.3)


def write(samples: Mapping[str, npt.NDArray[np.float64]]) -> None:
    """Write soak.png and soak.md."""
    draw(samples, HERE / "soak.png")
    header = [
        "",
        f"after step {WARM:,}",
        "at the end",
        "slope for 1,000 steps",
        f"growth after step {WARM:,}",
        "verdict",
    ]
    text = (
        f"# A training of {EPOCHS * STEPS:,} steps and {EPOCHS} epochs\n\n"
        f"`{' '.join(SETTINGS)}`, synthetic faces; {machine('torch', 'lightning', 'numpy')}. "
        f"A sample every {EVERY} steps. Slope and ends are those of a line fitted to "
        f"the samples after step {WARM:,}; growth that is for certain below {FLAT:.0%} of their "
        "mean is flat. Files, which get a line now and then, are even where the slope of the "
        f"second half of these steps is less than {FLAT:.0%} steeper than that of the first; of "
        "train.log without the lines that it gets every half minute, which a busy machine makes "
        "more.\n\n"
        f"{markdown_table(header, judged(samples), right=(1, 2, 3, 4))}\n"
        "![All of it over the steps](soak.png)\n"
    )
    (HERE / "soak.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    if sys.argv[1:] != ["again"]:  # which draws and judges the samples that are there
        (HERE / "soak.csv").unlink(missing_ok=True)
        train(HERE / "soak.csv")
    write(read(HERE / "soak.csv"))
