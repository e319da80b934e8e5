"""The packed store: one Arrow file per split, which holds the annotations and the pictures.

    <data.root>.store/<label space>/{train,val,test}.arrow

A row is a sample: ``id``, ``path``, ``image`` (what is in the picture file, byte for byte),
``category``, ``affect`` where it has dimensions, ``box`` where the dataset has boxes, ``copies``
(see `Annotations`), and its further columns. A picture of several persons is repeated in the row of
each, so that a row is complete for whoever reads Arrow. The schema's metadata tell in JSON, under
``cage_lightning``, what the file was made from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.files import OnError
from cage_lightning.data.packed import METADATA_KEY, REMEDY, PackedPictures, map_table
from cage_lightning.data.release_files import fingerprint_of, release_files
from cage_lightning.errors import DataError
from cage_lightning.labels import LabelSpace
from cage_lightning.system.atomic import replacing

VERSION = 1
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
    version: int = VERSION


class Store:
    """The packed store of a release for one label space.

    Args:
        folder: Where its files lie.
        root: The release. One that is not there is not compared: the store stands for it.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder, self.root = folder, root

    def file(self, split: str) -> Path:
        """The file of a split."""
        return self.folder / f"{split}.arrow"

    def has(self, split: str) -> bool:
        """Whether there is a file for the split."""
        return self.file(split).is_file()

    @cached_property
    def release(self) -> str | None:
        """Fingerprint of the release as it is now; None if it is not there."""
        if not self.root.is_dir():
            return None
        return fingerprint_of(release_files(self.root, self.folder))

    def read(
        self,
        split: str,
        space: LabelSpace,
        settings: Mapping[str, Any],
        image_size: int | None,
        on_error: OnError,
    ) -> Annotations:
        """The annotations of a split, with their pictures.

        Args:
            split: Which.
            space: The categories that are asked for.
            settings: With which the release would be read.
            image_size: Of the pictures that are asked for; None where nobody looks at them.
            on_error: Whether to accept that pictures are left out: ``skip``.

        Raises:
            DataError: The file is damaged, was made from another state of the release or with other
                settings, or leaves out broken pictures although `on_error` is not ``skip``.
        """
        file = self.file(split)
        table, about = read_store(file, self.root)
        if about.label_space != space.to_dict():
            raise DataError(
                f"{file} holds other categories than {space.name}, or affect on another scale: "
                f"{REMEDY}"
            )
        if about.settings != settings:
            keys = sorted(
                key
                for key in about.settings.keys() | settings.keys()
                if about.settings.get(key) != settings.get(key)
            )
            if keys == ["tables"]:  # checksums, which say nothing to a reader
                raise DataError(f"{file} was made from other tables than are read now: {REMEDY}")
            made, asked = ({k: x[k] for k in keys if k in x} for x in (about.settings, settings))
            raise DataError(f"{file} was made with {made}, not {asked}: {REMEDY}")
        if self.release not in (None, about.release):
            raise DataError(f"the release at {self.root} has changed since {file}: {REMEDY}")
        if image_size is not None and about.image_size not in (None, image_size):
            raise DataError(
                f"{file} holds pictures re-encoded at {about.image_size} pixels, not at "
                f"data.image_size={image_size}: {REMEDY}"
            )
        if about.faults and on_error != "skip":
            raise DataError(
                f"{file} leaves out {about.faults} samples without a sound picture, which "
                f"{self.folder / 'faults.csv'} lists: accept it with data.on_error=skip, or "
                "restore them and prepare again"
            )
        return table


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
    }
    schema = pa.schema(
        [
            ("image", pa.large_binary()) if name == "image" else (name, columns[name].type)
            for name in ("id", "path", "image", *list(columns)[2:])
        ],
        metadata={METADATA_KEY: json.dumps(values, sort_keys=True).encode()},
    )
    with replacing(file) as part, pa.OSFile(str(part), "wb") as sink:
        with pa.ipc.new_file(sink, schema) as writer:
            start = 0
            for image in images:
                batch = {name: c.slice(start, len(image)) for name, c in columns.items()}
                batch["image"] = image
                writer.write_batch(pa.record_batch([batch[n] for n in schema.names], schema=schema))
                start += len(image)
        assert start == len(table)


def read_about(file: Path) -> About | None:
    """What a file was made from; None if there is no sound file of this version."""
    try:
        values = json.loads(map_table(file).schema.metadata[METADATA_KEY])
        return About(**values) if values["version"] == VERSION else None
    except (OSError, DataError, ValueError, KeyError, TypeError):
        return None


def knows_copies(file: Path) -> bool:
    """Whether a sound file of a store tells which pictures are copies: older ones do not.

    Raises:
        DataError: It is not sound.
    """
    return COPIES in map_table(file).schema.names


def read_store(file: Path, root: Path) -> tuple[Annotations, About]:
    """A file as annotations, and what it was made from. Pictures are read when they are asked for.

    Args:
        file: A file of the store.
        root: The release, which need not be there.

    Raises:
        DataError: It is damaged, no file of the store, or of another version.
    """
    stored = map_table(file)
    about = read_about(file)
    if about is None:
        raise DataError(f"{file} is no packed store of version {VERSION}: {REMEDY}")
    try:
        space = LabelSpace.from_dict(dict(about.label_space))
        extra = {
            name: _values(stored[name]).reshape(-1, *shape) for name, shape in about.shapes.items()
        }
        k, d, n = len(space.categories), len(space.dimensions), stored.num_rows
        nothing = np.empty((n, 0), np.float32)
        category = _values(stored["category"]) if k or not space.multi_label else nothing
        table = Annotations(
            space=space,
            root=root / about.pictures,
            id=_values(stored["id"]),
            path=_values(stored["path"]),
            category=category.reshape(n, k) if space.multi_label else category,
            affect=_values(stored["affect"]).reshape(n, d) if d else nothing,
            left_out=about.left_out,
            box=_values(stored["box"]).reshape(-1, 4) if "box" in stored.column_names else None,
            extra=extra,
            copies=_values(stored[COPIES]) if COPIES in stored.column_names else None,
            packed=PackedPictures(file, np.arange(n), stored.schema.metadata[METADATA_KEY]),
            origin=about.origin,
        )
        damaged = table.fingerprint() != about.annotations
    except (pa.ArrowException, KeyError, ValueError, UnicodeDecodeError, DataError) as error:
        raise DataError(f"{file} is damaged ({type(error).__name__}: {error}): {REMEDY}") from error
    if damaged:
        raise DataError(f"{file} is damaged (the annotations have changed): {REMEDY}")
    return table, about


def _columns(table: Annotations) -> dict[str, pa.Array]:
    """The table as Arrow columns."""
    columns = {"id": table.id, "path": table.path, "category": table.category}
    columns |= {"affect": table.affect} | ({} if table.box is None else {"box": table.box})
    columns |= {} if table.copies is None else {COPIES: table.copies}
    if taken := columns.keys() & table.extra.keys():
        raise DataError(f"{table.root}: a column cannot be called {', '.join(sorted(taken))}")
    columns |= dict(table.extra)
    # Arrow has no lists of nothing: what a label space has none of is left out.
    return {name: _arrow(column) for name, column in columns.items() if 0 not in column.shape[1:]}


def _arrow(values: npt.NDArray[Any]) -> pa.Array:
    """A column ``[N, ...]``; one value of several numbers is a list of fixed length."""
    if values.ndim == 1:
        return (
            pa.array(values.tolist(), pa.string()) if values.dtype.kind == "U" else pa.array(values)
        )
    flat = pa.array(np.ascontiguousarray(values).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, int(np.prod(values.shape[1:])))


def _values(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """The values of a column, flat, in memory of their own."""
    if pa.types.is_string(column.type):
        return np.array(column.to_pylist(), np.str_)
    if pa.types.is_fixed_size_list(column.type):
        column = pa.chunked_array([chunk.flatten() for chunk in column.chunks])
    return np.array(column.to_numpy())
