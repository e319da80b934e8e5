"""Boxes from a CSV file: of pictures that are looked at, or refused with the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from cage_lightning.errors import CageError
from cage_lightning.faces.boxes import read_boxes
from cage_lightning.faces.face import Face
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
        "lists/a.jpg": (Face((0, 0, 1, 2)), Face((3, 3, 4, 4))),
        "b.jpg": (Face((1, 1, 9, 9)),),
        f"{tmp_path}/c.jpg": (Face((0, 0, 5, 5)),),
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("file,left,top,right\n", "boxes.csv has no column bottom"),
        (HEADER + "b.jpg,0,0,5,5\n", "boxes.csv, line 2: source= has no picture 'b.jpg'"),
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


def test_boxes_are_for_pictures(boxes: Path) -> None:
    with pytest.raises(CageError, match="boxes are for pictures"):
        read_boxes(boxes, [Item("a.mp4", "video")])
