"""The release of 2017: whole pictures with a face box, listed in one CSV file per split.

The rows that were annotated by people; the automatically annotated list is not read.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cage_lightning.data.files import first_file
from cage_lightning.data.readers.affectnet.release import Release
from cage_lightning.data.readers.csv_table import read_table
from cage_lightning.data.readers.single_label import Rows

LISTS = {"train": "training.csv", "test": "validation.csv"}
LIST_FOLDERS = ("Manually_Annotated_file_lists/", "")
PICTURE_FOLDERS = (
    "Manually_Annotated_Images",
    "Manually_Annotated_compressed/Manually_Annotated_Images",
    "Manually_Annotated/Manually_Annotated_Images",
)

PATH = "subDirectory_filePath"
BOX = ("face_x", "face_y", "face_width", "face_height")
LABEL = ("expression", "valence", "arousal")
# validation.csv usually comes without it.
HEADER = (PATH, *BOX, "facial_landmarks", *LABEL)


def _find(root: Path, split: str) -> Path | None:
    return first_file(root, [folder + LISTS[split] for folder in LIST_FOLDERS])


def _read(root: Path, source: Path) -> Rows:
    folder = next((f"{f}/" for f in PICTURE_FOLDERS if (root / f).is_dir()), "")
    lines, rows = read_table(
        source,
        (PATH, *BOX, *LABEL),
        lambda texts: (texts[0], [float(text) for text in texts[1:]]),
        header=HEADER,
    )
    number = np.array([numbers for _, numbers in rows])
    corner, size = number[:, :2], number[:, 2:4]
    return Rows(
        # A picture with several faces has several rows, so only the row number is an id. The
        # release of 2021 numbers its pictures by it, from 0.
        id=np.arange(len(rows)).astype(np.str_),
        picture=[folder + path for path, _ in rows],
        label=number[:, 4:],
        where=lambda row, _: f"{source}, line {lines[row]}",
        box=np.hstack([corner, corner + size]),
    )


AFFECTNET_2017 = Release(
    "    [Manually_Annotated_file_lists/]training.csv|validation.csv\n"
    "    [[Manually_Annotated[_compressed]/]Manually_Annotated_Images/]{N}/{name}.{jpg,png,...}",
    _find,
    _read,
    splits_share_folders=True,
)
