"""From opening the data to the first batch of a release of many small files, out of its store.

``python -m benchmarks.first_batch`` writes first_batch.csv beside itself, and first_batch.md. It
makes a release of AffectNet of 2021 in the temporary folder, of real files: each picture, and four
annotations of it. ``--pictures`` says how many; 290,000 are those of AffectNet, with 1.47 million
files in all, for which it takes some minutes. A packed store of as many rows lies beside it. The
first batch of a training is made in turn as after `prepare`, which leaves a note of the folders,
and without that note, where a start looks at every file; the median of five rounds counts.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar
from unittest import mock

import lightning.pytorch as pl

from benchmarks.measuring import REPEATS, write
from benchmarks.scale import PIXELS, write_split
from cage_lightning.augment import Augment
from cage_lightning.data import release_files
from cage_lightning.data.datasets import AffectNet
from cage_lightning.data.module import ExpressionData
from cage_lightning.data.source import Source
from cage_lightning.labels import AFFECTNET_8
from cage_lightning.runs.log import start_logging

PICTURES, BATCH = 10_000, 128
TESTED = 72  # times fewer pictures in the other split, as in AffectNet
KINDS = ("exp", "val", "aro", "lnd")
STARTS = ("as after prepare", WITHOUT_NOTE := "without the note of prepare")
SETTLED_S = 3  # a note is believed where no folder has changed so shortly before it

T = TypeVar("T")


def write_release(root: Path, pictures: int) -> None:
    """A release whose files hold nothing of use."""
    for split, size in {"train": pictures, "val": pictures // TESTED}.items():
        for folder in ("images", "annotations"):
            (root / f"{split}_set" / folder).mkdir(parents=True)
        for name in _names(split, size):
            (root / name).write_bytes(b"0")


def _names(split: str, size: int) -> Iterator[str]:
    for number in range(size):
        yield f"{split}_set/images/{number}.jpg"
        yield from (f"{split}_set/annotations/{number}_{kind}.npy" for kind in KINDS)


def write_store(root: Path, folder: Path, pictures: int) -> int:
    """A store of the release, with the note; how many files the release has."""
    listing = release_files.list_release(root, folder)
    note = listing.note()
    folder.mkdir(parents=True)
    for split, rows in {"train": pictures, "test": pictures // TESTED}.items():
        write_split(folder / f"{split}.arrow", root, rows, note.release)
    time.sleep(SETTLED_S)
    release_files.write_note(folder / release_files.NOTE, note)
    return len(listing.files)


def make_batch(source: Source, image_size: int, trainer: pl.Trainer) -> None:
    """The first batch of a training, as it is in the files."""
    data = ExpressionData(
        source,
        image_size=image_size,
        margin=0.0,
        batch_size=BATCH,
        num_workers=0,
        selection="holdout",
        balance=False,
        class_weights="paper",
        seed=0,
        augment=Augment([], (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), seed=0),
    )
    data.trainer = trainer
    data.setup("fit")
    assert len(next(iter(data.train_dataloader())).image) == BATCH


def first_batch(root: Path, store: Path) -> tuple[float, float]:
    """Seconds of CPU, and seconds, from opening the data to the first training batch."""
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    began, start = time.process_time(), time.perf_counter()
    source = AffectNet(
        release="auto",
        label_space=AFFECTNET_8.name,
        root=str(root),
        store=str(store),
        on_error="raise",
    )
    make_batch(source, PIXELS, trainer)
    return time.process_time() - began, time.perf_counter() - start


def files_looked_at(root: Path, store: Path) -> int:
    """How often a start looks at the state of a file."""
    with mock.patch.object(release_files, "_state", wraps=release_files._state) as state:
        first_batch(root, store)
    return state.call_count


def measure(pictures: int) -> tuple[int, list[list[str]]]:
    """How many files there were, and the rows of the table."""
    with tempfile.TemporaryDirectory() as name:
        root, store = Path(name) / "release", Path(name) / "store"
        write_release(root, pictures)
        folder = store / AFFECTNET_8.name
        count, note = write_store(root, folder, pictures), folder / release_files.NOTE

        def measured(start: str, measure: Callable[[Path, Path], T]) -> T:
            if start == WITHOUT_NOTE:
                note.unlink()  # the start writes it again
            return measure(root, store)

        first_batch(root, store)  # warms up
        rows = []
        times = [[measured(start, first_batch) for start in STARTS] for _ in range(REPEATS)]
        for start, found in zip(STARTS, zip(*times, strict=True), strict=True):
            medians = [f"{statistics.median(one):.2f}" for one in zip(*found, strict=True)]
            rows.append([start, *medians, f"{measured(start, files_looked_at):,}"])
    return count, rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=PICTURES, help="of the training split")
    start_logging(None)  # without the warnings that a command suppresses as well
    logging.getLogger().setLevel(logging.WARNING)
    pictures = parser.parse_args().pictures
    count, rows = measure(pictures)
    title = f"The first batch of {pictures:,} pictures beside {count - pictures:,} other files"
    header = ["start", "CPU s", "s", "files looked at"]
    write("first_batch", title, header, rows, ("pyarrow", "lightning"))
