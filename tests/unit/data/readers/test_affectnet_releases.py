"""One table in every release of AffectNet: found, read alike, and never outside its root."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cage_lightning.data.readers.affectnet import RELEASES, read_affectnet
from cage_lightning.errors import DataError
from cage_lightning.labels import AFFECTNET_7, AFFECTNET_8
from tests.affectnet_layouts import (
    Row,
    write_2017,
    write_2021,
    write_csv,
    write_folders,
    write_plus,
)

SET = {"train": "train_set", "test": "val_set"}
FOLDER = {"train": "Train", "test": "val"}
ENGLISH = ("Neutral", "happy", "Sad", "SURPRISE", "fear", "Disgust", "anger", "contempt")
# Name of the layout -> (release, what writes a split of it).
LAYOUTS: dict[str, tuple[str, Callable[..., Any]]] = {
    "affectnet2021": ("affectnet2021", lambda root, s, rows: write_2021(root, SET[s], rows)),
    "csv": ("csv", lambda root, s, rows: write_csv(root, SET[s], rows)),
    "2017 with header": ("affectnet2017", write_2017),
    "2017 validation without header": (
        "affectnet2017",
        lambda root, s, rows: write_2017(root, s, rows, header=s == "train", lists="", images=""),
    ),
    "affectnet_plus": ("affectnet_plus", write_plus),
    "folders": (
        "folders",
        lambda root, s, rows: write_folders(root, FOLDER[s], rows, ENGLISH),
    ),
}
EACH_LAYOUT = pytest.mark.parametrize("layout", LAYOUTS)
ROWS = [Row(0, 1, 0.75, 0.0625), Row(1, 7, -0.5, 0.625), Row(4, 0), Row(11, 6, -0.4, 0.57)]


def write(layout, root, split, rows):
    root.mkdir(parents=True, exist_ok=True)
    LAYOUTS[layout][1](root, split, rows)


affect_values = st.one_of(
    st.floats(-1, 1),
    st.sampled_from([-1.0, 1.0, 0.0, -0.0, -2.0, 1e-9]),
    st.integers(-126, 126).map(lambda n: n / 126),
)
usable = st.builds(Row, st.just(0), st.integers(0, 7), st.floats(-1, 1), st.floats(-1, 1))
tables = st.tuples(
    usable,  # so that no split is empty
    st.lists(
        st.builds(Row, st.integers(1, 14), st.integers(0, 10), affect_values, affect_values),
        max_size=7,
        unique_by=lambda row: row.number,
    ),
).map(lambda parts: [parts[0], *parts[1]])


@settings(max_examples=12, deadline=None)
@given(train=tables, test=tables, space=st.sampled_from([AFFECTNET_7, AFFECTNET_8]))
def test_a_table_reads_alike_from_every_release(train, test, space):
    k = len(space.categories)
    with tempfile.TemporaryDirectory() as folder:
        for split, rows in (("train", train), ("test", test)):
            kept = sorted(r for r in rows if r.exp < k and -2 not in (r.val, r.aro))
            for layout in LAYOUTS.keys() - {"folders"}:
                root = Path(folder, layout)
                write(layout, root, split, rows)
                if not kept:
                    continue
                table = read_affectnet(root, split, space)
                assert table.id.tolist() == [str(r.number) for r in kept], layout
                assert table.category.tolist() == [r.exp for r in kept], layout
                np.testing.assert_array_equal(
                    table.affect, np.array([(r.val, r.aro) for r in kept], np.float32), layout
                )
                assert all((root / path).is_file() for path in table.path)
            faces = [row for row in rows if row.exp < 8]  # a folder has no codes 8 to 10
            write("folders", Path(folder, "folders"), split, faces)
            if kept:
                table = read_affectnet(Path(folder, "folders"), split, space)
                exp = {str(row.number): row.exp for row in faces if row.exp < k}
                codes = zip(table.id.tolist(), table.category.tolist(), strict=True)
                assert {id_.rpartition("/")[2]: code for id_, code in codes} == exp


@EACH_LAYOUT
def test_a_release_is_found_and_named(tmp_path, layout, caplog):
    release, _ = LAYOUTS[layout]
    caplog.set_level(logging.INFO)
    for split in ("train", "test"):
        write(layout, tmp_path, split, ROWS)
        found = read_affectnet(tmp_path, split, AFFECTNET_8)
        assert caplog.messages[-1].startswith(f"AffectNet {split}: reading release {release} at ")
        assert str(tmp_path) in caplog.messages[-1]
        assert "is there too" not in caplog.messages[-1]
        named = read_affectnet(tmp_path, split, AFFECTNET_8, release)
        assert named.fingerprint() == found.fingerprint()
    for other in RELEASES.keys() - {release}:
        with pytest.raises(DataError, match=f"none of these layouts:\n  {other}:\n"):
            read_affectnet(tmp_path, "train", AFFECTNET_8, other)


@EACH_LAYOUT
def test_the_root_may_be_a_link_and_so_may_its_folders(tmp_path, layout):
    write(layout, tmp_path / "disk", "train", ROWS)
    (tmp_path / "root").symlink_to("disk")
    table = read_affectnet(tmp_path / "root", "train", AFFECTNET_8)
    assert len(table) == len(ROWS)

    if layout == "folders":  # see below: what is in them is named by nothing else
        return
    for folder in {(tmp_path / "disk" / path).parent for path in table.path.tolist()}:
        moved = tmp_path / "elsewhere" / folder.relative_to(tmp_path)
        moved.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(moved)
        folder.symlink_to(moved)
    first = tmp_path / "disk" / str(table.path[0])
    first.rename(first.with_name("target.bin"))
    first.symlink_to("target.bin")  # a link to a neighbour, in a folder that is a link
    linked = read_affectnet(tmp_path / "disk", "train", AFFECTNET_8)
    assert linked.fingerprint() == table.fingerprint()


@EACH_LAYOUT
@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_a_picture_that_links_outside_the_root_is_refused(tmp_path, layout, on_error):
    root = tmp_path / "root"
    write(layout, root, "train", ROWS)
    table = read_affectnet(root, "train", AFFECTNET_8)
    path = root / str(table.path[1])
    secret = path.replace(tmp_path / f"secret{path.suffix}")
    path.symlink_to(secret)
    with pytest.raises(DataError) as error:
        read_affectnet(root, "train", AFFECTNET_8, on_error=on_error)
    message = str(error.value)
    for part in (str(table.path[1]), f"link to {secret}", f"outside {root}"):
        assert part in message
    place = {
        "affectnet2021": "train_set/annotations/1_exp.npy",
        "csv": "train_set_annotation_without_lnd.csv, number 1:",
        "2017 with header": "training.csv, line 3:",
        "2017 validation without header": "training.csv, line 3:",
        "affectnet_plus": "train_set/annotations/1.json",
        "folders": str(path),
    }[layout]
    assert place in message

    path.unlink()
    path.symlink_to(root / str(table.path[0]))
    assert len(read_affectnet(root, "train", AFFECTNET_8)) == len(ROWS)
    path.unlink()
    path.symlink_to(path.name)  # to itself: nothing outside is opened
    assert len(read_affectnet(root, "train", AFFECTNET_8)) == len(ROWS)


def test_both_splits_come_from_one_release_if_they_can(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    write_2021(tmp_path, "train_set", [Row(0, 1)])
    for split in ("train", "test"):
        write_csv(tmp_path, SET[split], [Row(0, 2)])
        write_folders(tmp_path, FOLDER[split], [Row(0, 3)], ENGLISH)
    for split in ("train", "test"):
        assert read_affectnet(tmp_path, split, AFFECTNET_8).category.tolist() == [2]
        assert "reading release csv" in caplog.messages[-1]
        assert "release=folders is there too" in caplog.messages[-1]

    write_2021(tmp_path, "val_set", [Row(0, 4)])
    assert read_affectnet(tmp_path, "train", AFFECTNET_8).category.tolist() == [1]
    assert read_affectnet(tmp_path, "test", AFFECTNET_8).category.tolist() == [4]


def test_every_layout_is_shown_when_none_is_there(tmp_path):
    with pytest.raises(DataError) as error:
        read_affectnet(tmp_path, "test", AFFECTNET_8)
    for part in (*RELEASES, "training.csv|validation.csv", "validation_set", "{N}.json", "Sadness"):
        assert part in str(error.value)


@pytest.mark.parametrize("layout", ["affectnet2021", "affectnet_plus"])
def test_numbers_with_zeros_in_front_are_the_same_numbers(tmp_path, layout):
    for folder in ("plain", "padded"):
        write(layout, tmp_path / folder, "train", ROWS)
    for path in sorted((tmp_path / "padded").rglob("*.*")):
        stem, tail = re.split(r"(?=[_.])", path.name, maxsplit=1)
        path.rename(path.with_name(f"{int(stem):06d}{tail}"))
    plain, padded = (
        read_affectnet(tmp_path / f, "train", AFFECTNET_8) for f in ("plain", "padded")
    )
    assert padded.id.tolist() == plain.id.tolist() == ["0", "1", "4", "11"]
    assert [Path(path).name for path in padded.path][3] == "000011.jpg"
    np.testing.assert_array_equal(padded.category, plain.category)
    np.testing.assert_array_equal(padded.affect, plain.affect)
    write(layout, tmp_path / "padded", "train", ROWS)
    with pytest.raises(DataError, match="the id occurs twice"):
        read_affectnet(tmp_path / "padded", "train", AFFECTNET_8)


def test_unlabelled_pictures_of_any_format_are_counted(tmp_path):
    write_2021(tmp_path, "train_set", ROWS)
    for name in ("a.JPG", "b.png", "c.TIFF", "0.jpeg", "d.gif", "notes.txt", ".hidden.jpg"):
        (tmp_path / "train_set" / "images" / name).touch()
    left_out = {"no picture (.txt)": 1, "picture without label": 5}
    assert read_affectnet(tmp_path, "train", AFFECTNET_8).left_out == left_out
