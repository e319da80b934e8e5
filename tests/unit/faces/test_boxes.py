"""Boxes from a CSV file: of pictures and of the frames of videos, or refused with the line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cage_lightning.errors import CageError
from cage_lightning.faces.boxes import read_boxes
from cage_lightning.faces.face import Face
from cage_lightning.faces.frames import Frame
from cage_lightning.faces.sources import Item

HEADER = "file,left,top,right,bottom\n"


@pytest.fixture
def boxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lists").mkdir()
    return Path("lists/boxes.csv")


def test_files_are_named_as_the_source_names_them_or_from_the_folder_of_the_list(
    boxes: Path, tmp_path: Path
) -> None:
    items = [Item(place, "picture") for place in ("lists/a.jpg", "b.jpg", str(tmp_path / "c.jpg"))]
    lines = ("a.jpg,0,0,1,2", "b.jpg,1,1,9,9", "lists/a.jpg,3,3,4,4", f"{tmp_path}/c.jpg,0,0,5,5")
    boxes.write_text("\ufeff" + HEADER + "\n".join(lines), encoding="utf-8")
    assert read_boxes(boxes, items).faces == {
        ("lists/a.jpg", None): (Face((0, 0, 1, 2)), Face((3, 3, 4, 4))),
        ("b.jpg", None): (Face((1, 1, 9, 9)),),
        (f"{tmp_path}/c.jpg", None): (Face((0, 0, 5, 5)),),
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("file,left,top,right\n", "boxes.csv has no column bottom"),
        (HEADER + "b.jpg,0,0,5,5\n", "boxes.csv, line 2: source= has no file 'b.jpg'"),
        (HEADER + "a.jpg,0,0,5\n", "line 2: an edge of the box is no number"),
        (HEADER + "a.jpg,0,0,5,x\n", "line 2: an edge of the box is no number"),
        (HEADER + "a.jpg,0,0,5,5\na.jpg,5,0,5,5\n", "line 3: .* is no box"),
        (HEADER + "a.jpg,0,0,inf,5\n", "line 2: .* is no box"),
        ("\udcff", "cannot be read"),
    ],
)
def test_what_is_refused(boxes: Path, content: str, said: str) -> None:
    boxes.write_text(content, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(CageError, match=said):
        read_boxes(boxes, [Item("lists/a.jpg", "picture")])


PICTURE, VIDEO = Item("lists/a.png", "picture"), Item("lists/b.mp4", "video")
OF_FRAMES = "file,frame,left,top,right,bottom\n"


def test_each_frame_has_its_own(boxes: Path) -> None:
    lines = ("a.png,,1,2,3,4", "b.mp4,0,5,5,9,9", "b.mp4,2,0,0,9,9")
    boxes.write_text(OF_FRAMES + "\n".join(lines), encoding="utf-8")
    pixels = np.zeros((10, 10, 3), np.uint8)
    frames = [Frame(PICTURE.name, picture=pixels)]
    frames += [Frame(VIDEO.name, number, 0.0, pixels) for number in range(3)]
    found = read_boxes(boxes, [PICTURE, VIDEO]).find(frames)
    assert [[face.box for face in faces] for _, faces in found] == [
        *([(1, 2, 3, 4)], [(5, 5, 9, 9)], [], [(0, 0, 9, 9)])
    ]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("b.mp4,,1,2,3,4", "line 2: the column frame"),
        ("b.mp4,-1,1,2,3,4", "here it is '-1'"),
        ("a.png,0,1,2,3,4", "nothing for a picture"),
    ],
)
def test_a_frame_that_is_none(boxes: Path, row: str, said: str) -> None:
    boxes.write_text(OF_FRAMES + row, encoding="utf-8")
    with pytest.raises(CageError, match=said):
        read_boxes(boxes, [PICTURE, VIDEO])


def test_nobody_knows_the_boxes_of_a_camera(boxes: Path) -> None:
    with pytest.raises(CageError, match="camera or stream"):
        read_boxes(boxes, [Item("0", "camera")])
