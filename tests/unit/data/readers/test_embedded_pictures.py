"""Tables that hold the pictures themselves, also as the library datasets saves them."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from cage_lightning.data.images import decode_image
from cage_lightning.data.readers import unpacking
from cage_lightning.data.readers.table import embedded
from cage_lightning.errors import CageError, DataError
from tests.own_tables import opened

COLOURS = [(200, 0, 0), (0, 200, 0), (0, 0, 200), (90, 90, 90)]


def picture(colour: tuple[int, int, int], kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (20, 20), colour).save(file, kind)
    return file.getvalue()


def hub_table(names: list[str] | None = None, **columns: list[Any]) -> pa.Table:
    """As datasets writes it: the files of pictures, and the names of the classes."""
    table = pa.table(
        {
            "image": [
                {"bytes": picture(c), "path": f"../up/{i}.png"} for i, c in enumerate(COLOURS)
            ],
            "label": [1, 0, 1, 0],
        }
        | columns
    )
    features: dict[str, Any] = {"image": {"_type": "Image"}}
    if names:
        features["label"] = {"names": names, "_type": "ClassLabel"}
    return table.replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )


def colours(table: Any) -> list[tuple[int, ...]]:
    return [
        tuple(np.asarray(Image.open(table.root / path).convert("RGB"))[0, 0].tolist())
        for path in table.path
    ]


def save_to_disk(root: Path, splits: dict[str, pa.Table], parts: int = 1) -> None:
    """As DatasetDict.save_to_disk does."""
    root.mkdir(exist_ok=True)
    (root / "dataset_dict.json").write_text(json.dumps({"splits": list(splits)}))
    for name, table in splits.items():
        files = [f"data-{part:05d}-of-{parts:05d}.arrow" for part in range(parts)]
        (root / name).mkdir()
        state = {"_data_files": [{"filename": file} for file in files], "_split": name}
        (root / name / "state.json").write_text(json.dumps(state))
        size = -(-len(table) // parts)
        for part, file in enumerate(files):
            with pa.ipc.new_stream(root / name / file, table.schema) as sink:
                sink.write_table(table.slice(part * size, size))


def test_parquet_with_the_pictures_inside(tmp_path: Path) -> None:
    pq.write_table(hub_table(["tense", "calm"]), tmp_path / "faces.parquet", row_group_size=3)
    train = opened(tmp_path, test_fraction=0.5).own_split("train")
    test = opened(tmp_path, test_fraction=0.5).own_split("test")
    assert sorted(colours(train) + colours(test)) == sorted(COLOURS)
    assert train.space.categories == ("tense", "calm")  # as the file lists them
    labelled = {
        colour: table.space.categories[category]
        for table in (train, test)
        for colour, category in zip(colours(table), table.category, strict=True)
    }
    assert [labelled[colour] for colour in COLOURS] == ["calm", "tense", "calm", "tense"]
    assert not (tmp_path.parent / "up").exists()


def test_a_column_of_bytes_and_rows_without_a_picture(tmp_path: Path) -> None:
    table = pa.table(
        {"image": [picture(COLOURS[0], "JPEG"), None, b""], "label": ["calm", "tense", "calm"]}
    )
    pq.write_table(table, tmp_path / "faces.parquet")
    with pytest.raises(
        DataError, match=r"row 2, column 'image'.*names no picture.*2 wrong cells"
    ) as error:
        opened(tmp_path, test_fraction=1).own_split("test")
    assert "\n" not in str(error.value)
    kept = opened(tmp_path, test_fraction=1, on_error="skip").own_split("test")
    assert kept.path.tolist() == [".pictures/faces.parquet/00000001"]


def test_a_broken_picture_is_named_by_table_and_row_or_left_out(tmp_path: Path) -> None:
    rows = [picture(COLOURS[0]), b"no picture", picture(COLOURS[2])]
    pq.write_table(pa.table({"image": rows, "label": ["a", "b", "b"]}), tmp_path / "f.parquet")
    table = opened(tmp_path, test_fraction=1).own_split("test")
    with pytest.raises(DataError, match=r"\.pictures/f\.parquet/00000002: .*on_error=skip"):
        decode_image(table.root / table.path[1], 20)
    kept = opened(tmp_path, test_fraction=1, on_error="skip").own_split("test")
    assert colours(kept) == [COLOURS[0], COLOURS[2]]
    assert kept.left_out == {"broken picture": 1}


def test_a_row_that_only_names_its_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture(COLOURS[0]))
    rows = [{"bytes": None, "path": "a.png"}, {"bytes": None, "path": "../../secret.png"}]
    pq.write_table(pa.table({"image": rows, "label": ["calm", "calm"]}), tmp_path / "f.parquet")
    with pytest.raises(DataError, match=r"row 2.*secret\.png.*is not a path below"):
        opened(tmp_path, test_fraction=1).own_split("test")


def test_a_table_beside_the_root_leaves_alone_what_is_in_it(tmp_path: Path) -> None:
    root = tmp_path / "study"
    mine = root / "f.parquet/mine.txt"
    mine.parent.mkdir(parents=True)
    mine.touch()
    pq.write_table(hub_table(), tmp_path / "f.parquet")
    table = opened(root, table="../f.parquet", test_fraction=1).own_split("test")
    assert colours(table) == COLOURS
    assert {path.split("/")[0] for path in table.path.tolist()} == {".pictures"}
    assert mine.exists()


@pytest.mark.parametrize("parts", [1, 2])
def test_what_datasets_saved(parts: int, tmp_path: Path) -> None:
    splits = {"train": hub_table(["tense", "calm"]), "validation": hub_table(["tense", "calm"])}
    save_to_disk(tmp_path, splits | {"test": hub_table(["tense", "calm"])}, parts)
    source = opened(tmp_path)
    assert source.own_splits == ("train", "val", "test")
    for split in source.own_splits:
        table = source.own_split(split)
        assert colours(table) == COLOURS
        assert table.category.tolist() == [1, 0, 1, 0]


def test_a_class_may_be_called_none(tmp_path: Path) -> None:
    pq.write_table(hub_table(["none", "calm"]), tmp_path / "f.parquet")
    table = opened(tmp_path, test_fraction=1).own_split("test")
    assert table.space.categories == ("none", "calm")
    assert table.category.tolist() == [1, 0, 1, 0]


def test_the_only_column_of_pictures_needs_no_name(tmp_path: Path) -> None:
    table = hub_table().rename_columns(["scan", "label"])
    pq.write_table(table, tmp_path / "f.parquet")
    assert colours(opened(tmp_path, test_fraction=1).own_split("test")) == COLOURS


def test_several_classes_and_no_class(tmp_path: Path) -> None:
    table = hub_table(feelings=[[0, 1], [1], [0], [1]], label=[-1, -1, -1, -1])
    names = {"feelings": {"feature": {"names": ["sad", "glad"], "_type": "ClassLabel"}}}
    metadata = {"huggingface": json.dumps({"info": {"features": names}})}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "f.parquet")
    settings = {"multi_label": True, "columns": {"category": "feelings"}, "test_fraction": 1}
    assert opened(tmp_path, **settings).own_split("test").space.categories == ("sad", "glad")
    pq.write_table(hub_table(["a", "b"], label=[-1, 0, 1, 1]), tmp_path / "f.parquet")
    assert len(opened(tmp_path, test_fraction=1).own_split("test")) == 3


def test_pictures_are_unpacked_once_and_again_when_the_table_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "f.parquet"
    times: list[Any] = []
    monkeypatch.setattr(embedded, "unpack", _counting(unpacking.unpack, times))
    pq.write_table(hub_table(), file)
    for _ in range(2):
        opened(tmp_path, test_fraction=1).own_split("test")
    assert len(times) == 1
    pq.write_table(hub_table(label=[0, 0, 1, 0]).slice(0, 3), file)
    os.utime(file, (1, 1))
    assert colours(opened(tmp_path, test_fraction=1).own_split("test")) == COLOURS[:3]
    assert len(times) == 2


def _counting(do: Any, times: list[Any]) -> Any:
    def counted(*arguments: Any) -> None:
        times.append(arguments)
        do(*arguments)

    return counted


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("dataset_dict.json", "[", "not readable as JSON"),
        ("dataset_dict.json", "[]", "has no list 'splits'"),
        (
            "dataset_dict.json",
            '{"splits": ["unsupervised"]}',
            "'unsupervised' is no name of a split",
        ),
        ("dataset_dict.json", '{"splits": ["train"]}', "train/state.json.*not readable"),
        ("state.json", '{"_data_files": []}', "has no list '_data_files'"),
        ("state.json", '{"_data_files": [7]}', "names no files"),
        ("state.json", '{"_data_files": [{"filename": "../x.arrow"}]}', "names no files"),
        ("state.json", '{"_data_files": [{"filename": "x.arrow"}]}', "there is no table"),
        (
            "state.json",
            '{"_data_files": [{"filename": "x.arrow"}], "_indices_files": [{}]}',
            "only some of the rows belong to it",
        ),
    ],
)
def test_a_saved_folder_that_is_damaged(
    file: str, content: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / file).write_text(content)
    with pytest.raises(CageError, match=message) as error:
        opened(tmp_path)
    assert "\n" not in str(error.value)
