"""Tables with wrong cells: each ends in one line that names file, row and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.own_tables import (
    BOXES,
    GOOD,
    LABELS,
    PICTURES,
    ROWS,
    Case,
    arrow,
    check_refused,
    lines,
    parquet,
    with_row,
)

CELLS: dict[str, Case] = {
    "unknown category": (
        "t.csv",
        with_row("c.png,tens,1,9,train"),
        {"categories": ["calm", "tense"]},
        r"t\.csv, line 4, column 'emotion': 'tens' is not in data\.categories \(calm, tense\)",
    ),
    "another case": (
        "t.csv",
        with_row("c.png,Calm,1,9,train"),
        {"categories": ["calm", "tense"]},
        r"line 4, column 'emotion': 'Calm' is not in data\.categories, where 'calm' is",
    ),
    "spelt in two ways": (
        "t.csv",
        with_row("c.png,TENSE,1,9,train"),
        {},
        r"line 4, column 'emotion': 'TENSE' is 'tense' but for its spelling.*data\.categories=\{",
    ),
    "only in the test split": (
        "t.csv",
        with_row("c.png,bored,1,9,test"),
        {},
        r"line 4, column 'emotion': 'bored' is no category of the training split",
    ),
    "several in one cell": (
        "t.csv",
        with_row("c.png,calm;tense,1,9,train"),
        {},
        r"line 4, column 'emotion': 'calm;tense' cannot be the name.*data\.multi_label=true",
    ),
    "a code that is not mapped": (
        "t.csv",
        with_row("c.png,3,1,9,train"),
        {"categories": {"calm": "calm", "tense": "tense", 0: "bored"}},
        r"line 4, column 'emotion': '3' is not in data\.categories",
    ),
    "not a number": (
        "t.csv",
        with_row("c.png,calm,high,9,train"),
        {},
        r"line 4, column 'valence': 'high' is not a number",
    ),
    "infinite": (
        "t.csv",
        with_row("c.png,calm,inf,9,train"),
        {},
        r"line 4, column 'valence': 'inf' is not a number",
    ),
    "underscores": (
        "t.csv",
        with_row("c.png,calm,1_0,9,train"),
        {},
        r"line 4, column 'valence': '1_0' is not a number",
    ),
    "above the scale": (
        "t.csv",
        with_row("c.png,calm,10,9,train"),
        {},
        r"line 4, column 'valence': '10' lies outside the scale \[1, 9\]",
    ),
    "below the scale": (
        "t.csv",
        with_row("c.png,calm,1,0.5,train"),
        {},
        r"line 4, column 'arousal': '0\.5' lies outside the scale \[1, 9\]",
    ),
    "the mark of nothing": (
        "t.csv",
        with_row("c.png,calm,-2,-2,train"),
        {},
        r"line 4, column 'valence': '-2' lies outside.*data\.missing",
    ),
    "no scale is given": (
        "t.csv",
        with_row(ROWS[2]),
        {"affect_range": [-1, 1]},
        r"line 2, column 'valence': '5' lies outside the scale \[-1, 1\] of data\.affect_range",
    ),
    "both commas": (
        "t.csv",
        with_row('c.png,calm,"1,5",9,train'),
        {},
        r"line 4, column 'valence': '1,5' is not a number",
    ),
    "no picture": (
        "t.csv",
        with_row(",calm,1,9,train"),
        {},
        r"line 4, column 'image': '' names no picture",
    ),
    "up": (
        "t.csv",
        with_row("../c.png,calm,1,9,train"),
        {},
        r"line 4, column 'image': '\.\./c\.png' is not a path below",
    ),
    "up in between": (
        "t.csv",
        with_row(r"x\..\..\c.png,calm,1,9,train"),
        {},
        r"line 4, column 'image': 'x\\\.\.\\\.\.\\c\.png' is not a path below",
    ),
    "absolute": (
        "t.csv",
        with_row("/etc/c.png,calm,1,9,train"),
        {},
        r"line 4, column 'image': '/etc/c\.png' is an absolute path outside .*data\.strip",
    ),
    "of Windows": (
        "t.csv",
        with_row(r"C:\study\c.png,calm,1,9,train"),
        {},
        r"line 4, column 'image': 'C:\\study\\c\.png' is an absolute path outside .*data\.strip",
    ),
    "of a share": (
        "t.csv",
        with_row(r"\\disk\study\c.png,calm,1,9,train"),
        {},
        r"line 4, column 'image': .* is an absolute path outside",
    ),
    "another folder to strip": (
        "t.csv",
        with_row(r"C:\other\c.png,calm,1,9,train"),
        {"strip": "C:/study"},
        r"line 4, column 'image': 'C:\\other\\c\.png' is an absolute",
    ),
    "strip that leads out": (
        "t.csv",
        with_row(r"C:\study\..\c.png,calm,1,9,train"),
        {"strip": "C:/study"},
        r"line 4, column 'image': .* is not a path below",
    ),
    "address": (
        "t.csv",
        with_row("https://x.org/c.png,calm,1,9,train"),
        {},
        r"line 4, column 'image': 'https://x\.org/c\.png' is an address: load the pictures down",
    ),
    "null character": (
        "t.jsonl",
        lines(GOOD, {**GOOD, "image": "b\0.png"}),
        {},
        r"t\.jsonl, line 2, column 'image': 'b\x00\.png' is not a path below",
    ),
    "unknown split": (
        "t.csv",
        with_row("c.png,calm,1,9,holdout"),
        {},
        r"line 4, column 'split': 'holdout' is none of train, val.*data\.columns\.split=''",
    ),
    "number of a fold": (
        "t.csv",
        with_row("c.png,calm,1,9,3"),
        {},
        r"line 4, column 'split': '3' is none of train, val and test",
    ),
    "picture twice": (
        "t.csv",
        with_row("a.png,tense,1,9,train"),
        {},
        r"line 4, column 'image': 'a\.png' is in line 2 too: one row for each sample",
    ),
    "the same picture with another slash": (
        "t.csv",
        with_row(r".\a.png,tense,1,9,train"),
        {},
        r"line 4, column 'image': 'a\.png' is in line 2 too",
    ),
    "id twice": (
        "t.csv",
        "id,image,emotion\n1,a.png,calm\n2,b.png,tense\n1,c.png,calm\n",
        {},
        r"line 4, column 'id': '1' is in line 2 too",
    ),
    "id twice as a number": (
        "t.csv",
        "id,image,emotion\n1,a.png,calm\n2,b.png,tense\n1.0,c.png,calm\n",
        {},
        r"line 4, column 'id': '1' is in line 2 too",
    ),
    "no id": (
        "t.csv",
        "id,image,emotion\n1,a.png,calm\n2,b.png,tense\n,c.png,calm\n",
        {},
        r"line 4, column 'id': '' is no id",
    ),
    "too few fields": (
        "t.csv",
        with_row("c.png,calm"),
        {},
        r"line 4: 'c\.png,calm' are 2 fields, and the header has 5",
    ),
    "too many fields": (
        "t.csv",
        with_row("c.png,calm,1,5,9,train"),
        {},
        r"line 4: 'c\.png,calm,1,5,9,train' are 6 fields, and the header has 5: quote",
    ),
    "box turned over": (
        "t.csv",
        f"{BOXES}a.png,calm,0,0,5,5\nb.png,tense,5,0,1,5\n",
        {},
        r"line 3, column 'x1': '\[5\.0, 0\.0, 1\.0, 5\.0\]' is no box: left < right",
    ),
    "half a box": (
        "t.csv",
        f"{BOXES}a.png,calm,0,0,5,5\nb.png,tense,5,0,,5\n",
        {},
        r"line 3, column 'x1': '\[5\.0, 0\.0, nan, 5\.0\]' is no box",
    ),
    "box of words": (
        "t.csv",
        f"{BOXES}a.png,calm,0,0,5,5\nb.png,tense,5,0,wide,5\n",
        {},
        r"line 3, column 'x2': 'wide' is not a number",
    ),
    "box of three": (
        "t.csv",
        'image,emotion,bbox\na.png,calm,"[0, 0, 5, 5]"\nb.png,tense,"0 0 5"\n',
        {},
        r"line 3, column 'bbox': '' is no box",
    ),
    "negative votes": (
        "t.csv",
        "image,calm,tense\na.png,7,3\nb.png,-1,3\n",
        {"soft": ["calm", "tense"]},
        r"line 3, column 'calm': '-1' is no share or number of votes",
    ),
    "votes in words": (
        "t.csv",
        "image,calm,tense\na.png,7,3\nb.png,many,3\n",
        {"soft": ["calm", "tense"]},
        r"line 3, column 'calm': 'many' is not a number",
    ),
    "neither 0 nor 1": (
        "t.csv",
        "image,calm,tense\na.png,1,0\nb.png,1,2\n",
        {"multi_label": True, "columns": {"category": ["calm", "tense"]}},
        r"line 3, column 'tense': '2' is neither 0 nor 1",
    ),
    "one of several unknown": (
        "t.csv",
        "image,emotion\na.png,calm;tense\nb.png,calm;bored\n",
        {"multi_label": True, "categories": ["calm", "tense"]},
        r"line 3, column 'emotion': 'bored' is not in data\.categories \(calm, tense\)",
    ),
    "in Parquet": (
        "t.parquet",
        parquet(image=PICTURES, emotion=LABELS, valence=[1.0, 2, 3, 99]),
        {},
        r"t\.parquet, row 4, column 'valence': '99' lies outside",
    ),
    "in Arrow": (
        "t.arrow",
        arrow(image=[*PICTURES[:3], ""], emotion=LABELS),
        {},
        r"t\.arrow, row 4, column 'image': '' names no picture",
    ),
    "in JSON lines": (
        "t.jsonl",
        lines(GOOD, {**GOOD, "image": "b.png", "split": "half"}),
        {},
        r"t\.jsonl, line 2, column 'split': 'half' is none of train",
    ),
    "a line that is no JSON": (
        "t.jsonl",
        lines(GOOD, "{image: b.png}"),
        {},
        r"t\.jsonl, line 2: '\{image: b\.png\}' is no JSON object",
    ),
    "a line that is a list": (
        "t.jsonl",
        lines(GOOD, ["b.png", "calm"]),
        {},
        r"t\.jsonl, line 2: .* is no JSON object",
    ),
}


@pytest.mark.parametrize("case", CELLS)
def test_a_wrong_cell_is_named(case: str, tmp_path: Path) -> None:
    check_refused(CELLS[case], tmp_path)
