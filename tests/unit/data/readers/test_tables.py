"""A table of somebody's own: any format, any names, categories in an order, splits."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.store_file import About, write_store
from cage_lightning.errors import DataError
from tests.own_tables import arrow, opened, parquet

NAMES = ["Pfad zum Bild", "Gefühl", "Valenz", "Teil"]
PATHS = ["Fotos Ä/p 1 ü.png", "Fotos Ä/p 2.png", "Fotos Ä/p 3.png", "Fotos Ä/p 4.png"]
FEELINGS = ["ruhig", "Ärger", "ruhig", "Ärger"]
VALENCES = [5, 1, 9, 2.5]
SPLITS = ["Training", "Training", "Training", "PrivateTest"]
COLUMNS = {"picture": "Pfad zum Bild", "category": "Gefühl", "split": "Teil"}
SETTINGS: dict[str, Any] = {"columns": COLUMNS, "affect": {"wellbeing": "Valenz"}}


def text(separator: str = ",", end: str = "\n", comma: bool = False) -> str:
    numbers = [str(v).replace(".", ",") if comma else str(v) for v in VALENCES]
    columns = (PATHS, FEELINGS, numbers, SPLITS)
    return end.join(separator.join(row) for row in [NAMES, *zip(*columns, strict=True)]) + end


def columns() -> dict[str, list[Any]]:
    values = (PATHS, FEELINGS, list(map(float, VALENCES)), SPLITS)
    return dict(zip(NAMES, values, strict=True))


def json_lines() -> str:
    rows = zip(PATHS, FEELINGS, VALENCES, SPLITS, strict=True)
    return "\n".join(json.dumps(dict(zip(NAMES, row, strict=True))) for row in rows)


FILES: dict[str, tuple[str, bytes]] = {
    "comma": ("t.csv", text().encode()),
    "semicolon, mark, Windows, comma in numbers": (
        "t.csv",
        text(";", "\r\n", comma=True).encode("utf-8-sig"),
    ),
    "tab, UTF-16": ("t.tsv", text("\t").encode("utf-16")),
    "bar, Latin-1": ("t.txt", text("|").encode("latin-1")),
    "Excel": ("t.csv", ("sep=;\r\n" + text(";", "\r\n")).encode()),
    "a separator at the end": ("t.csv", text(";", ";\n").encode()),
    "Parquet": ("t.parquet", parquet(**columns())),
    "Arrow": ("t.feather", arrow(**columns())),
    "JSON lines": ("t.jsonl", json_lines().encode()),
    "a JSON list": ("t.json", f"[{json_lines()}]".replace("}\n{", "},\n{").encode()),
}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A folder with the pictures."""
    for path in PATHS:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    return tmp_path


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_table(name: str, study: Path) -> None:
    file, content = FILES[name]
    (study / file).write_bytes(content)
    train = opened(study, **SETTINGS).own_split("train")
    assert train.path.tolist() == PATHS[:3]
    assert train.id.tolist() == [path.removesuffix(".png") for path in PATHS[:3]]
    assert train.space.categories == ("ruhig", "Ärger")
    assert train.category.tolist() == [0, 1, 0]
    assert train.space.dimensions == ("wellbeing",)
    assert train.affect.tolist() == [[0], [-1], [1]]
    assert opened(study, **SETTINGS).own_split("test").affect.tolist() == [[-0.625]]


def write(root: Path, header: str, *rows: str) -> Path:
    """A table; the pictures in its first column are there."""
    (root / "t.csv").write_text("\n".join([header, *rows]))
    for row in rows:
        path = root / row.partition(",")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


Build = Callable[..., Annotations]


@pytest.fixture
def train_of(tmp_path: Path) -> Build:
    """The training split of a table of the given lines, which has a test row besides."""

    def build(header: str, *rows: str, last: str = "", **settings: Any) -> Annotations:
        lines = [f"{row},train" for row in rows]
        write(tmp_path, f"{header},split", *lines, f"{last or rows[0]},test")
        return opened(tmp_path, **settings).own_split("train")

    return build


def test_codes_are_names_sorted_by_value_unless_they_are_mapped(train_of: Build) -> None:
    rows = ["a.png,10", "b.png,9", "c.png,2.0"]
    assert train_of("file,label", *rows).space.categories == ("2", "9", "10")
    named = train_of("file,label", *rows, categories={10: "calm", 2: "tense", 9: "calm"})
    assert named.space.categories == ("calm", "tense")
    assert named.category.tolist() == [0, 0, 1]


def test_a_given_order_is_that_of_the_outputs(train_of: Build) -> None:
    table = train_of("file,label", "a.png,x", "b.png,y", categories=["z", "y", "x"])
    assert table.space.categories == ("z", "y", "x")
    assert table.category.tolist() == [2, 1]


def test_missing_labels_are_not_annotated_and_rows_without_any_left_out(train_of: Build) -> None:
    table = train_of(
        "file,label,valence,arousal",
        "a.png,x,NA,-5",
        "b.png,,5,",
        "c.png,none,,nan",
        "d.png,y,9,1",
        missing=[-5],
    )
    assert table.id.tolist() == ["a", "b", "d"]
    assert table.category.tolist() == [0, -1, 1]
    np.testing.assert_array_equal(table.affect, [[np.nan, np.nan], [0, np.nan], [1, -1]])
    assert table.left_out == {"no label": 1}


def test_a_category_may_be_called_none_if_it_is_named(train_of: Build) -> None:
    table = train_of("file,label", "a.png,none", "b.png,x", categories=["none", "x"])
    assert table.category.tolist() == [0, 1]


def test_categories_are_left_out_and_counted(train_of: Build) -> None:
    table = train_of("file,label", "a.png,x", "b.png,y", "c.png,NF", leave_out=["NF"])
    assert table.id.tolist() == ["a", "b"]
    assert table.left_out == {"category NF": 1}


def test_several_categories_of_a_cell_or_a_column_for_each(train_of: Build) -> None:
    joined = train_of("file,label", "a.png,x;y", "b.png,y", "c.png,z; x", multi_label=True)
    assert joined.space.categories == ("x", "y", "z")
    assert joined.category.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]
    flags = train_of(
        "file,x,y,z",
        *("a.png,1,1,0", "b.png,0,1,", "c.png,true,0,1"),
        multi_label=True,
        columns={"category": ["x", "y", "z"]},
    )
    np.testing.assert_array_equal(flags.category, joined.category)


def test_votes_are_shares_and_the_most_frequent_is_the_category(train_of: Build) -> None:
    rows = ["a.png,6,2", "b.png,1,1", "c.png,,", "d.png,0,3"]
    table = train_of("file,n1,n2", *rows, soft={"calm": "n1", "tense": "n2"})
    assert table.space.categories == ("calm", "tense")
    assert table.soft is not None
    assert table.soft.tolist() == [[0.75, 0.25], [0.5, 0.5], [0, 1]]
    assert table.category.tolist() == [0, -1, 1]


def test_boxes_of_one_picture_are_samples_of_their_own(train_of: Build) -> None:
    rows = ["a.png,x,0,0,5,5", "a.png,y,5,0,9,5"]
    table = train_of("file,label,left,top,right,bottom", *rows)
    assert table.id.tolist() == ["a", "a#2"]
    assert table.box is not None
    assert table.box.tolist() == [[0, 0, 5, 5], [5, 0, 9, 5]]
    sizes = {"left": "x", "top": "y", "width": "w", "height": "h"}
    measured = train_of("file,label,x,y,w,h", "a.png,x,1,2,5,6", "b.png,y,1,2,3,4", columns=sizes)
    assert measured.box is not None
    assert measured.box.tolist() == [[1, 2, 6, 8], [1, 2, 4, 6]]
    cells = train_of("file,label,bbox", 'a.png,x,"[1, 2, 6.0, 8]"', "b.png,y,1 2 4 6")
    assert cells.box is not None
    assert cells.box.tolist() == measured.box.tolist()


def test_paths_of_another_machine_lose_their_folder(train_of: Build, tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / "x").mkdir(exist_ok=True)
        (tmp_path / "x" / name).touch()
    rows = ["x\\a.png,x", "C:\\My Study\\x\\b.png,y"]
    table = train_of("file,label", *rows, last=f"{tmp_path}/x/c.png,x", strip="c:/my study/")
    assert table.path.tolist() == ["x/a.png", "x/b.png"]


def test_a_name_written_with_two_characters_is_found(tmp_path: Path) -> None:
    write(tmp_path, "file,label,split", "\u00fc.png,x,train", "b.png,y,train", "b.png,y,test")
    (tmp_path / "\u00fc.png").rename(tmp_path / "u\u0308.png")
    assert opened(tmp_path).own_split("train").path.tolist() == ["u\u0308.png", "b.png"]


def people(root: Path, n: int = 60) -> Path:
    rows = (f"p{k}.png,{'xyz'[k % 3]},{k // 5}" for k in range(n))
    return write(root, "file,label,subject", *rows)


def test_splits_are_drawn_with_whole_persons(tmp_path: Path) -> None:
    source = opened(people(tmp_path), val_fraction=0.2)
    assert source.own_splits == ("train", "val", "test")
    assert source.group_by == "person"
    parts = [source.own_split(split) for split in source.own_splits]
    persons = [set(part.groups["person"]) for part in parts]
    assert sum(map(len, persons)) == len(set.union(*persons)) == 12
    assert [len(part) for part in parts] == [40, 10, 10]
    assert set(parts[2].category.tolist()) == {0, 1, 2}


def test_the_draw_depends_on_seed_and_ids_alone(tmp_path: Path) -> None:
    def test_ids(**settings: Any) -> set[str]:
        return set(opened(tmp_path, group_by=None, **settings).own_split("test").id.tolist())

    people(tmp_path)
    drawn = test_ids()
    assert len(drawn) == 12
    assert test_ids(split_seed=1) != drawn
    header, *rows = (tmp_path / "t.csv").read_text().splitlines()
    (tmp_path / "t.csv").write_text("\n".join([header, *reversed(rows)]))
    assert test_ids() == drawn
    assert len(test_ids(test_fraction=1.0)) == 60


def test_a_file_for_each_split_or_val_alone(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        write(tmp_path, "file,label", f"{split}1.png,x", f"{split}2.png,y")
        (tmp_path / "t.csv").rename(tmp_path / f"{split}.csv")
    source = opened(tmp_path)
    assert source.own_splits == ("train", "test")
    assert source.own_split("test").id.tolist() == ["valid1", "valid2"]
    files = {"train": "train.csv", "val": "valid.csv", "test": str(tmp_path / "valid.csv")}
    assert opened(tmp_path, table=files).own_splits == ("train", "val", "test")


def test_obvious_columns_are_found_and_told(train_of: Build, caplog: Any) -> None:
    with caplog.at_level(logging.INFO):
        rows = ["a.png,x,1,30,red", "b.png,y,2,,red"]
        table = train_of("Image Path,EMOTION,Valence,Age,colour", *rows)
    assert table.groups["age"].tolist() == ["30", ""]
    assert "columns picture: 'Image Path', split: 'split', category: 'EMOTION', " in caplog.text
    assert "not used: colour" in caplog.text
    assert "categories in the order of the outputs, sorted: x (2), y (1)" in caplog.text


def test_wrong_rows_are_all_told_or_left_out(tmp_path: Path) -> None:
    rows = ["a.png,x,1,train", "b.png,y,99,train", "c.png,x,0,part", "d.png,y,3,test"]
    write(tmp_path, "file,label,valence,split", *rows)
    source = opened(tmp_path)
    assert [fault.place for fault in source.wrong_cells] == ["line 3", "line 4", "line 4"]
    with pytest.raises(DataError, match=r"\(3 wrong cells in 2 rows\)"):
        source.own_split("test")
    skipping = opened(tmp_path, on_error="skip", categories=["x", "y"])
    assert skipping.read("train", "keep").left_out == {"wrong row": 2}
    assert skipping.reading["rows left out"] == 2


def test_pictures_that_no_row_names_are_counted(train_of: Build, tmp_path: Path) -> None:
    (tmp_path / "stranger.png").touch()
    assert train_of("file,label", "a.png,x", "b.png,y").left_out == {"picture without row": 1}


def test_another_table_is_another_reading(tmp_path: Path) -> None:
    before = opened(people(tmp_path)).reading
    assert json.loads(json.dumps(before)) == before
    text = (tmp_path / "t.csv").read_text()
    (tmp_path / "t.csv").write_text(text.replace("p1.png,y", "p1.png,z"))
    assert opened(tmp_path).reading != before


def test_a_store_stands_for_a_table_that_is_not_there(tmp_path: Path) -> None:
    root, place = tmp_path / "study", str(tmp_path / "store")
    root.mkdir()
    source = opened(people(root), store=place)
    assert source.store is not None
    source.store.folder.mkdir(parents=True)
    before = [source.own_split(split) for split in source.own_splits]
    for split, table in zip(source.own_splits, before, strict=True):
        images = [pa.array([b"x"] * len(table), pa.large_binary())]
        about = About(source.store.release or "", source.reading, None)
        write_store(source.store.file(split), table, images, about)
    shutil.rmtree(root)
    away = opened(root, store=place)
    assert (away.own_splits, away.group_by) == (("train", "test"), "person")
    assert away.own_split("test").fingerprint() == before[1].fingerprint()
    with pytest.raises(DataError, match=r"was made with \{'seed': 0\}, not \{'seed': 1\}"):
        opened(root, store=place, split_seed=1).own_split("test")
    root.mkdir()
    file = people(root) / "t.csv"
    file.write_text(file.read_text() + "\n")
    with pytest.raises(DataError, match="was made from other tables than are read now: run"):
        opened(root, store=place).own_split("test")
