from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cage_lightning.data import annotations as of_annotations
from cage_lightning.data import picture_paths
from cage_lightning.data.annotations import Annotations
from cage_lightning.data.picture_paths import PicturePaths
from cage_lightning.errors import DataError
from cage_lightning.labels import AFFECTNET_7, AFFECTNET_8, EMOTIC


def faces(**columns) -> Annotations:
    values = {
        "space": AFFECTNET_8,
        "root": Path("/somewhere"),
        "id": np.array(["3", "12", "100"]),
        "path": np.array(["a/3.jpg", "a/12.jpg", "b/100.jpg"]),
        "category": np.array([1, 7, 1]),
        "affect": np.array([[0.5, -0.25], [np.nan, 1.0], [0.0, -1.0]], dtype=np.float32),
    }
    return Annotations(**{**values, **columns})


def scenes(category) -> Annotations:
    n = len(category)
    return Annotations(
        space=EMOTIC,
        root=Path("/somewhere"),
        id=np.arange(n).astype(str),
        path=np.array([f"{i}.jpg" for i in range(n)]),
        category=np.asarray(category, dtype=np.float32),
        affect=np.zeros((n, 3), dtype=np.float32),
    )


def test_length_and_class_counts_include_absent_classes():
    assert len(faces()) == 3
    counts = faces().class_counts()
    assert counts.tolist() == [0, 2, 0, 0, 0, 0, 0, 1]
    assert counts.dtype == np.int64
    assert faces().select(np.array([0])).class_counts().tolist() == [0, 1, 0, 0, 0, 0, 0, 0]


def test_class_counts_of_multi_hot_count_every_label():
    labels = np.zeros((3, 26))
    labels[0, [2, 25]] = labels[1, 2] = 1
    counts = scenes(labels).class_counts()
    assert (counts[2], counts[25], counts.sum()) == (2, 1, 3)
    assert counts.dtype == np.int64


@pytest.mark.parametrize("rows", [np.array([2, 0]), np.array([False, True, False]), np.arange(0)])
def test_select_takes_rows_of_every_column_in_the_given_order(rows):
    table = faces(left_out={"contempt": 4})
    part = table.select(rows)
    assert part.id.tolist() == table.id[rows].tolist()
    assert part.path.tolist() == table.path[rows].tolist()
    assert part.category.tolist() == table.category[rows].tolist()
    np.testing.assert_array_equal(part.affect, table.affect[rows])
    assert (part.root, part.space, part.left_out) == (table.root, AFFECTNET_8, {"contempt": 4})


def test_select_refuses_a_repeated_row():
    with pytest.raises(DataError, match=r"'12'.*the id occurs twice"):
        faces().select(np.array([1, 0, 1]))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("id", np.array(["3", "12", "3"]), "row 2.*'3'.*the id occurs twice"),
        ("id", np.array([3, 12, 100]), "'id' is int64"),
        ("path", np.array(["a.jpg", "b.jpg"]), "'path'"),
        ("path", np.array(["a.jpg", "/b.jpg", "c.jpg"]), "row 1.*/b.jpg.*relative"),
        ("path", np.array(["a.jpg", "b.jpg", ""]), "row 2.*relative"),
        ("path", np.array(["a\\b.jpg", "b.jpg", "c.jpg"]), "row 0.*relative"),
        ("path", np.array(["a.jpg", "../b.jpg", "c.jpg"]), r"row 1.*\.\./b.jpg.*relative"),
        ("path", np.array(["a.jpg", "b.jpg", "a/../../c.jpg"]), "row 2.*relative"),
        ("path", np.array(["a.jpg", "b/..", "c.jpg"]), "row 1.*relative"),
        ("path", np.array(["a.jpg", "b//c.jpg", "c.jpg"]), "row 1.*relative"),
        ("path", np.array(["a.jpg", "b\0.jpg", "c.jpg"]), "row 1.*relative"),
        ("path", np.array(["a.jpg", "b\udcff.jpg", "c.jpg"]), "row 1.*relative"),
        ("box", np.array([[0, 0, 1, 1], [0, 0, 9, 0], [1, 1, 2, 2]], np.float32), "row 1.*box"),
        ("box", np.array([[0, 0, np.inf, 1]] * 3, np.float32), "row 0.*box"),
        ("category", np.array([1, 7]), "'category'"),
        ("category", np.array([1, 7, 1], dtype=np.int32), "'category' is int32"),
        ("category", np.array([1, 8, -2]), r"row 1 .*'12'.*category is outside.*\(2 such rows"),
        ("category", np.array([1, 7, -2]), "row 2.*category"),
        ("category", np.zeros((3, 8), np.float32), "'category'"),
        ("affect", np.zeros((3, 2)), "'affect' is float64"),
        ("affect", np.zeros((3, 3), np.float32), "'affect'"),
        ("affect", np.array([[0, 0], [0, 1.01], [0, 0]], np.float32), "row 1.*'12'.*arousal"),
        ("affect", np.array([[0, 0], [0, 1], [-2, 0]], np.float32), "row 2.*outside"),
        ("affect", np.array([[np.inf, 0], [0, 1], [0, 0]], np.float32), "row 0.*outside"),
    ],
)
def test_a_bad_column_is_refused_with_its_first_row(column, value, message):
    with pytest.raises(DataError, match=message) as error:
        faces(**{column: value})
    assert "/somewhere" in str(error.value)


def test_a_category_outside_a_smaller_space_is_refused():
    with pytest.raises(DataError, match=r"row 1.*affectnet7"):
        faces(space=AFFECTNET_7)


def test_multi_hot_holds_only_zeros_and_ones():
    labels = np.zeros((2, 26))
    labels[1, 4] = 0.5
    with pytest.raises(DataError, match=r"row 1.*category"):
        scenes(labels)


def test_an_empty_table_is_a_table():
    assert faces().select(np.arange(0)).class_counts().sum() == 0


def test_the_fingerprint_is_that_of_the_table_alone():
    table = faces()
    other_nan = table.affect.copy()
    other_nan[1, 0] = np.array(0xFFC00001, dtype=np.uint32).view(np.float32)
    other_nan[2, 0] = -0.0
    same = replace(
        table,
        root=Path("/elsewhere"),
        id=table.id.astype("<U40"),
        path=np.array(table.path.tolist(), "<U99"),
        category=table.category.astype(np.int64, order="F").copy(),
        affect=np.asfortranarray(other_nan),
        left_out={"contempt": 1},
    )
    assert same.fingerprint() == table.fingerprint()
    # What runs have recorded must stay comparable.
    assert table.fingerprint() == (
        "389cc20ae2dea973c1f671039f5b77bbcdfb087ddb02a30eaa0fa25373174e05"
    )


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_the_fingerprint_does_not_depend_on_how_many_texts_are_looked_at_at_once(
    monkeypatch, at_once
):
    expected = faces().fingerprint()
    monkeypatch.setattr(of_annotations, "TEXTS", at_once)
    assert faces().fingerprint() == expected


@pytest.mark.parametrize("at_once", [2, 100])
def test_paths_are_read_as_they_were_given(monkeypatch, at_once):
    monkeypatch.setattr(picture_paths, "TEXTS", at_once)
    given = ["a/b/1.jpg", "2.jpg", "a/b/a very long name, ü.jpg", "a/1.jpg", "a/b/1.jpg"]
    paths = PicturePaths.of(np.array(given))
    assert [*paths] == paths.tolist() == given
    assert [paths[row] for row in range(-5, 5)] == given * 2
    rows = np.array([4, 0, 2])
    assert paths[rows].tolist() == [given[row] for row in rows]
    assert paths[np.array([True, False] * 2 + [True])].tolist() == given[::2]
    assert paths[1:3].tolist() == given[1:3]
    assert PicturePaths.of(paths) is paths
    assert sorted(paths.folders) == ["", "a/", "a/b/"]


def test_ids_with_the_same_hash_are_told_apart(monkeypatch):
    monkeypatch.setattr(of_annotations, "hash", lambda text: 0, raising=False)
    assert len(faces()) == 3
    with pytest.raises(DataError, match=r"row 2.*the id occurs twice"):
        faces(id=np.array(["3", "12", "3"]))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("id", np.array(["3", "12", "101"])),
        ("path", np.array(["a/3.jpg", "a/12.jpg", "b/101.jpg"])),
        ("category", np.array([1, 6, 1])),
        ("affect", np.array([[0.5, -0.25], [0.0, 1.0], [0.0, -1.0]], np.float32)),
        ("affect", np.array([[-0.25, 0.5], [1.0, np.nan], [-1.0, 0.0]], np.float32)),
    ],
)
def test_every_column_is_in_the_fingerprint(column, value):
    assert faces(**{column: value}).fingerprint() != faces().fingerprint()


def test_space_and_row_order_are_in_the_fingerprint():
    table = faces(category=np.array([1, 6, 1]))
    assert replace(table, space=AFFECTNET_7).fingerprint() != table.fingerprint()
    assert table.select(np.array([1, 0, 2])).fingerprint() != table.fingerprint()


def test_groups_are_the_columns_of_text_and_soft_labels_are_checked():
    shares = np.zeros((3, 8), np.float32)
    shares[0, :2], shares[1, 7] = 0.5, 1
    table = faces(extra={"video": np.array(["a", "a", ""]), "soft": shares, "n": np.arange(3)})
    assert {name: column.tolist() for name, column in table.groups.items()} == {
        "video": ["a", "a", ""]
    }
    assert table.soft is shares
    assert faces().soft is None
    with pytest.raises(DataError, match=r"row 1 .*the shares of the categories do not sum to 1"):
        faces(extra={"soft": shares * np.array([[1], [2], [1]], np.float32)})
    with pytest.raises(DataError, match=r"column 'soft' is float32 .* expected"):
        faces(extra={"soft": shares[:, :7]})


def test_a_category_that_is_not_annotated_counts_for_none():
    table = faces(category=np.array([1, -1, 1]))
    assert table.class_counts().tolist() == [0, 2, 0, 0, 0, 0, 0, 0]
    assert table.statistics().counts == table.class_counts().tolist()
