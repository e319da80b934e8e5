"""The releases of AffectNet as they lie on disk, with their oddities. All values are invented."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

HEADER_2017 = (
    "subDirectory_filePath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
)
SUFFIXES = (".jpg", ".JPG", ".jpeg", ".png", ".bmp", ".tif", ".TIFF")
# x, y, width and height of the face in a picture of 40 x 30 pixels.
BOX = ("5", "7.0", "20", "10.0")


class Row(NamedTuple):
    """A sample; `number` is its row, from 0, in the list of 2017."""

    number: int
    exp: int = 0
    val: float = 0.0
    aro: float = 0.0


@lru_cache
def picture(suffix: str, red: int = 0, size: tuple[int, int] = (8, 8)) -> bytes:
    """A small picture in the format of the suffix."""
    file = io.BytesIO()
    Image.new("RGB", size, (red, 0, 0)).save(file, Image.registered_extensions()[suffix.lower()])
    return file.getvalue()


def copy_faces(data: Path, place: Path) -> None:
    """Copy the tiny demo faces; the labels, most of the files, are links to the drawn ones.

    Pictures may be changed where they lie. A label is to be replaced.
    """

    def copy(source: str, target: str) -> None:
        (os.link if source.endswith(".npy") else shutil.copyfile)(source, target)

    shutil.copytree(data / "demo_faces" / "tiny", place, copy_function=copy)


def write_pictures(root: Path, folder: str, rows: Sequence[Row]) -> None:
    images = root / folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    for row in rows:
        (images / f"{row.number}.jpg").write_bytes(picture(".jpg", row.number % 256))


def write_2021(
    root: Path,
    folder: str,
    rows: Sequence[Row],
    encode: Callable[[float], Any] = lambda v: np.array(str(v)),
) -> None:
    write_pictures(root, folder, rows)
    annotations = root / folder / "annotations"
    annotations.mkdir(exist_ok=True)
    for row in rows:
        for column in ("exp", "val", "aro"):
            path = annotations / f"{row.number}_{column}.npy"
            np.save(path, encode(getattr(row, column)))
        np.save(annotations / f"{row.number}_lnd.npy", np.full(136, 99.5))


def write_csv(
    root: Path, folder: str, rows: Sequence[Row], inside: str = "affectnet_annotations"
) -> Path:
    write_pictures(root, folder, rows)
    (root / inside).mkdir(exist_ok=True)
    path = root / inside / f"{folder}_annotation_without_lnd.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(Row._fields)
        writer.writerows(rows)
    return path


def path_2017(number: int) -> str:
    """Folder and name of the picture of a row; neighbours share one and formats are mixed."""
    return f"{number % 3 + 1}/{number // 2:056x}{SUFFIXES[number // 2 % len(SUFFIXES)]}"


def fields_2017(row: Row, path: str | None = None, box: Sequence[str] = BOX) -> list[str]:
    landmarks = ";".join(["60.5", "212.25"] * 68)
    return [path or path_2017(row.number), *box, landmarks, *map(str, row[1:])]


def filler_2017(number: int) -> list[str]:
    """A row that the later releases dropped: not a usable face, in one of several ways."""
    return [
        fields_2017(Row(number, 10, -2, -2), box=("0", "0", "-1", "-1")),
        fields_2017(Row(number, 1, 0.5, 0.5), box=("9", "9", "-7", "20")),
        fields_2017(Row(number, 8, 0.1, 0.1)),
        fields_2017(Row(number, 9, -2, -2)),
        fields_2017(Row(number, 3, -2, -2)),
    ][number % 5]


def write_2017(
    root: Path,
    split: str,
    rows: Sequence[Row],
    header: bool = True,
    lists: str = "Manually_Annotated_file_lists",
    images: str = "Manually_Annotated_Images",
) -> Path:
    """Each row at the line of its number, filler in between."""
    at = {row.number: fields_2017(row) for row in rows}
    count = max(at, default=-1) + 2
    table = [at.get(number) or filler_2017(number) for number in range(count)]
    for fields in table:
        path = root / images / fields[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(path.suffix, size=(40, 30)))
    name = {"train": "training.csv", "test": "validation.csv"}[split]
    return write_list(root / lists / name, table, header)


def write_list(path: Path, table: Sequence[Sequence[str]], header: bool = True) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER_2017, *table] if header else table)
    return path


def entry_plus(row: Row, **changes: Any) -> dict[str, Any]:
    soft = [0.0] * 8
    soft[row.number % 8] = 0.75
    return {
        "human-label": row.exp,
        "soft-label": soft,
        "subset": row.number % 3,
        "meta-data": {"age": 30, "valence": row.val, "arousal": row.aro, "pose": [0.5, 1, -1]},
        **changes,
    }


def write_plus(
    root: Path,
    split: str,
    rows: Sequence[Row],
    inside: str = "human_annotated",
    **changes: Any,
) -> Path:
    folder = str(Path(inside, {"train": "train_set", "test": "validation_set"}[split]))
    write_pictures(root, folder, rows)
    annotations = root / folder / "annotations"
    annotations.mkdir(exist_ok=True)
    for row in rows:
        text = json.dumps(entry_plus(row, **changes))
        (annotations / f"{row.number}.json").write_text(text)
    return annotations


def write_folders(
    root: Path, folder: str, rows: Sequence[Row], names: Mapping[int, str] | Sequence[str]
) -> None:
    """`names` of the codes; a folder for each, also for one without a picture."""
    codes = names if isinstance(names, Mapping) else range(len(names))
    for code in codes:
        (root / folder / names[code]).mkdir(parents=True, exist_ok=True)
    for row in rows:
        suffix = SUFFIXES[row.number % len(SUFFIXES)]
        path = root / folder / names[row.exp] / f"{row.number}{suffix}"
        path.write_bytes(picture(suffix))
