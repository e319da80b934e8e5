"""Tables that say of samples what the predictions do not: their gender, age, ..."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cage_lightning.errors import CageError
from cage_lightning.predictions.groups import read_groups

IDS = np.array(["007", "1.10", "x"])


def written(folder: Path, content: str, name: str = "groups.csv") -> Path:
    file = folder / name
    file.write_text(content, encoding="utf-8")
    return file


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_ids_are_text_and_what_stands_for_nothing_is_not_known(
    separator: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = "ID,Age, gender\n1.10,Kid,NA\n007,,f\n7,Adult,m\n".replace(",", separator)
    table = read_groups(written(tmp_path, text))
    found = table.added_to(IDS, {"video": np.array(["a", "b", "c"])})
    assert {name: column.tolist() for name, column in found.items()} == {
        "video": ["a", "b", "c"],
        "Age": ["", "Kid", ""],
        "gender": ["f", "", ""],
    }
    with caplog.at_level(logging.INFO):
        table.tell(IDS)
    assert "1 of 3 samples are not in it" in caplog.text
    assert "1 of its 3 ids are no samples" in caplog.text


def test_parquet(tmp_path: Path) -> None:
    columns = {"id": [7, 8], "age": [20.0, None], "tall": [True, False], "": [0, 1]}
    pq.write_table(pa.table(columns), tmp_path / "groups.parquet")
    found = read_groups(tmp_path / "groups.parquet").added_to(np.array(["8", "7"]), {})
    assert {name: column.tolist() for name, column in found.items()} == {
        "age": ["", "20"],
        "tall": ["False", "True"],
    }


def test_what_is_known_is_completed_and_not_contradicted(tmp_path: Path) -> None:
    known = {"age": np.array(["Kid", "", ""])}
    table = read_groups(written(tmp_path, "id,age\n007,Kid\nx,Adult\n"))
    assert table.added_to(IDS, known)["age"].tolist() == ["Kid", "", "Adult"]
    table = read_groups(written(tmp_path, "id,age\n007,Adult\n"))
    with pytest.raises(CageError, match=r"groups.csv: age of '007' is 'Adult', and 'Kid' in"):
        table.added_to(IDS, known)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,age\na,1\nb,2\na,3\n", "row 2: the id 'a' is that of row 0 too"),
        ("id,age\n,1\n", "row 0: id is empty"),
        ("id,age\n", "there is no row in it"),
        ("", "not a readable .csv file: it is empty"),
        ("id,age\na\n", "not a readable .csv file: row 0 has 1 fields, and the header 2"),
        ("name,age\na,1\n", "expected the columns id and at least one group, .* it has name, age"),
        ("id\na\n", "expected the columns id and at least one group, .* it has id"),
        ("id,age,age\na,1,2\n", "the column 'age' is there twice"),
        ("id,age,Id\na,1,2\n", "the column 'id' is there twice"),
        ("id,age\na,1\n", "none of its 1 ids is a sample; samples are called as in '007'"),
    ],
)
def test_a_faulty_table_is_one_line(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(CageError, match=message) as raised:
        read_groups(written(tmp_path, content)).added_to(IDS, {})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("groups.txt", "id,age\n", "ends in .parquet or .csv"),
        ("groups.parquet", "id,age\n", "not a readable .parquet file"),
        ("absent.csv", None, "there is no file"),
    ],
)
def test_another_file_is_refused(name: str, content: Any, message: str, tmp_path: Path) -> None:
    if content is not None:
        written(tmp_path, content, name)
    with pytest.raises(CageError, match=message):
        read_groups(tmp_path / name)
