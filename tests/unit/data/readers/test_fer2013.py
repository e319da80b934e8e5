"""FER2013: the list of pixels and the folders made of it give the same table."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from cage_lightning.app import build, nodes
from cage_lightning.commands.prepare import prepare as run_prepare
from cage_lightning.data.readers import fer2013_pixels
from cage_lightning.data.readers.fer2013 import FER2013, read_fer2013, splits_of
from cage_lightning.errors import ConfigError, DataError, OutputError
from tests.conftest import Command, composed

# Written out, not computed: what the codes 0 to 6 mean.
NAMES = ("Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise", "Neutral")
KAGGLE = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
USAGES = ("Training", "PublicTest", "PrivateTest")
USAGE = {"train": "Training", "val": "PublicTest", "test": "PrivateTest"}

Row = tuple[int, str]
"""A code and a usage; the number of the row is its place."""

ROWS: list[Row] = [(n % 7, USAGES[n // 14]) for n in range(42)]


def pixels(number: int) -> npt.NDArray[np.uint8]:
    """The picture of a row: a ramp of its own."""
    return ((np.add.outer(np.arange(48), np.arange(48)) + 5 * number) % 256).astype(np.uint8)


def write_list(
    root: Path,
    rows: Sequence[Row] = ROWS,
    name: str = "fer2013.csv",
    header: Sequence[str] = ("emotion", "pixels", "Usage"),
) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    with (root / name).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for number, (code, usage) in enumerate(rows):
            picture = " ".join(map(str, pixels(number).ravel().tolist()))
            values = {"emotion": str(code), "pixels": picture, "Usage": usage}
            writer.writerow(values[column.strip()] for column in header)
    return root / name


def write_folders(
    root: Path,
    rows: Sequence[Row] = ROWS,
    splits: Sequence[str] = USAGES,
    categories: Sequence[str] = KAGGLE,
    name: str = "fer{:07d}.png",
) -> None:
    """`splits` names the folders of the three usages, which need not differ."""
    for number, (code, usage) in enumerate(rows):
        folder = root / splits[USAGES.index(usage)] / categories[code]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels(number)).save(folder / name.format(number, usage=usage))


def decoded(table: object, row: int) -> npt.NDArray[np.uint8]:
    stored = table.picture(row)  # type: ignore[attr-defined]
    return np.asarray(Image.open(io.BytesIO(stored) if isinstance(stored, bytes) else stored))


FORMS: dict[str, Callable[[Path], object]] = {
    "fer2013.csv": write_list,
    "icml_face_data.csv": lambda root: write_list(
        root, name="icml_face_data.csv", header=("emotion", " Usage", " pixels")
    ),
    "fer2013/fer2013.csv": lambda root: write_list(root / "fer2013"),
    "folders of the usages": write_folders,
    "train, val and test": lambda root: write_folders(root, splits=("train", "Val", "TEST")),
    "numbers": lambda root: write_folders(root, categories=tuple("0123456")),
    "numbers and names": lambda root: write_folders(
        root, splits=("Training", "validation", "testing"), categories=[f"9_{n}" for n in NAMES]
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_gives_the_same_table(tmp_path, form):
    FORMS[form](tmp_path)
    assert splits_of(tmp_path) == ("train", "val", "test")
    for split, usage in USAGE.items():
        table = read_fer2013(tmp_path, split)
        assert table.origin == (form if "csv" in form else table.path[0].partition("/")[0])
        numbers = [n for n, (_, of) in enumerate(ROWS) if of == usage]
        assert table.id.tolist() == [f"fer{n:07d}" for n in numbers]
        names = [FER2013.categories[k] for k in table.category]
        assert names == [NAMES[ROWS[n][0]] for n in numbers]
        assert (table.affect.shape, table.left_out, table.box) == ((14, 0), {}, None)
        for row, number in enumerate(numbers):
            np.testing.assert_array_equal(decoded(table, row), pixels(number))


def test_the_label_space():
    assert FER2013.name == "fer2013"
    assert FER2013.categories == (
        *("Neutral", "Happiness", "Sadness", "Surprise", "Fear", "Disgust", "Anger"),
    )
    assert FER2013.dimensions == ()


def test_a_test_folder_of_both_splits_is_told_apart_by_its_names(tmp_path):
    write_folders(tmp_path, splits=("train", "test", "test"), name="{usage}_{0}.jpg")
    assert splits_of(tmp_path) == ("train", "val", "test")
    for split, usage in USAGE.items():
        table = read_fer2013(tmp_path, split)
        wanted = [f"{usage}_{n}" for n, (_, of) in enumerate(ROWS) if of == usage]
        assert table.id.tolist() == sorted(wanted)
        assert table.left_out == {}
    (tmp_path / "test/angry/7.jpg").write_bytes((tmp_path / table.path[0]).read_bytes())
    assert splits_of(tmp_path) == ("train", "test")
    assert len(read_fer2013(tmp_path, "test")) == 29


@pytest.mark.parametrize("write", [write_list, write_folders])
def test_without_the_private_split_the_public_one_is_reported(tmp_path, write):
    rows = [row for row in ROWS if row[1] != "PrivateTest"]
    write(tmp_path, rows)
    assert splits_of(tmp_path) == ("train", "test")
    assert read_fer2013(tmp_path, "test").id.tolist() == [f"fer{n:07d}" for n in range(14, 28)]
    with pytest.raises(DataError, match="No FER2013 annotations for the val split"):
        read_fer2013(tmp_path, "val")


def test_two_pictures_of_one_name_have_their_paths_for_ids(tmp_path):
    write_folders(tmp_path, [(0, "Training"), (1, "Training")], name="same.png")
    write_folders(tmp_path, [(2, "Training")], name="other.png")
    assert read_fer2013(tmp_path, "train").id.tolist() == [
        *("Training/angry/same.png", "Training/disgust/same.png", "other"),
    ]


def test_what_is_no_picture_is_counted(tmp_path):
    write_folders(tmp_path)
    for name in ("Thumbs.db", ".hidden.png", "notes.txt"):
        (tmp_path / "Training/angry" / name).write_bytes(b"x")
    assert read_fer2013(tmp_path, "train").left_out == {"no picture (.txt)": 1}


@pytest.mark.parametrize("names", [("angry", "contempt"), ("0", "7"), ("angry", "0"), ("unknown",)])
def test_folders_of_something_else_are_refused(tmp_path, names):
    for name in names:
        (tmp_path / "train" / name).mkdir(parents=True)
    with pytest.raises(DataError, match=r"is no category of FER2013.*data=folders") as error:
        read_fer2013(tmp_path, "train")
    assert "\n" not in str(error.value)


LINE = "0," + " ".join(["7"] * 2304) + ",Training"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (LINE.replace("0,", "7,", 1), "emotion is '7'"),
        (LINE.replace("0,", ",", 1), "emotion is ''"),
        (LINE.replace("Training", "Test"), "Usage 'Test'"),
        (LINE.replace("7 ", "", 1), "2303 pixels"),
        (LINE.replace("7 ", "256 ", 1), "range"),
        (LINE.replace("7 ", "x ", 1), "'x'"),
        ("0", "1 fields instead of 3"),
    ],
)
def test_a_faulty_row_is_named_and_nothing_is_left_behind(tmp_path, line, message):
    source = write_list(tmp_path)
    lines = source.read_text().splitlines()
    source.write_text("\n".join([*lines[:3], line, *lines[4:]]))
    with pytest.raises(DataError, match=rf"fer2013\.csv, line 4: .*{message}.*0 to 6") as error:
        read_fer2013(tmp_path, "train")
    assert "\n" not in str(error.value)
    assert not (tmp_path / ".pictures").exists()
    source.write_text("\n".join(lines))
    assert len(read_fer2013(tmp_path, "train")) == 14


def test_the_list_without_labels_is_refused(tmp_path):
    write_list(tmp_path, header=("pixels", "Usage"))
    with pytest.raises(DataError, match="line 1: there is no column emotion in pixels,usage"):
        read_fer2013(tmp_path, "test")


def test_a_list_is_unpacked_once_and_again_when_it_has_changed(tmp_path, monkeypatch):
    write_list(tmp_path)
    read, times = fer2013_pixels._pictures, []

    def counted(source: Path) -> object:
        times.append(source)
        return read(source)

    monkeypatch.setattr(fer2013_pixels, "_pictures", counted)
    for split in USAGE:
        read_fer2013(tmp_path, split)
    assert len(times) == 1
    # A process that was killed leaves a part, which the next one begins anew.
    (tmp_path / ".pictures").rename(tmp_path / ".pictures.part")
    assert len(read_fer2013(tmp_path, "train")) == 14
    assert not (tmp_path / ".pictures.part").exists()
    write_list(tmp_path, ROWS[:13])
    assert len(read_fer2013(tmp_path, "train")) == 13
    assert len(times) == 3


def test_a_root_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    write_list(tmp_path)

    def refuse(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(OutputError, match=r"\.pictures"):
        read_fer2013(tmp_path, "train")


def test_no_picture_lies_outside(tmp_path):
    root = tmp_path / "root"
    write_folders(root)
    linked = root / "Training/angry/fer0000000.png"
    secret = linked.rename(tmp_path / "secret.png")
    linked.symlink_to(secret)
    with pytest.raises(DataError, match=r"is a link to .*secret\.png"):
        read_fer2013(root, "train")


def test_what_may_be_asked_for(tmp_path):
    with pytest.raises(DataError, match=r"No FER2013 annotations for the train split(.|\n)*Usage"):
        read_fer2013(tmp_path, "train")
    with pytest.raises(ConfigError, match="on_error=drop: choose one of raise, skip, keep"):
        read_fer2013(tmp_path, "train", "drop")  # type: ignore[arg-type]  # no such choice


def test_the_store_stands_for_the_list(tmp_path, monkeypatch):
    monkeypatch.setattr("cage_lightning.commands.prepare.start_logging", lambda file: None)
    root = tmp_path / "release"
    write_list(root)
    settings = ("data=fer2013", f"data.root={root}")
    card = run_prepare(composed(*settings, config_name="prepare"))
    assert card["splits"].keys() == {"train", "val", "test"}
    read = {split: read_fer2013(root, split) for split in USAGE}
    # The pictures that were unpacked are no part of the release.
    shutil.rmtree(root / ".pictures")
    for there in (True, False):
        if not there:
            shutil.rmtree(root)
        source = nodes.build_source(composed(*settings, config_name="analyze"))
        assert source.own_splits == ("train", "val", "test")
        for split, table in read.items():
            packed = source.own_split(split)
            assert packed.packed is not None
            assert packed.fingerprint() == table.fingerprint()
    np.testing.assert_array_equal(decoded(packed, 0), pixels(28))


@pytest.mark.parametrize("protocol", ["paper", "published_code"])
def test_the_split_that_chooses_the_epoch(tmp_path, protocol):
    write_folders(tmp_path)
    settings = ("data=fer2013", "model=tiny", f"data.root={tmp_path}", "loss=discrete")
    data = build.build_data(composed(*settings, f"protocol={protocol}"))
    assert data.selection == "val"
    shutil.rmtree(tmp_path / "PrivateTest")
    data = build.build_data(composed(*settings, "data.holdout_fraction=0.5"))
    data.setup("fit")
    assert data.selection == "holdout"
    assert [len(table) for table in (data.train, data.val, data.test)] == [7, 7, 14]
    assert data.class_weights() is None


def test_a_run_from_start_to_finish(command: Command, tmp_path: Path) -> None:
    write_list(tmp_path / "fer2013")
    settings = ("model=tiny", "trainer=cpu", "trainer.max_epochs=1", "data.num_workers=0")
    command("train", "data=fer2013", "data.root=fer2013", "loss=discrete", *settings)
    (file,) = tmp_path.glob("runs/default/fer2013-tiny-discrete-s0/metrics.json")
    metrics = json.loads(file.read_text())
    assert metrics["test/n"] == 14
    assert metrics["meta"]["selection"]["split"] == "val"
