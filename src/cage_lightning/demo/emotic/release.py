"""Demo EMOTIC on disk, in the layout of the release and of its common converter."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.io import savemat

from cage_lightning.demo.drawn import draw_chunks, write_once
from cage_lightning.demo.emotic.drawing import DRAWING_VERSION, SPLIT_IDS, Box, draw_scene
from cage_lightning.demo.emotic.labels import Person
from cage_lightning.errors import ConfigError
from cage_lightning.labels import EMOTIC


class Size(NamedTuple):
    """How many scenes are drawn; they hold about 1.6 persons each."""

    train: int
    val: int
    test: int


SIZES: Mapping[str, Size] = MappingProxyType(
    {
        "tiny": Size(train=100, val=26, test=38),
        "demo": Size(train=2_500, val=380, test=760),
    }
)

# Where the pictures come from: shares of the val and test splits of EMOTIC.
_DATABASES = {"mscoco": 0.724, "framesdb": 0.168, "emodb_small": 0.087, "ade20k": 0.021}

_CSV_COLUMNS = (
    "Index",
    "Folder",
    "Filename",
    "Image Size",
    "BBox",
    "Categorical_Labels",
    "Continuous_Labels",
    "Gender",
    "Age",
)
_CHUNK = 32
_MAT_HEADER = 116  # bytes of free text, into which savemat writes the time


class _Picture(NamedTuple):
    """What the annotation files hold about one scene."""

    database: str
    filename: str
    width: int
    height: int
    persons: tuple[Person, ...]
    boxes: tuple[Box, ...]

    @property
    def folder(self) -> str:
        return f"{self.database}/images"


class _Chunk(NamedTuple):
    """Scenes that one process draws in one go."""

    split: str
    indices: range


def write_release(root: Path, size: str, seed: int = 0, workers: int | None = None) -> None:
    """Draw a whole release, unless it is there already.

    Writes ``emotic/{database}/images/*.jpg``, ``Annotations/Annotations.mat`` and, as the common
    converter does, ``emotic_pre/{train,val,test}.csv``. As in the real release, train persons have
    one annotator, val persons five and test persons three whose categories are united; 2 % of the
    train persons have no valence, arousal and dominance, 1 % of the boxes reach over the picture,
    some pictures are greyscale, and one test person has no categories. The CSV files leave out
    whom the converter leaves out.

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
        raise ConfigError(f"demo EMOTIC has no size {size!r}: use one of {list(SIZES)}")
    description = {"size": size, "seed": seed, "drawing_version": DRAWING_VERSION}
    write = partial(_write_all, size=SIZES[size], seed=seed, workers=workers)
    write_once(root, "demo EMOTIC", description, write)


def _write_all(folder: Path, size: Size, seed: int, workers: int | None) -> None:
    for database in _DATABASES:
        (folder / "emotic" / database / "images").mkdir(parents=True)
    chunks = [chunk for split in SPLIT_IDS for chunk in _chunks(split, getattr(size, split))]
    draw = partial(_draw_chunk, folder / "emotic", seed)
    drawn = draw_chunks(draw, chunks, sum(size), workers, "Drawing demo EMOTIC")
    splits: dict[str, list[_Picture]] = {split: [] for split in SPLIT_IDS}
    for chunk, pictures in zip(chunks, drawn, strict=True):
        splits[chunk.split] += pictures
    splits["test"][-1] = _with_one_left_unannotated(splits["test"][-1])
    (folder / "Annotations").mkdir()
    (folder / "Annotations" / "Annotations.mat").write_bytes(_mat(splits))
    (folder / "emotic_pre").mkdir()
    for split, pictures in splits.items():
        _write_csv(folder / "emotic_pre" / f"{split}.csv", pictures)


def _chunks(split: str, count: int) -> Iterator[_Chunk]:
    for start in range(0, count, _CHUNK):
        yield _Chunk(split, range(count)[start : start + _CHUNK])


def _draw_chunk(folder: Path, seed: int, chunk: _Chunk) -> list[_Picture]:
    """Draw a chunk and write its pictures; return what the annotation files hold about them."""
    pictures = []
    for index in chunk.indices:
        scene = draw_scene(seed, chunk.split, index)
        height, width = scene.image.shape[:2]
        rng = np.random.default_rng([SPLIT_IDS[chunk.split], index])
        database = str(rng.choice(list(_DATABASES), p=list(_DATABASES.values())))
        filename = f"{chunk.split}_{index:06d}.jpg"
        picture = _Picture(database, filename, width, height, scene.persons, scene.boxes)
        path = folder / picture.folder / filename
        Image.fromarray(scene.image).save(path, quality=scene.jpeg_quality)
        pictures.append(picture)
    return pictures


def _with_one_left_unannotated(picture: _Picture) -> _Picture:
    """The first person gets no categories."""
    first, *others = picture.persons
    reports = tuple(report._replace(categories=()) for report in first.reports)
    return picture._replace(persons=(first._replace(reports=reports), *others))


# --- Annotations.mat -----------------------------------------------------------------------------


def _mat(splits: Mapping[str, Sequence[_Picture]]) -> bytes:
    """The file for MATLAB; the same bytes at any time."""
    buffer = io.BytesIO()
    content = {
        split: _structs([_mat_picture(picture, split) for picture in pictures])
        for split, pictures in splits.items()
    }
    savemat(buffer, content, do_compression=True)
    return b"MATLAB 5.0 MAT-file".ljust(_MAT_HEADER) + buffer.getvalue()[_MAT_HEADER:]


def _mat_picture(picture: _Picture, split: str) -> dict[str, Any]:
    database: dict[str, Any] = {"name": picture.database}
    if picture.database == "mscoco":
        number = int(picture.filename[-10:-4])
        database["info"] = _structs([{"image_id": number, "annotations_id": number + 1}])
    size = {"n_col": np.uint16(picture.width), "n_row": np.uint16(picture.height)}
    people = zip(picture.persons, picture.boxes, strict=True)
    return {
        "filename": picture.filename,
        "folder": picture.folder,
        "image_size": _structs([size]),
        "original_database": _structs([database]),
        "person": _structs([_mat_person(person, box, split) for person, box in people]),
    }


def _mat_person(person: Person, box: Box, split: str) -> dict[str, Any]:
    categories = [{"categories": _cell(r.categories)} for r in person.reports if r.categories]
    single = split == "train"
    # As small a type as holds the numbers, unsigned where it can be: what MATLAB leaves in a file.
    corners = np.array([box], np.uint16 if min(box) >= 0 else np.int16)
    fields: dict[str, Any] = {
        "body_bbox": corners,
        "annotations_categories": _structs(categories, ("categories",)),
        "combined_categories": _cell(person.categories),
        "annotations_continuous": _structs([_mat_affect(r.affect) for r in person.reports]),
        "combined_continuous": None if single else _structs([_mat_affect(person.affect)]),
        "gender": person.gender,
        "age": person.age,
    }
    combined = ("combined_categories", "combined_continuous")
    return {name: value for name, value in fields.items() if not (single and name in combined)}


def _mat_affect(values: Sequence[float]) -> dict[str, float]:
    return dict(zip(EMOTIC.dimensions, values, strict=True))


def _structs(rows: Sequence[Mapping[str, Any]], fields: Sequence[str] = ()) -> npt.NDArray[np.void]:
    """A 1xN struct array; `fields` name those of an empty one."""
    names = tuple(rows[0]) if rows else fields
    array = np.empty((1, len(rows)), dtype=[(name, object) for name in names])
    for i, row in enumerate(rows):
        array[0, i] = tuple(row.values())
    return array


def _cell(categories: Sequence[int]) -> npt.NDArray[np.object_]:
    """A 1xK cell array of category names."""
    array = np.empty((1, len(categories)), dtype=object)
    array[0, :] = [EMOTIC.categories[k] for k in categories]
    return array


# --- the converter's CSV -------------------------------------------------------------------------


def _write_csv(path: Path, pictures: Sequence[_Picture]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_CSV_COLUMNS)
        index = 0
        for picture in pictures:
            size = [picture.width, picture.height]
            for person, box in zip(picture.persons, picture.boxes, strict=True):
                if not person.categories or np.isnan(person.affect).any():
                    continue
                limits = (picture.width, picture.height) * 2
                inside = [min(max(edge, 0), limit) for edge, limit in zip(box, limits, strict=True)]
                names = [EMOTIC.categories[k] for k in person.categories]
                values = [int(value) for value in person.affect]
                labels = (inside, names, values, person.gender, person.age)
                writer.writerow((index, picture.folder, picture.filename, size, *labels))
                index += 1
