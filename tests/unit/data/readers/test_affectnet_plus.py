"""AffectNet+: labels in JSON, with soft labels."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cage_lightning.data.readers.affectnet import read_affectnet
from cage_lightning.errors import DataError
from cage_lightning.labels import AFFECTNET_7, AFFECTNET_8
from tests.affectnet_layouts import Row, entry_plus, write_2021, write_plus

ROWS = [Row(0, 1, 0.75, 0.0625), Row(1, 7, -0.5, 0.625), Row(4, 0), Row(11, 6, -0.4, 0.57)]


def read(root, split="train", space=AFFECTNET_8, **options):
    return read_affectnet(root, split, space, **options)


@pytest.mark.parametrize("inside", ["human_annotated", ""])
def test_the_root_holds_human_annotated_or_is_it(tmp_path, inside):
    write_plus(tmp_path, "train", ROWS, inside)
    write_plus(tmp_path, "test", [Row(0, 5, -0.7, 0.4)], inside)
    prefix = f"{inside}/" if inside else ""
    table, test = read(tmp_path), read(tmp_path, "test")
    assert table.id.tolist() == ["0", "1", "4", "11"]
    assert table.path[3] == f"{prefix}train_set/images/11.jpg"
    assert table.category.tolist() == [1, 7, 0, 6]
    assert table.affect.tolist() == np.array([row[2:] for row in ROWS], np.float32).tolist()
    assert test.path.tolist() == [f"{prefix}validation_set/images/0.jpg"]


def test_soft_labels_and_subsets_come_along(tmp_path):
    rows = [*ROWS, Row(2, 10, -2, -2)]
    write_plus(tmp_path, "train", rows)
    table = read(tmp_path, space=AFFECTNET_7)
    assert table.id.tolist() == ["0", "4", "11"]
    soft = table.extra["soft_label"]
    assert soft.dtype == np.float32
    assert soft.tolist() == [[0.75 * (k == n % 8) for k in range(8)] for n in (0, 4, 11)]
    assert table.groups["subset"].tolist() == ["easy", "challenging", "difficult"]
    part = table.select(np.array([2]))
    assert part.extra["soft_label"].argmax() == 3


@pytest.mark.parametrize("space", [AFFECTNET_7, AFFECTNET_8])
def test_the_shares_are_those_of_the_categories(tmp_path, space):
    k = len(space.categories)
    annotations = write_plus(tmp_path, "train", [Row(0, 1), Row(1, 2), Row(2, 10, -2, -2)])
    labels = ([0.2, 0.4, 0, 0, 0, 0, 0, 0.2], [0, 0, 0, 0, 0, -0.5, 0, 1])
    for number, soft in enumerate(labels):
        entry = entry_plus(Row(number, 1), **{"soft-label": soft})
        (annotations / f"{number}.json").write_text(json.dumps(entry))
    soft = read(tmp_path, space=space).soft
    assert soft is not None
    first = [0.25, 0.5, 0, 0, 0, 0, 0, 0.25] if k == 8 else [1 / 3, 2 / 3, 0, 0, 0, 0, 0]
    second = [0.0, 0, 0, 0, 0, 0, 0, 1][:k]  # of seven, nothing is known
    np.testing.assert_allclose(soft, np.array([first, second]), rtol=1e-6)
    assert soft.dtype == np.float32


def test_what_is_known_of_the_face_comes_along(tmp_path):
    meta = {"valence": 0.5, "arousal": 0.5}
    known = meta | {"age": 31.5, "gender": " female ", "race": "latino \ud800"}
    unknown = meta | {"age": None, "gender": ["male"], "race": True}
    annotations = write_plus(tmp_path, "train", [Row(0), Row(1), Row(2)])
    for number, content in enumerate((known, meta, unknown)):
        entry = entry_plus(Row(number, 1), **{"meta-data": content})
        (annotations / f"{number}.json").write_text(json.dumps(entry))
    groups = read(tmp_path).groups
    assert {name: column.tolist() for name, column in groups.items()} == {
        "subset": ["easy", "challenging", "difficult"],
        "age": ["31.5", "", ""],
        "gender": ["female", "", ""],
        "ethnicity": ["latino ?", "", ""],
    }


def test_labels_outside_the_categories_are_left_out_and_counted(tmp_path):
    rows = [Row(0, 1), Row(1, 8), Row(2, 9, -2, -2), Row(3, 10, -2, -2), Row(4, 3, -2, -2)]
    annotations = write_plus(tmp_path, "train", rows)
    for number, code in ((1, 8), (3, 10)):
        (annotations / f"{number}.json").write_text(json.dumps({"human-label": code}))
    table = read(tmp_path)
    assert table.id.tolist() == ["0"]
    assert table.left_out == {
        "none": 1,
        "uncertain": 1,
        "no face": 1,
        "no valence or arousal": 1,
    }


def test_numbers_may_be_text(tmp_path):
    annotations = write_plus(tmp_path, "train", [Row(7, 1)])
    meta = {"valence": "0.25", "arousal": "-0.5"}
    entry = entry_plus(Row(7, 1), **{"human-label": "4", "subset": "2", "meta-data": meta})
    (annotations / "7.json").write_text(json.dumps(entry))
    table = read(tmp_path)
    assert (table.category.tolist(), table.affect.tolist()) == ([4], [[0.25, -0.5]])
    assert table.groups["subset"].tolist() == ["difficult"]


def test_stray_files_are_not_read(tmp_path):
    annotations = write_plus(tmp_path, "train", ROWS)
    for name in ("._0.json", "readme.txt", "x.json", "1.json.bak"):
        (annotations / name).write_bytes(b"garbage")
    assert len(read(tmp_path)) == 4


def test_the_release_of_2021_has_a_folder_of_the_same_name(tmp_path):
    write_plus(tmp_path / "plus", "train", [Row(0, 1)], "")
    write_2021(tmp_path / "old", "train_set", [Row(0, 2)])
    assert read(tmp_path / "plus").category.tolist() == [1]
    assert read(tmp_path / "old").category.tolist() == [2]


META = {"valence": 0.5, "arousal": 0.5}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"human-label": 11}, "exp is 11.0"),
        ({"human-label": -1}, "exp is -1.0"),
        ({"human-label": 2.5}, "exp is 2.5"),
        ({"human-label": "happy"}, "happy"),
        ({"human-label": None}, "TypeError"),
        ({"meta-data": META | {"valence": 1.5}}, "val is 1.5"),
        ({"meta-data": META | {"arousal": float("nan")}}, "aro is nan"),
        ({"meta-data": {"valence": 0.5}}, "KeyError: 'arousal'"),
        ({"meta-data": None}, "TypeError"),
        ({"soft-label": [0.1] * 7}, "expected 8 numbers"),
        ({"soft-label": [0.1] * 7 + [float("nan")]}, "expected 8 numbers"),
        ({"soft-label": 1}, "TypeError"),
        ({"subset": 3}, "subset is 3, expected 0 easy, 1 challenging, 2 difficult"),
        ({"subset": None}, "TypeError"),
    ],
)
def test_a_bad_value_is_an_error_that_names_the_file(tmp_path, changes, message):
    annotations = write_plus(tmp_path, "train", ROWS)
    (annotations / "4.json").write_text(json.dumps(entry_plus(Row(4, 0), **changes)))
    with pytest.raises(DataError, match=message) as error:
        read(tmp_path)
    assert str(annotations / "4.json") in str(error.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b"\xff\xfe", b"{}"])
def test_a_broken_file_is_an_error_that_names_it(tmp_path, content):
    annotations = write_plus(tmp_path, "train", ROWS)
    (annotations / "4.json").write_bytes(content)
    with pytest.raises(DataError, match="expected human-label") as error:
        read(tmp_path)
    assert str(annotations / "4.json") in str(error.value)


def test_a_folder_without_numbered_files_is_an_error(tmp_path):
    annotations = write_plus(tmp_path, "train", [])
    (annotations / "labels.json").write_text("{}")
    with pytest.raises(DataError, match="holds no annotations"):
        read(tmp_path)
