"""Looking at every picture of a dataset once, in parts that survive a kill."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image, UnidentifiedImageError
from rich.console import Console
from rich.progress import track

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.files import Refused, read_file, stays_inside
from cage_lightning.data.images import open_picture, to_rgb, widened
from cage_lightning.data.preparation.altered import detail_thumbnail
from cage_lightning.data.preparation.coarse import SIZE
from cage_lightning.data.preparation.duplicates import GREY_SIZE, grey_thumbnail
from cage_lightning.data.store_file import VERSION
from cage_lightning.system.atomic import write_atomic
from cage_lightning.system.processes import map_in_processes, processes_for

PART = 256
JPEG_QUALITY = 95

_WORTH_A_PROCESS = 4_000  # pictures, which take it 1.5 s and more

# What is found out about the picture of a row. `image` is null where there is a fault.
FACTS = pa.schema(
    {
        "image": pa.large_binary(),
        "content": pa.binary(32),
        "pixels": pa.binary(32),
        "grey": pa.binary(GREY_SIZE**2),
        "finer": pa.binary(SIZE**2),
        "width": pa.int32(),
        "height": pa.int32(),
        "mode": pa.string(),
        "format": pa.string(),
        "fault": pa.string(),
        "detail": pa.string(),
    }
)

MISSING = "missing"
OUTSIDE = "outside the release"


@dataclass(frozen=True)
class _Part:
    """A few rows, and where what is found out about them goes.

    Attributes:
        stem: The file, without what it was made from and its digest.
        rows: The rows.
        states: As for `check_pictures`.
        image_size: Likewise.
        made: Files that an earlier call left for these rows, as they may have been then.
    """

    stem: Path
    rows: Annotations
    states: Sequence[str]
    image_size: int | None
    made: Sequence[Path]


@dataclass(frozen=True)
class Checked:
    """One split after its pictures were looked at.

    Attributes:
        table: The rows whose picture can be used.
        facts: ``id`` and ``path`` of all rows that the reader gave, and what was found out about
            their pictures: the columns of `FACTS` but ``image``.
    """

    table: Annotations
    facts: pa.Table


def check_pictures(
    table: Annotations,
    states: Sequence[str],
    folder: Path,
    name: str,
    image_size: int | None,
    workers: int | None,
) -> list[Path]:
    """Look at the picture of each row; keep what is found in files, which a later call takes up.

    A part of `PART` rows is one file, named after what it was made from and its own digest. Parts
    that are there already and sound are not made again.

    Args:
        table: The rows.
        states: Of the picture file of each row: when one changes, its part is made again.
        folder: Where the parts go.
        name: Of the split.
        image_size: Re-encode at this height and width; None: keep the bytes of the file.
        workers: Number of processes; None: one per usable CPU, as far as each has enough to do.
            Threads would wait for Python's lock, which Pillow and each look at the disk hand on
            many times for a picture.

    Returns:
        Arrow files with the columns of `FACTS`, in the order of the rows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = defaultdict(list)
    for path in folder.glob(f"{name}-*.arrow"):
        made[path.stem.rsplit("-", 2)[0]].append(path)
    parts = []
    for start in range(0, len(table), PART):
        rows = table.select(np.arange(start, min(start + PART, len(table))))
        stem = f"{name}-{start:09d}"
        states_of_part = states[start : start + PART]
        parts.append(_Part(folder / stem, rows, states_of_part, image_size, made[stem]))
    processes = workers or processes_for(len(table), _WORTH_A_PROCESS)
    files = map_in_processes(_file_of, parts, processes)
    title, console = f"Checking the {name} split", Console(stderr=True)
    return list(track(files, description=title, total=len(parts), console=console))


def read_parts(parts: Sequence[Path], columns: Sequence[str]) -> pa.Table:
    """Some columns of the parts that `check_pictures` made, one chunk for each part."""
    tables = (pa.ipc.open_file(pa.memory_map(str(path))).read_all() for path in parts)
    return pa.concat_tables([table.select(columns) for table in tables])


def _file_of(part: _Part) -> Path:
    """The file with the facts about a part, which is written unless it is there."""
    before = f"{part.stem}-{_key(part)}"
    for path in part.made:
        if str(path) == f"{before}-{_digest(path.read_bytes())}.arrow":
            return path
    with warnings.catch_warnings():
        # Pillow warns of what it reads nevertheless, and does not say in which file.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        facts = _facts(part.rows, part.image_size)
    sink = BytesIO()
    with pa.ipc.new_file(sink, FACTS) as writer:
        writer.write_batch(facts)
    path = Path(f"{before}-{_digest(sink.getvalue())}.arrow")
    write_atomic(path, sink.getvalue())
    return path


def _key(part: _Part) -> str:
    """A digest of what the facts about a part are made from."""
    rows = part.rows
    box = None if rows.box is None else rows.box.tolist()
    made_of = [VERSION, FACTS.names, rows.path.tolist(), box, part.states, part.image_size]
    return _digest(json.dumps(made_of).encode())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _facts(rows: Annotations, image_size: int | None) -> pa.RecordBatch:
    """The `FACTS` of a few rows. A picture with several persons is looked at once."""
    found = {
        path: _look_at(rows.root, path, image_size) for path in dict.fromkeys(rows.path.tolist())
    }
    facts = [found[path] for path in rows.path.tolist()]
    if rows.box is not None:
        facts = [_with_box(fact, box) for fact, box in zip(facts, rows.box.tolist(), strict=True)]
    return pa.RecordBatch.from_pylist(facts, schema=FACTS)


def _look_at(root: Path, path: str, image_size: int | None) -> dict[str, Any]:
    """The `FACTS` of a picture file."""
    content = _read(root, path)
    if isinstance(content, dict):
        return content
    try:
        with open_picture(content) as stored:
            stored_as = {"mode": stored.mode, "format": stored.format}
            rgb = to_rgb(stored)
    except Exception as error:  # as in decode_image
        return _named(error)
    return stored_as | {
        "image": content if image_size is None else _encoded(rgb, image_size),
        "content": hashlib.sha256(content).digest(),
        "pixels": hashlib.sha256(repr(rgb.size).encode() + rgb.tobytes()).digest(),
        "grey": grey_thumbnail(rgb),
        "finer": detail_thumbnail(rgb),
        "width": rgb.width,
        "height": rgb.height,
    }


def _read(root: Path, path: str) -> bytes | dict[str, Any]:
    """The content of a regular file below `root`, or its fault."""
    if not stays_inside(root, path):
        return _fault(OUTSIDE, os.path.realpath(root / path))
    try:
        return read_file(root / path) or _fault("empty")
    except (FileNotFoundError, NotADirectoryError):
        return _fault(MISSING)
    except Refused as refused:
        name, _, detail = str(refused).partition(": ")
        return _fault(name, detail)
    except OSError as error:
        return _fault("unreadable", error.strerror or "")


def _named(error: Exception) -> dict[str, Any]:
    """The fault that an error in decoding stands for."""
    detail = f"{type(error).__name__}: {error}"
    if isinstance(error, UnidentifiedImageError):
        return _fault("not a picture")
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return _fault("decompression bomb", detail)
    # The latter: a header that is whole, and nothing after it.
    if "truncated" in detail.lower() or "cannot load this image" in detail:
        return _fault("truncated", detail)
    if isinstance(error, ValueError) and ("range" in detail or "do not fit" in detail):
        return _fault("pixel values of unknown range", detail)
    return _fault("corrupt", detail)


def _fault(name: str, detail: str = "") -> dict[str, Any]:
    return {"fault": name, "detail": detail}


def _with_box(facts: dict[str, Any], box: list[float]) -> dict[str, Any]:
    """The facts about a picture, as those about a row with this box."""
    if "fault" in facts:
        return facts
    try:
        widened(box, 0, (facts["width"], facts["height"]))
    except ValueError as error:
        return _fault("box outside the picture", str(error))
    return facts


def _encoded(rgb: Image.Image, size: int) -> bytes:
    """A picture as JPEG of `size` x `size` pixels, resized as `decode_image` does."""
    buffer = BytesIO()
    small = rgb.resize((size, size), Image.Resampling.BILINEAR)
    small.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()
