"""Small tables of an outsider, right and wrong."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from cage_lightning.data.datasets import Table
from cage_lightning.errors import CageError

HEADER = "image,emotion,valence,arousal,split\n"
# Lines 2 to 5; a wrong row takes the place of line 4.
ROWS = ["a.png,calm,5,5,train", "b.png,tense,4,2.5,train", "c.png,calm,1,9,train"]
LAST = "d.png,tense,9,1,test"


def with_row(row: str) -> str:
    return HEADER + "\n".join([*ROWS[:2], row, LAST]) + "\n"


def without(column: str) -> str:
    names = HEADER.strip().split(",")
    drop = names.index(column)
    lines = [HEADER.strip(), *ROWS, LAST]
    kept = ([f for k, f in enumerate(line.split(",")) if k != drop] for line in lines)
    return "\n".join(map(",".join, kept)) + "\n"


def arrow(**columns: list[Any]) -> bytes:
    sink = io.BytesIO()
    pyarrow.feather.write_feather(pa.table(columns), sink)
    return sink.getvalue()


def parquet(**columns: list[Any]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def lines(*rows: Any) -> str:
    return "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)


GOOD = {"image": "a.png", "emotion": "calm", "split": "train"}
PICTURES = ["a.png", "b.png", "c.png", "d.png"]
LABELS = ["calm", "tense", "calm", "tense"]
BOXES = "image,emotion,x1,y1,x2,y2\n"

Case = tuple[str, str | bytes, dict[str, Any], str]
"""File, content, settings, and what the message says."""


def opened(folder: Path, **settings: Any) -> Table:
    given = {"name": "study", "root": str(folder), "store": None, "on_error": "raise"}
    return Table(**({**given, "affect_range": [1, 9]} | settings))


def check_refused(case: Case, folder: Path) -> None:
    """Reading the table ends in one line that says what the case says."""
    file, content, settings, message = case
    (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    for picture in PICTURES:
        (folder / picture).touch()
    with pytest.raises(CageError, match=message) as error:
        opened(folder, **settings).own_split("train")
    assert "\n" not in str(error.value)
