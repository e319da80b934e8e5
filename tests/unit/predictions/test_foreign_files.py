"""Prediction files as other people write them: read, or refused with the cause, column and row."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cage_lightning.errors import CageError, ConfigError
from cage_lightning.labels import AFFECTNET_7, AFFECTNET_8, EMOTIC
from cage_lightning.predictions.files import read_predictions
from cage_lightning.predictions.table import Predictions
from tests.present import present

HEADER = "id,cat_true,cat_pred,val_true,val_pred,aro_true,aro_pred"
TABLE = f"{HEADER}\n007,0,1,0.5,0.25,-0.5,1.25\n1.10,7,0,-0.5,0,0.125,0\n1.1,1,1,1,-1,0,0\n"
ALPHABETICAL = sorted(AFFECTNET_8.categories)


def read(tmp_path: Path, content: str | bytes, *arguments: Any, name: str = "p.csv") -> Predictions:
    data = content.encode() if isinstance(content, str) else content
    (tmp_path / name).write_bytes(data)
    return read_predictions(tmp_path / name, *arguments)


def same(one: Predictions, other: Predictions) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("id", "category", "category_pred", "affect", "affect_pred")
    )


def test_ids_are_text(tmp_path: Path) -> None:
    assert read(tmp_path, TABLE).id.tolist() == ["007", "1.10", "1.1"]


def with_semicolons(text: str) -> str:
    return text.replace(",", ";").replace("0.", "0,").replace("1,10", "1.10")


WRITTEN: dict[str, bytes] = {
    "mark of UTF-8": TABLE.encode("utf-8-sig"),
    "UTF-16": TABLE.encode("utf-16"),
    "UTF-16 big endian": "\ufeff".encode("utf-16-be") + TABLE.encode("utf-16-be"),
    "UTF-16 without mark": TABLE.encode("utf-16-le"),
    "semicolons": TABLE.replace(",", ";").encode(),
    "semicolons and decimal commas": with_semicolons(TABLE).encode(),
    "tabs": TABLE.replace(",", "\t").encode(),
    "blanks": TABLE.replace(",", " , ").replace("\n", " \r\n").encode(),
    "quotes": TABLE.replace(HEADER, '"' + HEADER.replace(",", '","') + '"').encode(),
    "other case": TABLE.replace(HEADER, HEADER.replace("_", " ").title()).encode(),
    "blank lines": TABLE.replace("\n", "\n\n").encode(),
    "numbers with a fraction": TABLE.replace(",7,0,", ",7.0,0.0,").encode(),
    "names": TABLE.replace("07,0,1,", "07,neutral,Happy,")
    .replace("10,7,0,", "10,CONTEMPT,Neutral,")
    .replace("1.1,1,1,", "1.1,joy,happiness,")
    .encode(),
    "index of pandas": "".join(
        f"{'' if k == 0 else k - 1},{line}\n" for k, line in enumerate(TABLE.splitlines())
    ).encode(),
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_every_program_s_table_is_the_same(kind: str, tmp_path: Path) -> None:
    expected = read(tmp_path, TABLE)
    assert expected.space == AFFECTNET_8
    assert same(read(tmp_path, WRITTEN[kind]), expected)
    assert same(read(tmp_path, WRITTEN[kind], name="p.tsv"), expected)


def test_latin_1(tmp_path: Path, caplog: Any) -> None:
    with caplog.at_level(logging.INFO):
        found = read(tmp_path, TABLE.replace("007", "Müller").encode("latin-1"))
    assert found.id[0] == "Müller"
    assert "read as Latin-1" in caplog.text


@pytest.mark.parametrize("nothing", ["", "nan", "NaN", "NA", "null"])
def test_a_sample_without_a_label(nothing: str, tmp_path: Path) -> None:
    rows = f"cat_true,cat_pred,val_true,val_pred,aro_true,aro_pred\n0,7,{nothing},0,0,0\n"
    found = read(tmp_path, f"{rows}{nothing},7,0,0,0,0\n", "affectnet8")
    assert present(found.category).tolist() == [0, -1]
    assert np.isnan(found.affect[0, 0])
    assert read(tmp_path, f"{rows}{nothing},1,0,0,0,0\n6,1,0,0,0,0\n7,1,0,0,0,0\n").space == (
        AFFECTNET_8
    )


def test_probabilities_by_any_name_in_any_order(tmp_path: Path) -> None:
    names = ["Angry", "contempt", "disgusted", "AFRAID", "happy", "neutral", "sad", "surprised"]
    header = ",".join(f"prob_{name}" for name in names)
    found = read(tmp_path, f"cat_true,cat_pred,{header}\nhappy,sad,.0,.1,.2,.3,.4,0,0,0\n")
    assert found.space == AFFECTNET_8
    expected = dict(zip(ALPHABETICAL, (0.0, 0.1, 0.2, 0.3, 0.4, 0, 0, 0), strict=True))
    assert present(found.probability)[0].tolist() == [expected[c] for c in AFFECTNET_8.categories]


@pytest.mark.parametrize("space", [None, "affectnet8"])
def test_numbers_in_another_order(space: str | None, tmp_path: Path) -> None:
    header = ",".join(f"prob_{k}" for k in range(8))
    rows = "0,4,.1,0,0,0,.9,0,0,0\n6,4,0,0,0,0,1,0,0,0\n"
    found = read(tmp_path, f"cat_true,cat_pred,{header}\n{rows}", space, ALPHABETICAL)
    assert found.space == AFFECTNET_8
    assert [AFFECTNET_8.categories[k] for k in present(found.category)] == ["Anger", "Sadness"]
    assert set(present(found.category_pred)) == {1}
    assert present(found.probability)[0, [1, 6]].tolist() == [0.9, 0.1]


def test_names_are_names_whatever_the_order_of_numbers(tmp_path: Path) -> None:
    rows = "cat_true,cat_pred\nhappy,sad\nanger,1\n"
    seven = [name for name in ALPHABETICAL if name != "Contempt"]
    found = read(tmp_path, rows, None, seven)
    assert found.space == AFFECTNET_7
    assert present(found.category).tolist() == [1, 6]
    assert present(found.category_pred).tolist() == [2, 5]


@pytest.mark.parametrize(
    ("categories", "message"),
    [
        (["happy", "glad"], r"'glad' is no category: known are Neutral, Happiness, "),
        (["happy", "joy"], r"'happy' and 'joy' both mean Happiness"),
        (["happy", "sad"], r"not all the categories of one of affectnet8, affectnet7, emotic"),
        (AFFECTNET_8.categories, r"not all the categories of affectnet7"),
    ],
)
def test_an_order_that_is_none(categories: list[str], message: str, tmp_path: Path) -> None:
    space = "affectnet7" if "affectnet7" in message.split()[-1] else None
    with pytest.raises(ConfigError, match=message):
        read(tmp_path, TABLE, space, categories)


def row(number: int, text: str) -> str:
    lines = TABLE.splitlines()
    lines[number + 1] = text
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            TABLE.replace("val_true", "cat_true"),
            r"the column 'category_true' is there twice, as 'cat_true' and as 'cat_true'",
        ),
        (TABLE.replace("val_true", "category true"), r"twice, as 'cat_true' and as 'category true"),
        (
            "cat_true,cat_pred,prob_joy,prob_happy\n1,1,1,1\n",
            r"column 'prob_Happiness' is there tw",
        ),
        (row(1, "8,1,,0,0,0,0"), r"row 1: category_pred is empty: every row needs a prediction"),
        (row(1, "8,1,nan,0,0,0,0"), r"row 1: category_pred is empty"),
        (row(1, "8,glad,1,0,0,0,0"), r"row 1: category_true is 'glad', which is no category of"),
        (row(2, "007,1,1,0,0,0,0"), r"row 2: the id '007' is that of row 0 too"),
        (row(2, ",1,1,0,0,0,0"), r"row 2: id is empty"),
        (row(2, "8,1,1,0,0,0"), r"row 2 has 6 fields, and the header 7"),
        (row(2, '8,1,"1,0,0,0,0'), r"not a readable .csv file: line 4: unexpected end of data"),
        (row(1, "8,1,1,0,x,0,0"), r"row 1: valence_pred is 'x', not a number"),
        (HEADER, r"there is no row"),
        ("\n\n", r"it is empty"),
        (b"\xff\xfei\0d\0,", r"not a readable .csv file: 'utf-16"),
    ],
)
def test_a_fault_is_named(content: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(CageError, match=message) as caught:
        read(tmp_path, content, "affectnet8")
    assert "p.csv: " in str(caught.value)
    assert "\n" not in str(caught.value)


def write(tmp_path: Path, **columns: list[Any]) -> Path:
    pq.write_table(pa.table(columns), tmp_path / "p.parquet")
    return tmp_path / "p.parquet"


def test_parquet_of_somebody_else(tmp_path: Path) -> None:
    file = write(tmp_path, id=[7, 8], cat_true=[0.0, float("nan")], cat_pred=["joy", "Sad"])
    found = read_predictions(file, "affectnet8")
    assert found.id.tolist() == ["7", "8"]
    assert present(found.category).tolist() == [0, -1]
    assert present(found.category_pred).tolist() == [1, 2]
    with pytest.raises(CageError, match=r"row 1: id is the number 1\.1, which 1\.1 and 1\.10 sha"):
        read_predictions(write(tmp_path, id=[1.0, 1.1], cat_true=[0, 1], cat_pred=[1, 1]))
    names = pa.array([1, 1]), pa.array([1, 0])
    pq.write_table(pa.Table.from_arrays(names, ["cat_true", "cat_true"]), file)
    with pytest.raises(CageError, match=r"'category_true' is there twice"):
        read_predictions(file)


def test_several_categories_without_any(tmp_path: Path) -> None:
    found = read(tmp_path, "category_true,category_pred\nnan,fear;PAIN\n", "emotic")
    assert not present(found.category).any()
    chosen = np.flatnonzero(present(found.category_pred)[0])
    assert [EMOTIC.categories[k] for k in chosen] == ["Fear", "Pain"]
