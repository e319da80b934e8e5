"""Which tables belong to a data set, and which split each of them is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cage_lightning.errors import DataError
from tests.own_tables import opened
from tests.unit.data.readers.test_embedded_pictures import COLOURS, hub_table, picture


def write_tables(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(hub_table(["tense", "calm"]), root / f"{name}.parquet")


@pytest.mark.parametrize(
    ("names", "settings", "splits"),
    [
        (
            ["data/train-00000-of-00002", "data/train-00001-of-00002", "data/test-0-of-1-0123abcd"],
            {},
            {"train": 8, "test": 4},
        ),
        (
            ["train/0000", "train/0001", "valid/0000", "test/a"],
            {},
            {"train": 8, "val": 4, "test": 4},
        ),
        (["data/train/0000", "data/test/0000"], {}, {"train": 4, "test": 4}),
        (
            ["Training/x", "test/x"],
            {"table": {"train": "Training", "test": "test"}},
            {"train": 4, "test": 4},
        ),
        (["train"], {"test_fraction": 0.5}, {"train": 2, "test": 2}),
        (["faces-0-of-2", "faces-1-of-2"], {"test_fraction": 0.5}, {"train": 4, "test": 4}),
        (["parts/a", "parts/b"], {"table": "parts", "test_fraction": 1}, {"test": 8}),
    ],
)
def test_tables_by_the_names_of_files_and_folders(
    names: list[str], settings: dict[str, Any], splits: dict[str, int], tmp_path: Path
) -> None:
    write_tables(tmp_path, *names)
    source = opened(tmp_path, **settings)
    assert {split: len(source.own_split(split)) for split in source.own_splits} == splits


@pytest.mark.parametrize(
    "names", [["a", "b"], ["train/a", "val/a", "valid/a"], ["a-0-of-2", "b-1-of-2"]]
)
def test_tables_that_could_be_anything(names: list[str], tmp_path: Path) -> None:
    write_tables(tmp_path, *names)
    with pytest.raises(DataError, match=r"which table\?"):
        opened(tmp_path)


def test_tables_of_other_columns_are_no_parts_of_one(tmp_path: Path) -> None:
    write_tables(tmp_path, "train")
    other = hub_table(["tense", "calm"], valence=[1.0, 2, 3, 4], age=[1, 2, 3, 4])
    pq.write_table(other, tmp_path / "test.parquet")
    with pytest.raises(
        DataError, match=r"train\.parquet: data\.affect finds nothing, and .*valence"
    ):
        opened(tmp_path)
    assert len(opened(tmp_path, affect=[]).own_split("test")) == 4


def write_image_folder(root: Path, table: str, *pictures: str) -> None:
    """As `datasets` reads with `imagefolder`: pictures, and a table of what they are."""
    for place in pictures:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_bytes(picture(COLOURS[0]))
    folder = (root / table).parent
    rows = [f"{(root / p).relative_to(folder)},{'ab'[k % 2]}" for k, p in enumerate(pictures)]
    (root / table).write_text("\n".join(["file_name,label", *rows]))


def test_an_image_folder_with_a_table_for_each_split(tmp_path: Path) -> None:
    write_image_folder(tmp_path, "train/metadata.csv", "train/1.png", "train/deep/2.png")
    write_image_folder(tmp_path, "test/metadata.csv", "test/1.png", "test/2.png")
    source = opened(tmp_path)
    assert source.own_split("train").path.tolist() == ["train/1.png", "train/deep/2.png"]
    assert source.own_split("test").path.tolist() == ["test/1.png", "test/2.png"]


def test_an_image_folder_with_one_table(tmp_path: Path) -> None:
    places = ["train/1.png", "train/2.png", "test/1.png", "test/2.png"]
    write_image_folder(tmp_path, "metadata.csv", *places)
    assert opened(tmp_path).own_split("train").path.tolist() == places[:2]
    ignored = opened(tmp_path, columns={"split": ""}, test_fraction=1)
    assert len(ignored.own_split("test")) == 4
