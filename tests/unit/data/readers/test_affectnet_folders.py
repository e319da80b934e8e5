"""Image folders: categories by name, never by position, and no valence or arousal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cage_lightning.data.face_dataset import FaceDataset
from cage_lightning.data.formats import PICTURE_SUFFIXES
from cage_lightning.data.readers.affectnet import class_folders, read_affectnet
from cage_lightning.errors import DataError
from cage_lightning.labels import AFFECTNET_7, AFFECTNET_8, Prediction
from cage_lightning.losses import CombinedLoss
from tests.affectnet_layouts import SUFFIXES, Row, picture, write_folders
from tests.present import present

# Written out, not computed: the canonical order.
NAMES = ("Neutral", "Happiness", "Sadness", "Surprise", "Fear", "Disgust", "Anger", "Contempt")
SHORT = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt")
DIGITS = tuple("01234567")
ROWS = [Row(n, n % 8) for n in range(16)]


def read(root, split="train", space=AFFECTNET_8, **options):
    return read_affectnet(root, split, space, **options)


@pytest.mark.parametrize(
    "names", [NAMES, SHORT, DIGITS, tuple(f"{k}_{name}" for k, name in enumerate(SHORT))]
)
def test_each_folder_is_its_category(tmp_path, names):
    write_folders(tmp_path, "train", ROWS, names)
    table = read(tmp_path)
    assert len(table) == len(ROWS)
    for row, category in zip(ROWS, [*range(8), *range(8)], strict=True):
        at = table.id.tolist().index(f"train/{names[row.exp]}/{row.number}")
        assert table.category[at] == category
        suffix = SUFFIXES[row.number % len(SUFFIXES)]
        assert table.path[at] == f"train/{names[row.exp]}/{row.number}{suffix}"
    assert table.path.tolist() == sorted(table.path.tolist())
    assert (table.affect.shape, table.affect.dtype) == ((16, 2), np.float32)
    assert np.isnan(table.affect).all()
    assert (table.left_out, table.box) == ({}, None)
    assert table.class_counts().tolist() == [2] * 8


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(sorted(class_folders.CODE_OF_NAME.items())),
    st.sampled_from(["", "3_", "07-", "1. ", "12 "]),
    st.sampled_from([str.lower, str.upper, str.title]),
)
def test_names_count_in_any_case_and_after_any_number(known, prefix, case):
    name, code = known
    # The alphabetical position of this folder, and its number, are both 0, 1 or arbitrary.
    assert class_folders._codes(Path(), [prefix + case(name), "Anger"]) == [code, 6]


def test_every_category_has_its_name():
    for k, name in enumerate(NAMES):
        assert class_folders.CODE_OF_NAME[name.lower()] == k
    assert [class_folders.CODE_OF_NAME[name] for name in SHORT] == list(range(8))


def test_categories_do_not_shift_when_one_is_absent(tmp_path):
    names = {6: "Anger", 1: "Happy", 0: "Neutral"}  # alphabetical order would be 0, 1, 2
    write_folders(tmp_path, "train", [Row(0, 6), Row(1, 1), Row(2, 0)], names)
    table = read(tmp_path)
    assert table.id.tolist() == ["train/Anger/0", "train/Happy/1", "train/Neutral/2"]
    assert table.category.tolist() == [6, 1, 0]


def test_contempt_is_left_out_and_counted(tmp_path):
    write_folders(tmp_path, "train", ROWS, NAMES)
    table = read(tmp_path, space=AFFECTNET_7)
    assert (len(table), table.left_out) == (14, {"contempt": 2})


@pytest.mark.parametrize("name", ["test", "val", "valid", "validation", "Test", "VAL"])
def test_the_test_split_may_be_called_differently(tmp_path, name):
    write_folders(tmp_path, name, [Row(3, 5)], NAMES)
    assert read(tmp_path, "test").id.tolist() == [f"{name}/Disgust/3"]
    with pytest.raises(DataError, match="No AffectNet annotations for the train split"):
        read(tmp_path)


def test_a_test_folder_comes_before_a_validation_folder(tmp_path):
    for number, name in enumerate(("train", "val", "test")):
        write_folders(tmp_path, name, [Row(number)], NAMES)
    assert read(tmp_path, "test").id.tolist() == ["test/Neutral/2"]


@pytest.mark.parametrize("name", ["images", "Bored", "anger and fear", "8", "labels", "angry2"])
def test_an_unknown_folder_is_refused_by_name(tmp_path, name):
    write_folders(tmp_path, "train", ROWS, NAMES)
    (tmp_path / "train" / name).mkdir()
    with pytest.raises(DataError) as error:
        read(tmp_path)
    message = str(error.value)
    assert str(tmp_path / "train" / name) in message
    for known in ("'" + name + "'", "neutral", "happy", "sadness", "contempt", "Rename"):
        assert known in message
    assert f"data.leave_out=[{name}]" in message


@pytest.mark.parametrize(
    "digits",
    ["1234567", "123456", ("0", "11"), ("00", "01"), ("10", "8"), ("٠", "٢")],
    ids=str,
)
def test_numbers_that_are_not_the_codes_are_refused(tmp_path, digits):
    for name in digits:
        (tmp_path / "train" / name).mkdir(parents=True)
    with pytest.raises(DataError, match=r"not the codes of AffectNet, .* 0 for Neutral") as error:
        read(tmp_path)
    of_rafdb = set(digits) <= set("1234567")
    assert ("data=rafdb" in str(error.value)) == of_rafdb
    # Renamed one after the other, RAF-DB's 1, surprise, would become neutral.
    assert ("Rename them" in str(error.value)) != of_rafdb


def test_numbers_are_told_what_they_are_taken_for(tmp_path, caplog):
    write_folders(tmp_path, "train", [Row(0, 6), Row(1, 0)], {0: "0", 6: "6"})
    read(tmp_path)
    (record,) = [r for r in caplog.records if r.levelname == "WARNING"]
    for part in ("0 Neutral, 6 Anger.", "0 is anger in FER2013 (data=fer2013)", "data=rafdb"):
        assert part in record.message
    caplog.clear()
    write_folders(tmp_path / "names", "train", [Row(0, 6), Row(1, 0)], {0: "Neutral", 6: "Anger"})
    read(tmp_path / "names")
    assert not [r for r in caplog.records if r.levelname == "WARNING"]


def test_the_last_codes_are_left_out_and_counted(tmp_path):
    names = [str(k) for k in range(11)]
    write_folders(tmp_path, "train", [Row(n, n % 11) for n in range(14)], names)
    table = read(tmp_path)
    assert table.category.tolist() == [0, 0, 1, 1, 2, 2, 3, 4, 5, 6, 7]
    assert table.left_out == {"none": 1, "uncertain": 1, "no face": 1}


@pytest.mark.parametrize("name", ["validation", "val", "Valid"])
def test_a_validation_folder_beside_the_test_folder_is_told_of(tmp_path, caplog, name):
    for folder in ("train", "test", name):
        write_folders(tmp_path, folder, [Row(0, 1)], NAMES)
    read(tmp_path, "train")
    assert not [r for r in caplog.records if r.levelname == "WARNING"]
    read(tmp_path, "test")
    (record,) = [r for r in caplog.records if r.levelname == "WARNING"]
    assert record.message.startswith(f"{tmp_path / name} is not read")
    assert "data=folders" in record.message


@pytest.mark.parametrize(
    "splits", [("",), ("Training", "Testing"), ("Training", "PublicTest"), ("train",)]
)
def test_folders_of_other_splits_or_none_are_pointed_to_what_reads_them(tmp_path, splits):
    for split in splits:
        write_folders(tmp_path, split, ROWS, SHORT)
    for release in ("auto", "folders"):
        with pytest.raises(DataError, match="data=folders") as error:
            read(tmp_path, "test", release=release)
        message = str(error.value)
        assert "\n" not in message
        assert str(tmp_path) in message
        assert all(split in message for split in splits)
    with pytest.raises(DataError, match="none of these layouts"):
        read(tmp_path, "test", release="csv")


@pytest.mark.parametrize("place", ["train/{}", "{}/train", "{}"])
def test_an_export_for_yolo_is_pointed_to_the_table(tmp_path, place):
    for name in ("images", "labels"):
        (tmp_path / place.format(name)).mkdir(parents=True)
    with pytest.raises(DataError, match=r"data\.yaml.*data=table") as error:
        read(tmp_path)
    assert "\n" not in str(error.value)


def test_codes_may_be_some_of_them(tmp_path):
    write_folders(tmp_path, "train", [Row(0, 6), Row(1, 0)], {0: "0", 6: "6"})
    assert read(tmp_path).category.tolist() == [0, 6]


def test_only_pictures_are_read(tmp_path):
    write_folders(tmp_path, "train", ROWS, NAMES)
    (tmp_path / "train" / ".cache").mkdir()
    (tmp_path / "train" / "labels.csv").touch()
    for name in ("Thumbs.db", "._1.jpg", ".hidden.png", "notes.txt", "jpg"):
        (tmp_path / "train" / "Fear" / name).touch()
    for name in ("a.WebP", "b.Tif", "c.JPEG"):
        (tmp_path / "train" / "Fear" / name).write_bytes(picture(f".{name.split('.')[1]}"))
    table = read(tmp_path)
    assert len(table) == len(ROWS) + 3
    assert table.left_out == {"no picture (.txt)": 1, "no picture": 1}


def test_pictures_of_every_format_are_read(tmp_path):
    (tmp_path / "train" / "Fear").mkdir(parents=True)
    (tmp_path / "train" / "Fear" / "0.txt").touch()
    for number, suffix in enumerate(PICTURE_SUFFIXES):
        if suffix != ".pfm":  # its pixels are numbers without a range, which is a fault later
            place = tmp_path / "train" / "Fear" / f"{number}{suffix.upper()}"
            place.write_bytes(picture(suffix))
    table = read(tmp_path)
    assert len(table) == len(PICTURE_SUFFIXES) - 1
    assert table.left_out == {"no picture (.txt)": 1}
    for row in range(len(table)):
        assert FaceDataset(table, 8)[row].image.shape == (3, 8, 8)


def test_pictures_outside_the_categories_and_folders_without_any_are_counted(tmp_path):
    write_folders(tmp_path, "train", ROWS, NAMES)
    (tmp_path / "train" / "stray.gif").write_bytes(picture(".gif"))
    fear = tmp_path / "train" / "Fear"
    for path in fear.iterdir():
        path.rename(path.with_suffix(".heic"))
    table = read(tmp_path)
    assert len(table) == len(ROWS) - 2
    assert table.left_out == {
        "no picture (.heic: convert it to JPEG)": 2,
        "picture without label": 1,
    }


def test_a_folder_in_a_category_is_an_error(tmp_path):
    write_folders(tmp_path, "train", ROWS, NAMES)
    inner = tmp_path / "train" / "Fear" / "more"
    inner.mkdir()
    with pytest.raises(DataError, match=str(inner)):
        read(tmp_path)


def test_two_pictures_of_one_name_are_two_samples(tmp_path):
    write_folders(tmp_path, "train", [Row(0), Row(8)], NAMES)
    (tmp_path / "train" / "Neutral" / "0.webp").write_bytes(picture(".webp"))
    table = read(tmp_path)
    neutral = "train/Neutral/"
    assert table.id.tolist() == [f"{neutral}0.jpg", f"{neutral}0.webp", f"{neutral}8"]


def test_folders_without_pictures_are_an_error(tmp_path):
    write_folders(tmp_path, "train", [], NAMES)
    with pytest.raises(DataError, match="holds no pictures"):
        read(tmp_path)


def test_the_combined_loss_leaves_out_what_is_not_annotated(tmp_path):
    write_folders(tmp_path, "train", ROWS, NAMES)
    faces = FaceDataset(read(tmp_path), 8)
    samples = [faces[row] for row in range(len(faces))]
    again = faces[2 * len(faces) + 3]
    assert again.index == 2 * len(faces) + 3, "the second repetition is augmented differently"
    assert (again.image == samples[3].image).all()
    assert again.category == samples[3].category
    batch = torch.utils.data.default_collate(samples)
    logits, affect = torch.randn(16, 8), torch.randn(16, 2, requires_grad=True)
    parts = CombinedLoss()(Prediction(logits, affect), batch)
    parts["loss"].backward()
    assert parts["mse"] == 0
    assert parts["loss"] == parts["cross_entropy"]
    assert parts["loss"].isfinite()
    assert present(affect.grad).abs().max() == 0
