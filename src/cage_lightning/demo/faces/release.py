"""Demo faces on disk, in the layout of the 2021 AffectNet release and with its oddities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from PIL import Image

from cage_lightning.demo.drawn import draw_chunks, write_once
from cage_lightning.demo.faces.drawing import DRAWING_VERSION, draw_face
from cage_lightning.demo.faces.labels import SPLIT_IDS, TRAIN_COUNTS
from cage_lightning.errors import ConfigError


class Size(NamedTuple):
    """How much is drawn.

    Attributes:
        train: Pictures of the training split.
        val: Pictures of the validation split, a multiple of eight. The last one, a contempt, is
            drawn by nobody: the validation split of AffectNet lacks one as well.
        pixels: Height and width of a picture.
    """

    train: int
    val: int
    pixels: int


SIZES: Mapping[str, Size] = MappingProxyType(
    {
        "tiny": Size(train=256, val=64, pixels=32),
        "demo": Size(train=8_000, val=1_600, pixels=64),
        "full": Size(train=60_000, val=4_000, pixels=112),
    }
)

# The 2021 release kept these shares of the rows of 2017, whose row numbers are its ids.
_KEPT_SHARES = {"train": int(TRAIN_COUNTS.sum()) / 414_799, "val": 3_999 / 5_500}

_CHUNK = 128


class _Row(NamedTuple):
    """One line of the annotation table, as text: every file holds the same digits."""

    number: str
    exp: str
    val: str
    aro: str


class _Chunk(NamedTuple):
    """Samples that one process draws in one go."""

    split: str
    indices: range
    ids: list[int]


def write_release(root: Path, size: str, seed: int = 0, workers: int | None = None) -> None:
    """Draw a whole release, unless it is there already.

    Writes ``{train,val}_set/images/{N}.jpg``, ``{train,val}_set/annotations/{N}_{exp,val,aro,lnd}
    .npy`` and ``affectnet_annotations/{train,val}_set_annotation_without_lnd.csv``. As in the real
    release, ids have gaps and repeat between the splits, `exp`, `val` and `aro` are 0-d arrays of
    text, one contempt is missing in "val". `lnd` holds 136 floats, x and y in turn, in pixels.

    The folder appears under its name when it is complete. A process that comes while another one
    draws waits for it. Processes are spawned: a script that calls this with more than one worker
    needs the usual ``if __name__ == "__main__":``.

    Args:
        root: Folder to write. ``{root}.lock`` beside it stays.
        size: A key of `SIZES`.
        seed: Seed of the pictures and labels, not negative.
        workers: Number of processes; 1 draws in this process. By default one per usable CPU, and 1
            for a size too small to be worth it.

    Raises:
        ConfigError: `size` does not exist.
        DataError: `root` holds something else, or a release of another size, seed or version.
    """
    if size not in SIZES:
        raise ConfigError(f"demo faces have no size {size!r}: use one of {list(SIZES)}")
    description = {"size": size, "seed": seed, "drawing_version": DRAWING_VERSION}
    write = partial(_write_splits, size=SIZES[size], seed=seed, workers=workers)
    write_once(root, "demo faces", description, write)


def _write_splits(folder: Path, size: Size, seed: int, workers: int | None) -> None:
    for split in SPLIT_IDS:
        for part in ("images", "annotations"):
            (folder / f"{split}_set" / part).mkdir(parents=True)
    chunks = [*_chunks("train", size.train), *_chunks("val", size.val - 1)]
    draw = partial(_write_chunk, folder, seed, size.pixels)
    samples = size.train + size.val
    tables = draw_chunks(draw, chunks, samples, workers, "Drawing demo faces")
    (folder / "affectnet_annotations").mkdir()
    for split in SPLIT_IDS:
        lines = [",".join(_Row._fields)]
        for chunk, rows in zip(chunks, tables, strict=True):
            if chunk.split == split:
                lines += [",".join(row) for row in rows]
        name = f"{split}_set_annotation_without_lnd.csv"
        (folder / "affectnet_annotations" / name).write_text(
            "\n".join(lines) + "\n", encoding="utf-8"
        )


def _chunks(split: str, count: int) -> Iterator[_Chunk]:
    """Samples 0 to `count`; their ids are row numbers with gaps, the same for every seed."""
    gaps = np.random.default_rng(SPLIT_IDS[split]).geometric(_KEPT_SHARES[split], count)
    ids = (np.cumsum(gaps) - gaps[0]).tolist()
    for start in range(0, count, _CHUNK):
        part = slice(start, start + _CHUNK)
        yield _Chunk(split, range(count)[part], ids[part])


def _write_chunk(folder: Path, seed: int, pixels: int, chunk: _Chunk) -> list[_Row]:
    """Draw a chunk and write its pictures and arrays; return its part of the table."""
    images = folder / f"{chunk.split}_set" / "images"
    annotations = folder / f"{chunk.split}_set" / "annotations"
    rows = []
    for index, number in zip(chunk.indices, chunk.ids, strict=True):
        face = draw_face(seed, chunk.split, index, pixels)
        row = _Row(str(number), str(face.category), repr(face.valence), repr(face.arousal))
        Image.fromarray(face.image).save(images / f"{number}.jpg", quality=face.jpeg_quality)
        for name in ("exp", "val", "aro"):
            np.save(annotations / f"{number}_{name}.npy", np.array(getattr(row, name)))
        np.save(annotations / f"{number}_lnd.npy", face.landmarks.ravel())
        rows.append(row)
    return rows
