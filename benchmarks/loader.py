"""CPU time of a loader for a picture, beside the bare decode and the published pipeline.

``python -m benchmarks.loader`` writes loader.csv and loader.md beside itself; some minutes on one
core. Every rival reads the same drawn JPEG files. The published pipeline is written here from its
description: labels looked up in pandas row by row, a file for each picture, Pillow, and
torchvision's transforms on the picture one after the other. All are measured in turn, on one
thread, in CPU time of the process and of those that it started; the median of five rounds counts.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import simplejpeg
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.io import ImageReadMode, decode_jpeg

from benchmarks.augment import BATCHED, TORCHVISION_PIL
from benchmarks.measuring import cpu_seconds, in_turn, write
from cage_lightning.augment import Augment
from cage_lightning.data.annotations import Annotations
from cage_lightning.data.face_dataset import Batches, FaceDataset
from cage_lightning.data.images import open_picture, square
from cage_lightning.data.loading import BatchLoader, loading
from cage_lightning.data.sampling import EpochBatches
from cage_lightning.data.store_file import About, read_store, write_store
from cage_lightning.labels import AFFECTNET_8, Batch
from cage_lightning.system.machine import keep_freed_memory

SIDE, BATCH, PICTURES = 224, 128, 512
BARE = "bare decode: simplejpeg"
PUBLISHED = "published pipeline, augmented"
# Pictures that the rivals with an augmentation read in a round, which takes them longer.
FEW = 128

Rival = Callable[[], int]
"""Reads pictures, and returns how many."""


def draw(number: int) -> bytes:
    """A JPEG file of about 10 kB: smooth colours with the grain of a photograph."""
    rng = np.random.default_rng(number)
    coarse = rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)
    smooth = Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    grain = rng.normal(0, 3, (SIDE, SIDE, 1))
    picture = (np.asarray(smooth) + grain).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=88)
    return file.getvalue()


def packed(folder: Path, content: Sequence[bytes]) -> Annotations:
    """The pictures in a packed store, and as files beside it."""
    rng, n = np.random.default_rng(0), len(content)
    table = Annotations(
        space=AFFECTNET_8,
        root=folder,
        id=np.arange(n).astype(str),
        path=np.array([f"{number}.jpg" for number in range(n)]),
        category=np.arange(n) % 8,
        affect=rng.uniform(-1, 1, (n, 2)).astype(np.float32),
    )
    for name, one in zip(table.path.tolist(), content, strict=True):
        (folder / name).write_bytes(one)
    images = [pa.array(content, pa.large_binary())]
    write_store(folder / "all.arrow", table, images, About("", {}, None))
    return read_store(folder / "all.arrow", folder)[0]


class Published(Dataset[Any]):
    """A data set as in the published scripts."""

    def __init__(self, table: Annotations) -> None:
        self.folder = table.root
        columns = {"number": table.id, "exp": table.category}
        affect = {name: table.affect[:, k] for k, name in enumerate(("val", "aro"))}
        self.rows = pd.DataFrame(columns | affect)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> Any:
        path = self.folder / f"{self.rows['number'].iloc[number]}.jpg"
        picture = Image.open(path) if path.exists() else Image.new("RGB", (SIDE, SIDE), "white")
        category = torch.tensor(self.rows["exp"].iloc[number], dtype=torch.long)
        affect = torch.tensor(self.rows.iloc[number, 2:4].to_numpy(float), dtype=torch.float32)
        return TORCHVISION_PIL(picture), category, affect


class OneByOne(Dataset[Batch]):
    """The same samples as from our loaders, each made alone by Pillow and then put together."""

    def __init__(self, table: Annotations) -> None:
        self.table = table

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, row: int) -> Batch:
        with open_picture(self.table.picture(row)) as stored:
            image = square(stored, SIDE)
        category, affect = self.table.category[row], self.table.affect[row]
        return Batch(image, *map(torch.as_tensor, (category, affect, row)))


def with_pillow(content: bytes) -> Any:
    with Image.open(io.BytesIO(content)) as stored:
        return np.asarray(stored.convert("RGB"))


def with_torchvision(content: bytes) -> Any:
    return decode_jpeg(torch.frombuffer(bytearray(content), dtype=torch.uint8), ImageReadMode.RGB)


def decoding(content: Sequence[bytes], decode: Callable[[bytes], Any]) -> Rival:
    def read() -> int:
        for one in content:
            decode(one)
        return len(content)

    return read


def bare(content: Sequence[bytes]) -> Rival:
    place = np.empty((SIDE, SIDE, 3), np.uint8)
    return decoding(content, lambda one: simplejpeg.decode_jpeg(one, "RGB", buffer=place))


def reading(loader: Iterable[Any]) -> Rival:
    """One pass; that processes start is part of the first one, which is not counted."""
    return lambda: sum(len(batch[0]) for batch in loader)


def loader_of(table: Annotations, workers: int, augment: Augment | None = None) -> BatchLoader:
    """The loader of a training."""
    samples = Batches(FaceDataset(table, SIDE), augment)
    batches = EpochBatches(len(table), BATCH, seed=0)
    return BatchLoader(samples, batch_sampler=batches, **loading(workers))


def in_threads(loader: BatchLoader, threads: int) -> Iterator[Batch]:
    """The batches of a loader, each made by one of several threads of this process."""
    dataset: Any = loader.dataset
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(dataset.__getitems__, list(loader.batch_sampler or ()))


def augmented(loader: Iterable[Batch]) -> Iterator[Any]:
    """The batches of a loader, augmented in the main process."""
    return (batch._replace(image=BATCHED(batch.image, batch.index, 0)) for batch in loader)


def rivals(folder: Path) -> dict[str, Rival]:
    """What is measured, by name."""
    content = [draw(number) for number in range(PICTURES)]
    print(f"{PICTURES} pictures of {np.mean([len(one) for one in content]):.0f} bytes")
    table = packed(folder, content)
    few, loaders = table.select(np.arange(FEW)), [loader_of(table, n) for n in range(3)]
    short = loader_of(few, 0)
    return {
        BARE: bare(content),
        "bare decode: Pillow": decoding(content, with_pillow),
        "bare decode: torchvision": decoding(content, with_torchvision),
        PUBLISHED: reading(DataLoader(Published(few), BATCH)),
        "sample by sample, Pillow": reading(DataLoader(OneByOne(table), BATCH)),
        "loader": reading(loaders[0]),
        "loader, 1 process": reading(loaders[1]),
        "loader, 2 processes": reading(loaders[2]),
        "loader, 1 thread": lambda: reading(in_threads(loaders[0], 1))(),
        "loader, 2 threads": lambda: reading(in_threads(loaders[0], 2))(),
        "loader, then augmented": lambda: reading(augmented(short))(),
        "augmented by 2 processes": reading(loader_of(few, 2, BATCHED)),
    }


def cost(read: Rival) -> float:
    """Microseconds of CPU time for a picture."""
    start = cpu_seconds()
    count = read()
    return (cpu_seconds() - start) / count * 1e6


def main() -> None:
    """Measure, and write the table."""
    with tempfile.TemporaryDirectory() as folder:
        found = rivals(Path(folder))
        costs = in_turn({name: partial(cost, read) for name, read in found.items()})
    header = ["rival", "us for a picture", "of the bare decode", "published pipeline / this"]
    rows = [
        [name, f"{one:.0f}", f"{one / costs[BARE]:.2f}", f"{costs[PUBLISHED] / one:.1f}"]
        for name, one in costs.items()
    ]
    title = f"CPU time of a loader for a picture of {SIDE} pixels"
    write("loader", title, header, rows, ("torchvision", "pillow", "simplejpeg", "pandas"))


if __name__ == "__main__":
    torch.set_num_threads(1)
    keep_freed_memory()  # as every training does
    main()
