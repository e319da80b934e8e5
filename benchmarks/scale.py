"""What a million samples cost: memory of their index, shuffling, reading one, and an epoch.

``python -m benchmarks.scale`` writes scale.csv beside itself, and scale.md; it puts a packed store
of a million small drawn faces, 1.2 GB, into the temporary folder. Its tables are read, as every
training reads them, in processes of their own. What a sample costs is measured in turn with few
and with many rows. With ``--epoch 1000000``, which takes some minutes, `python -m
cage_lightning.train` trains ``tiny`` on so many for one epoch instead, while the memory of its
processes is looked at from outside; that writes scale_epoch.csv and scale_epoch.md.
"""

from __future__ import annotations

import argparse
import ctypes
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import dropwhile, islice, takewhile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from PIL import Image

from benchmarks.measuring import ended_cpu_seconds, fresh, in_turn, megabytes, write
from cage_lightning.data.annotations import Annotations
from cage_lightning.data.face_dataset import Batches, FaceDataset
from cage_lightning.data.sampling import EpochBatches
from cage_lightning.data.store_file import About, read_store, write_store
from cage_lightning.demo.faces import draw_face
from cage_lightning.labels import AFFECTNET_8

FEW = 10_000
SIZES = (FEW, 100_000, 1_000_000)
FACES, PIXELS, BATCH, PART = 512, 20, 1024, 8192
BATCHES = 8  # that are read to see what a sample costs
WORKERS, EVERY_S = 1, 0.25
TESTED, PARTS = 1_000, 10  # samples after the epoch; parts of it


def write_split(file: Path, root: Path, rows: int, release: str = "") -> None:
    """A file of the store as `prepare` would leave it, with the same few faces again and again.

    Args:
        file: Where to.
        root: The release.
        rows: How many.
        release: Fingerprint of the release; it does not matter where none is at `root`.
    """
    faces = [draw_face(0, "train", number, PIXELS) for number in range(FACES)]
    content = [_jpeg(face.image, face.jpeg_quality) for face in faces]
    which = np.arange(rows) % FACES
    affect = np.array([(face.valence, face.arousal) for face in faces], np.float32)
    table = Annotations(
        space=AFFECTNET_8,
        root=root,
        id=np.arange(rows).astype(str),
        path=np.array([f"train_set/images/{number}.jpg" for number in range(rows)]),
        category=np.array([face.category for face in faces], np.int64)[which],
        affect=affect[which],
        copies=np.full(rows, "", np.str_),
    )
    parts = (
        pa.array([content[k] for k in which[start : start + PART]], pa.large_binary())
        for start in range(0, rows, PART)
    )
    write_store(file, table, parts, About(release, {"release": "auto"}, None))


def _jpeg(image: npt.NDArray[np.uint8], quality: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return file.getvalue()


def read(file: Path) -> Annotations:
    """The table of a file of the store, whose pictures can be read."""
    table = read_store(file, file.parent)[0]
    table.picture(0)
    return table


def memory_of(small: Path, file: Path) -> tuple[float, float, float]:
    """MB that a table takes, and that reading it took at most; and seconds of CPU for that.

    What was read and freed is given back to the system before the first is looked at.
    """
    read(small)  # imports, and threads of Arrow
    before, whole, start = megabytes("RssAnon"), megabytes("VmRSS"), time.process_time()
    table = read(file)
    seconds, most = time.process_time() - start, megabytes("VmHWM") - whole
    ctypes.CDLL(None).malloc_trim(0)
    held = megabytes("RssAnon") - before
    assert len(table)  # it is still there
    return held, most, seconds


def shuffling(rows: int) -> float:
    """Milliseconds until the first batch of an epoch is known."""
    batches = EpochBatches(rows, BATCH, seed=0)
    start = time.process_time()
    next(iter(batches))
    return (time.process_time() - start) * 1e3


def reading(table: Annotations) -> Callable[[], float]:
    """Microseconds for a sample, of batches in the order of an epoch."""
    samples, batches = Batches(FaceDataset(table, PIXELS)), EpochBatches(len(table), BATCH, seed=0)

    def cost() -> float:
        batches.set_epoch(batches.epoch + 1)
        numbers = list(islice(batches, BATCHES))
        start = time.process_time()
        for one in numbers:
            samples.__getitems__(one)
        return (time.process_time() - start) / sum(map(len, numbers)) * 1e6

    return cost


def _with_few_pictures(table: Annotations, few: Annotations) -> Annotations:
    """A table whose rows share the pictures of a small one: what is left is the index."""
    assert few.packed is not None
    return replace(table, packed=few.packed.select(np.arange(len(table)) % len(few)))


def memory(process: int) -> tuple[float, int]:
    """MB that a process and those that it started take, and how many they are.

    Pages that several of them share count once.
    """
    found, left = [], [process]
    while left:
        one = Path("/proc") / str(left.pop())
        with suppress(OSError, ValueError, IndexError):  # it has ended
            pages = (one / "smaps_rollup").read_text(encoding="utf-8")
            found.append(int(pages.partition("\nPss:")[2].split()[0]) * 1024 / 1e6)
            for thread in (one / "task").iterdir():
                left += map(int, (thread / "children").read_text(encoding="utf-8").split())
    return sum(found), len(found)


def train(folder: Path) -> tuple[list[float], float]:
    """MB from the first batch of an epoch to the last, and seconds of CPU of the whole command."""
    arguments = (
        f"data=affectnet8 data.root={folder / 'release'} data.selection=test data.num_workers="
        f"{WORKERS} data.batch_size={BATCH} model=tiny model.image_size={PIXELS} augment=none "
        f"trainer=cpu trainer.max_epochs=1 trainer.enable_progress_bar=false runs={folder / 'runs'}"
    )
    command = [sys.executable, "-m", "cage_lightning.train", *arguments.split()]
    before, found = ended_cpu_seconds(), []
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            found.append(memory(process.pid))
            time.sleep(EVERY_S)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} has failed")
    # While the loader of the training has its processes, and that of the validation none yet.
    from_first = dropwhile(lambda one: one[1] <= WORKERS, found)
    during = [
        megabytes for megabytes, _ in takewhile(lambda one: one[1] == 1 + WORKERS, from_first)
    ]
    return during, ended_cpu_seconds() - before


def index_of(folder: Path) -> dict[str, list[float]]:
    """What is measured of an index, of each size."""
    files = {rows: folder / f"{rows}.arrow" for rows in SIZES}
    for rows, file in files.items():
        write_split(file, folder, rows)
    memories = [fresh(memory_of, files[FEW], file) for file in files.values()]
    held, at_most, seconds = map(list, zip(*memories, strict=True))
    shuffled = in_turn({rows: partial(shuffling, rows) for rows in SIZES})
    tables = {rows: read(file) for rows, file in files.items()}
    costs = in_turn({rows: reading(table) for rows, table in tables.items()})
    same = in_turn(
        {rows: reading(_with_few_pictures(table, tables[FEW])) for rows, table in tables.items()}
    )
    return {
        "MB that it takes": held,
        "MB while it is read": at_most,
        "CPU s until it is read": seconds,
        "CPU ms until an epoch is shuffled": [*shuffled.values()],
        "CPU us to read a sample": [*costs.values()],
        "of that of few rows": [cost / costs[FEW] for cost in costs.values()],
        "CPU us to read one of the same pictures": [*same.values()],
        "of that of few rows, same pictures": [cost / same[FEW] for cost in same.values()],
    }


def index() -> None:
    """Measure the index, and write the table."""
    with tempfile.TemporaryDirectory() as folder:
        found = index_of(Path(folder))
    rows = [[name, *(f"{one:.2f}" for one in values)] for name, values in found.items()]
    sizes = [f"{rows:,} rows" for rows in SIZES]
    write("scale", "The index of many samples", ["", *sizes], rows, ("pyarrow",))


def epoch(samples: int) -> None:
    """Measure a training, and write the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = folder / "release.store" / AFFECTNET_8.name
        store.mkdir(parents=True)
        for split, rows in {"train": samples, "test": TESTED}.items():
            write_split(store / f"{split}.arrow", folder / "release", rows)
        during, seconds = train(folder)
    parts = [f"{part.mean():.0f}" for part in np.array_split(during, PARTS)]
    header = ["samples", *(f"MB, part {k + 1}" for k in range(PARTS)), "CPU s", "CPU us for one"]
    row = [f"{samples:,}", *parts, f"{seconds:.0f}", f"{seconds / samples * 1e6:.0f}"]
    title = f"A training in {PARTS} parts of an epoch, {PIXELS} pixels, batches of {BATCH}"
    write("scale_epoch", title, header, [row], ("pyarrow", "lightning"))


if __name__ == "__main__":
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epoch", type=int, help="train one epoch of so many samples instead")
    samples = parser.parse_args().epoch
    index() if samples is None else epoch(samples)
