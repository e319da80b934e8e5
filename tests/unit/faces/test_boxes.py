"""Boxes of pictures and of the frames of videos, from a CSV file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cage_lightning.errors import CageError
from cage_lightning.faces.boxes import read_boxes
from cage_lightning.faces.frames import Frame
from cage_lightning.faces.sources import Item

PICTURE, VIDEO = Item("a.png", "picture"), Item("b.mp4", "video")
HEADER = "file,frame,left,top,right,bottom"


def written(folder: Path, *lines: str) -> Path:
    file = folder / "boxes.csv"
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def test_each_frame_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = written(tmp_path, HEADER, "a.png,,1,2,3,4", "b.mp4,0,5,5,9,9", "b.mp4,2,0,0,9,9")
    boxes = read_boxes(file, [PICTURE, VIDEO])
    pixels = np.zeros((10, 10, 3), np.uint8)
    frames = [Frame("a.png", picture=pixels)]
    frames += [Frame("b.mp4", number, 0.0, pixels) for number in range(3)]
    found = [[face.box for face in faces] for _, faces in boxes.find(frames)]
    assert found == [[(1, 2, 3, 4)], [(5, 5, 9, 9)], [], [(0, 0, 9, 9)]]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("b.mp4,,1,2,3,4", "line 2: the column frame"),
        ("b.mp4,-1,1,2,3,4", "here it is '-1'"),
        ("a.png,0,1,2,3,4", "nothing for a picture"),
        ("c.png,,1,2,3,4", "source= has no file 'c.png'"),
    ],
)
def test_what_is_refused(tmp_path: Path, row: str, said: str) -> None:
    with pytest.raises(CageError, match=said):
        read_boxes(written(tmp_path, HEADER, row), [PICTURE, VIDEO])


def test_nobody_knows_the_boxes_of_a_camera(tmp_path: Path) -> None:
    with pytest.raises(CageError, match="camera or stream"):
        read_boxes(written(tmp_path, HEADER), [Item("0", "camera")])
