"""Tables and folders that cannot be read at all: each ends in one line with the remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cage_lightning.data.datasets import Folders
from cage_lightning.errors import CageError
from tests.own_tables import (
    HEADER,
    LABELS,
    ROWS,
    Case,
    check_refused,
    opened,
    parquet,
    with_row,
    without,
)

TABLES: dict[str, Case] = {
    "no column of pictures": (
        "t.csv",
        without("image"),
        {},
        r"t\.csv: which column has the paths of the pictures\? It has emotion.*columns\.picture",
    ),
    "no such column": (
        "t.csv",
        with_row(ROWS[2]),
        {"columns": {"category": "mood"}},
        r"data\.columns\.category=mood: .*t\.csv has no such column; it has image, emotion",
    ),
    "no such dimension": (
        "t.csv",
        with_row(ROWS[2]),
        {"affect": ["dominance"]},
        r"data\.affect=dominance: .*t\.csv has no such column",
    ),
    "no such group": (
        "t.csv",
        with_row(ROWS[2]),
        {"groups": {"person": "vp"}},
        r"data\.groups=vp: .*t\.csv has no such column",
    ),
    "no such votes": (
        "t.csv",
        with_row(ROWS[2]),
        {"soft": ["calm"]},
        r"data\.soft=calm: .*t\.csv has no such column",
    ),
    "a meaning that is none": (
        "t.csv",
        with_row(ROWS[2]),
        {"columns": {"colour": "x"}},
        r"data\.columns=colour: choose one of picture",
    ),
    "column twice": (
        "t.csv",
        "image,emotion,emotion\na.png,calm,calm\n",
        {},
        r"t\.csv: data\.columns\.category: the columns 'emotion' and 'emotion' are called the same",
    ),
    "columns alike": (
        "t.csv",
        "image,Image,emotion\na.png,a.png,calm\n",
        {},
        r"t\.csv: data\.columns\.picture: the columns 'image' and 'Image' are called the same",
    ),
    "three edges": (
        "t.csv",
        "image,emotion,x1,y1,x2\na.png,calm,0,0,5\n",
        {},
        r"t\.csv: a box needs left, top, right.*table has left: 'x1', top: 'y1', right: 'x2'",
    ),
    "no labels": (
        "t.csv",
        "image,colour\na.png,red\nb.png,blue\n",
        {},
        r"t\.csv: no row has a label: .*data\.columns\.category, data\.soft or data\.affect",
    ),
    "only empty labels": (
        "t.csv",
        "image,emotion\na.png,\nb.png,NA\n",
        {},
        r"t\.csv: no row has a label",
    ),
    "one category": (
        "t.csv",
        "image,emotion\na.png,calm\nb.png,calm\n",
        {},
        r"t\.csv: 'calm' is the only category.*data\.categories=\[\]",
    ),
    "only a header": ("t.csv", HEADER, {}, r"t\.csv holds no rows"),
    "empty": ("t.csv", "", {}, r"t\.csv: not a readable \.csv file: it is empty"),
    "a quote that never ends": (
        "t.csv",
        f'{HEADER}"a.png,calm,5,5,train\n',
        {},
        r"t\.csv: not a readable \.csv file: line 2: unexpected end of data",
    ),
    "broken UTF-16": (
        "t.csv",
        b"\xff\xfe" + HEADER.encode("utf-16-le") + b"a",
        {},
        r"t\.csv: not a readable \.csv file: 'utf-16",
    ),
    "no Parquet": (
        "t.parquet",
        b"PAR1 and nothing else",
        {},
        r"t\.parquet: not a readable \.parquet",
    ),
    "no Arrow": ("t.feather", b"nothing", {}, r"t\.feather: not a readable \.feather file"),
    "no UTF-8 in JSON": (
        "t.jsonl",
        b'{"image": "\xff.png"}',
        {},
        r"t\.jsonl: not a readable \.jsonl",
    ),
    "several pictures in a cell": (
        "t.parquet",
        parquet(image=[[b"x", b"y"]] * 4, emotion=LABELS),
        {},
        r"t\.parquet: the column 'image' holds no text: write the pictures as files",
    ),
    "decoded pictures in the table": (
        "t.parquet",
        parquet(image=[{"pixels": [1, 2], "width": 2}], emotion=["a"]),
        {},
        r"t\.parquet: the column 'image' holds struct.*: write pictures as files",
    ),
    "Excel": (
        "t.xlsx",
        b"PK",
        {"table": "t.xlsx"},
        r"t\.xlsx: a table ends in \.csv, .*save it as CSV",
    ),
    "no such table": (
        "t.csv",
        with_row(ROWS[2]),
        {"table": "faces.csv"},
        r"there is no table .*faces\.csv: set data\.table=FILE; .* holds t\.csv",
    ),
    "a split that is none": (
        "t.csv",
        with_row(ROWS[2]),
        {"table": {"fold1": "t.csv"}},
        r"data\.table=fold1: choose one of train, val, test",
    ),
    "an address for a table": (
        "t.csv",
        with_row(ROWS[2]),
        {"table": "https://x.org/t.csv"},
        r"data\.table=https://x\.org/t\.csv: only folders and files of this machine",
    ),
    "no test split": (
        "t.csv",
        with_row("c.png,calm,1,9,train").replace("test", "train"),
        {},
        r"t\.csv: there is no row of the test split, only train.*data\.columns\.split=''",
    ),
    "a picture is missing": (
        "t.csv",
        with_row("gone.png,calm,1,9,train"),
        {},
        r"t\.csv, line 4: 1 of 3 pictures are missing under .*, first gone\.png",
    ),
    "persons in two splits": (
        "t.csv",
        "image,emotion,split,person\na.png,calm,train,p\nb.png,tense,train,q\nc.png,calm,test,p\n",
        {"group_by": "person"},
        r"t\.csv: 1 of 2 values of person are in more than one split.*'p' in",
    ),
    "one person": (
        "t.csv",
        "image,emotion,person\na.png,calm,p\nb.png,tense,p\n",
        {},
        r"two groups",
    ),
    "no such group to keep": (
        "t.csv",
        with_row(ROWS[2]),
        {"group_by": "person"},
        r"data\.group_by=person: the groups that are read are none; .*data\.groups=\{person: C",
    ),
    "votes of what is no category": (
        "t.csv",
        "image,calm,tense\na.png,7,3\nb.png,1,3\n",
        {"soft": ["calm", "tense"], "categories": ["calm", "bored"]},
        r"data\.soft names tense, and the categories are calm, bored",
    ),
    "scale upside down": (
        "t.csv",
        with_row(ROWS[2]),
        {"affect_range": [9, 1]},
        r"data\.affect_range=\[9, 1\]: the lowest and the highest value are needed",
    ),
    "category named twice": (
        "t.csv",
        with_row(ROWS[2]),
        {"categories": ["calm", "calm"]},
        r"data\.categories names calm twice",
    ),
    "name with a slash": ("t.csv", with_row(ROWS[2]), {"name": "my/study"}, r"data\.name=my/study"),
    "name of a known one": (
        "t.csv",
        with_row(ROWS[2]),
        {"name": "affectnet8"},
        r"data\.name=affectnet8 is a data set already",
    ),
    "share for the test": (
        "t.csv",
        with_row(ROWS[2]),
        {"test_fraction": 20.0},
        r"data\.test_fraction=20\.0 is not between 0 and 1",
    ),
    "share for the epoch": (
        "t.csv",
        with_row(ROWS[2]),
        {"val_fraction": 0.0},
        r"data\.val_fraction=0\.0 is not between 0 and 1; null draws none",
    ),
    "group with a name of ours": (
        "t.csv",
        with_row(ROWS[2]),
        {"groups": {"path": "split"}},
        r"data\.groups=\['path'\]: the name is taken",
    ),
    "votes and several": (
        "t.csv",
        with_row(ROWS[2]),
        {"soft": ["calm"], "multi_label": True},
        r"data\.soft gives one category: it excludes data\.multi_label=true",
    ),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_wrong_table_is_named(case: str, tmp_path: Path) -> None:
    check_refused(TABLES[case], tmp_path)


def test_no_two_tables_and_none_to_choose_from(tmp_path: Path) -> None:
    with pytest.raises(CageError, match=r"which table\? There is none \(\.csv, .*data\.table=FILE"):
        opened(tmp_path)
    for name in ("a.csv", "b.parquet"):
        (tmp_path / name).touch()
    with pytest.raises(
        CageError, match=r"which table\? There is a\.csv, b\.parquet\. Set data\.table"
    ):
        opened(tmp_path)
    with pytest.raises(CageError, match=r"nowhere is not a folder: set data\.root=FOLDER"):
        opened(tmp_path, root=str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("folders", "settings", "message"),
    [
        ([], {}, r"holds no pictures in folders:\n"),
        (["train/calm", "training/calm"], {}, r"train and .*training are both the train split"),
        (["calm"], {}, r"'calm' is the only category"),
        (["train/calm", "train/tense"], {}, r"there is no row of the test split, only train"),
        (
            ["train/calm", "train/tense", "test/bored"],
            {},
            r"bored.*'bored' is no category of the tra",
        ),
        (["calm", "Calm", "tense"], {}, r"'\w+' is '\w+' but for its spelling: write them alike"),
        (["calm/deep", "tense"], {}, r"deep: a folder of pictures holds no folders"),
        (["calm", "tense"], {"categories": ["calm", "bored"]}, r"bored"),
    ],
)
def test_folders_that_cannot_be_read(
    folders: list[str], settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
        for name in ("a.png", "b.png"):
            (tmp_path / folder / name).touch()
    with pytest.raises(CageError, match=message):
        Folders(
            name="study", root=str(tmp_path), store=None, on_error="raise", **settings
        ).own_split("train")
