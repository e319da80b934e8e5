"""A file of the packed store: an Arrow file of one split, with the annotations and the pictures.

A row is a sample: ``id``, ``path``, ``image`` (what is in the picture file, byte for byte),
``category``, ``affect`` where it has dimensions, ``box`` where the dataset has boxes, ``copies``
(see `Annotations`), its further columns, and ``image_crc32``, the CRC-32 of ``image``, which older
files lack. A picture of several persons is repeated in the row of each, so that a row is complete
for whoever reads Arrow. The schema's metadata tell in JSON, under ``cage_lightning``, what the file
was made from.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numpy.dtypes import StringDType

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.packed import (
    CHECKSUM,
    IMAGE,
    METADATA_KEY,
    REMEDY,
    PackedPictures,
    map_table,
)
from cage_lightning.data.picture_paths import TEXTS, PicturePaths
from cage_lightning.errors import DataError
from cage_lightning.labels import LabelSpace
from cage_lightning.system.atomic import replacing

VERSION = 1
_KINDS: Mapping[str, Any] = {
    **dict.fromkeys(("release", "annotations", "pictures", "origin"), str),
    **dict.fromkeys(("settings", "label_space", "left_out", "shapes", "further"), dict),
    "image_size": int | None,
    "faults": int,
}
"""What the parts of an `About` are, which may come from anyone."""
COPIES = "copies"


@dataclass(frozen=True)
class About:
    """What a file of the store was made from.

    Attributes:
        release: Fingerprint of the files of the release, see `fingerprint_of`.
        settings: The settings that decided which rows were read.
        image_size: Height and width that the pictures were re-encoded at; None: as in the release.
        label_space: `LabelSpace.to_dict`.
        annotations: Fingerprint of the table.
        pictures: Folder that the paths are relative to, seen from the root of the release.
        left_out: Reason -> number of samples left out.
        faults: How many of those for their picture.
        shapes: Shape of one value of each further column.
        origin: See `Annotations`.
        further: CRC-32 of the columns that `annotations` does not cover, by name; empty in older
            files.
        version: Of the format.
    """

    release: str
    settings: Mapping[str, Any]
    image_size: int | None
    label_space: Mapping[str, Any] = field(default_factory=dict)
    annotations: str = ""
    pictures: str = "."
    left_out: Mapping[str, int] = field(default_factory=dict)
    faults: int = 0
    shapes: Mapping[str, list[int]] = field(default_factory=dict)
    origin: str = ""
    further: Mapping[str, int] = field(default_factory=dict)
    version: int = VERSION


def write_store(file: Path, table: Annotations, images: Iterable[pa.Array], about: About) -> None:
    """Write the file of a split; it takes its name when it is complete.

    Args:
        file: Where to.
        table: The rows.
        images: The pictures of the rows, in consecutive parts; a part becomes a record batch.
        about: What it is made from. What the table holds is filled in.
    """
    columns = _columns(table)
    values = asdict(about) | {
        "label_space": table.space.to_dict(),
        "annotations": table.fingerprint(),
        "left_out": dict(sorted(table.left_out.items())),
        "origin": table.origin,
        "shapes": {name: list(column.shape[1:]) for name, column in table.extra.items()},
        "further": _further(table),
    }
    types = {name: column.type for name, column in columns.items()}
    first = {"id": types.pop("id"), "path": types.pop("path"), IMAGE: pa.large_binary()}
    schema = pa.schema(
        first | types | {CHECKSUM: pa.uint32()},
        metadata={METADATA_KEY: json.dumps(values, sort_keys=True).encode()},
    )
    with replacing(file) as part, pa.OSFile(str(part), "wb") as sink:
        with pa.ipc.new_file(sink, schema) as writer:
            start = 0
            for image in images:
                batch = {name: c.slice(start, len(image)) for name, c in columns.items()}
                checksums = [zlib.crc32(picture.as_buffer()) for picture in image]
                batch |= {IMAGE: image, CHECKSUM: pa.array(checksums, pa.uint32())}
                writer.write_batch(pa.record_batch([batch[n] for n in schema.names], schema=schema))
                start += len(image)
        assert start == len(table)


def read_about(file: Path) -> About | None:
    """What a file was made from; None if there is no sound file of this version."""
    try:
        return _about(map_table(file))
    except DataError:
        return None


def is_current(file: Path, root: Path) -> bool:
    """Whether a file of a store is whole, and has all that the files of stores have by now.

    Older ones know no copies, or have no checksums. Every picture is read once.

    Args:
        file: A file of the store.
        root: The release, which need not be there.
    """
    try:
        table, _ = read_store(file, root)
        assert table.packed is not None
        if table.copies is None or not table.packed.checked:
            return False
        return bool(table.packed.are_sound().all())
    except DataError:
        return False


def read_store(file: Path, root: Path) -> tuple[Annotations, About]:
    """A file as annotations, and what it was made from. Pictures are read when they are asked for.

    Args:
        file: A file of the store.
        root: The release, which need not be there.

    Raises:
        DataError: It is damaged, no file of the store, or of another version.
    """
    stored = map_table(file)
    about = _about(stored)
    if about is None:
        raise DataError(f"{file} is no packed store of version {VERSION}: {REMEDY}")
    try:
        if stored.schema.field(IMAGE).type != pa.large_binary():
            raise ValueError("its pictures are of another type")
        table = _annotations(file, root, stored, about)
        changed = "annotations" if table.fingerprint() != about.annotations else ""
        if about.further and not changed:  # older files have none
            changed = _differing(about.further, _further(table))
    except (pa.ArrowException, LookupError, TypeError, ValueError, DataError) as error:
        raise DataError(f"{file} is damaged ({type(error).__name__}: {error}): {REMEDY}") from error
    if changed:
        raise DataError(f"{file} is damaged (the {changed} have changed): {REMEDY}")
    return table, about


def _about(stored: pa.Table) -> About | None:
    """What a table was made from; None if it is none of a store of this version."""
    try:
        about = About(**json.loads(stored.schema.metadata[METADATA_KEY]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    kinds = all(isinstance(getattr(about, name), kind) for name, kind in _KINDS.items())
    return about if kinds and about.version == VERSION else None


def _annotations(file: Path, root: Path, stored: pa.Table, about: About) -> Annotations:
    """The columns of a file as annotations; raises all kinds of errors where it is damaged."""
    space = LabelSpace.from_dict(dict(about.label_space))
    extra = {
        name: _values(stored[name]).reshape(-1, *shape) for name, shape in about.shapes.items()
    }
    k, d, n = len(space.categories), len(space.dimensions), stored.num_rows
    nothing = np.empty((n, 0), np.float32)
    category = _values(stored["category"]) if k or not space.multi_label else nothing
    names = stored.column_names
    metadata = stored.schema.metadata[METADATA_KEY]
    return Annotations(
        space=space,
        root=root / about.pictures,
        id=_texts(stored["id"]),
        path=_texts(stored["path"]),
        category=category.reshape(n, k) if space.multi_label else category,
        affect=_values(stored["affect"]).reshape(n, d) if d else nothing,
        left_out=about.left_out,
        box=_values(stored["box"]).reshape(-1, 4) if "box" in names else None,
        extra=extra,
        copies=_values(stored[COPIES]) if COPIES in names else None,
        packed=PackedPictures(file, np.arange(n, dtype=np.int32), metadata, CHECKSUM in names),
        origin=about.origin,
    )


def _further(table: Annotations) -> dict[str, int]:
    """CRC-32 of the columns that the fingerprint of a table does not cover, by name."""
    columns = dict(table.extra) | ({} if table.copies is None else {COPIES: table.copies})
    return {
        name: zlib.crc32(
            "\0".join(column.tolist()).encode() if column.dtype.kind == "U" else column.tobytes()
        )
        for name, column in columns.items()
    }


def _differing(before: Mapping[str, int], now: Mapping[str, int]) -> str:
    """The names of the columns whose checksums differ, for a message; empty if none does."""
    names = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    return f"columns {', '.join(names)}" if names else ""


def _columns(table: Annotations) -> dict[str, pa.Array]:
    """The table as Arrow columns."""
    columns = {"id": table.id, "path": table.path, "category": table.category}
    columns |= {"affect": table.affect} | ({} if table.box is None else {"box": table.box})
    columns |= {} if table.copies is None else {COPIES: table.copies}
    if taken := {*columns, IMAGE, CHECKSUM} & table.extra.keys():
        raise DataError(f"{table.root}: a column cannot be called {', '.join(sorted(taken))}")
    columns |= dict(table.extra)
    # Arrow has no lists of nothing: what a label space has none of is left out.
    return {name: _arrow(column) for name, column in columns.items() if 0 not in column.shape[1:]}


def _arrow(values: npt.NDArray[Any] | PicturePaths) -> pa.Array:
    """A column ``[N, ...]``; one value of several numbers is a list of fixed length."""
    if isinstance(values, PicturePaths) or values.dtype.kind in "UT":
        return pa.array(values.tolist(), pa.string())
    if values.ndim == 1:
        return pa.array(values)
    flat = pa.array(np.ascontiguousarray(values).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, int(np.prod(values.shape[1:])))


def _texts(column: pa.ChunkedArray) -> npt.NDArray[np.str_]:
    """The texts of a column as `Annotations` keeps them, some thousands at a time."""
    found: npt.NDArray[Any] = np.empty(len(column), StringDType())
    for start in range(0, len(column), TEXTS):
        found[start : start + TEXTS] = column.slice(start, TEXTS).to_numpy().tolist()
    return found


def _values(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """The values of a column, flat, in memory of their own."""
    if pa.types.is_string(column.type):
        return np.array(column.to_pylist(), np.str_)
    if pa.types.is_fixed_size_list(column.type):
        column = pa.chunked_array([chunk.flatten() for chunk in column.chunks])
    return np.array(column.to_numpy())
