"""RAF-DB: labels from 1 in an order of its own, from the list and from folders."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cage_lightning.app import build, nodes
from cage_lightning.data.preparation.datacard import PUBLISHED_CATEGORIES, PUBLISHED_SAMPLES
from cage_lightning.data.readers.affectnet import read_affectnet
from cage_lightning.data.readers.rafdb import read_rafdb
from cage_lightning.errors import ConfigError, DataError
from cage_lightning.labels import AFFECTNET_7
from cage_lightning.predictions.files import read_predictions
from tests.affectnet_layouts import picture
from tests.conftest import Command, composed
from tests.present import present

# Written out, not computed: what the labels mean, and the canonical index of that.
MEANING = {
    "1": ("Surprise", 3),
    "2": ("Fear", 4),
    "3": ("Disgust", 5),
    "4": ("Happiness", 1),
    "5": ("Sadness", 2),
    "6": ("Anger", 6),
    "7": ("Neutral", 0),
}
ROWS = {"train_00001": "5", "test_0001": "4", "train_00002": "1", "train_00003": "7"}


def write_list(root: Path, rows: dict[str, str]) -> Path:
    """`rows`: name -> label, in the order of the list."""
    aligned, listed = root / "basic/Image/aligned", root / "basic/EmoLabel/list_patition_label.txt"
    for folder in (aligned, listed.parent):
        folder.mkdir(parents=True, exist_ok=True)
    for n, name in enumerate(rows):
        (aligned / f"{name}_aligned.jpg").write_bytes(picture(".jpg", n % 256))
    listed.write_text("".join(f"{name}.jpg {label}\n" for name, label in rows.items()))
    return listed


def write_folders(root: Path, rows: dict[str, str]) -> None:
    for name, label in rows.items():
        folder = root / "DATASET" / name.partition("_")[0] / label
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}_aligned.jpg").write_bytes(picture(".jpg"))


tables = st.dictionaries(
    st.builds("{}_{:05d}".format, st.sampled_from(["train", "test"]), st.integers(0, 12_270)),
    st.sampled_from("1234567"),
    min_size=1,
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(rows=tables, write=st.sampled_from([write_list, write_folders]))
def test_any_table_reads_as_it_was_written(rows, write):
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), rows)
        for split in ("train", "test"):
            wanted = {n: label for n, label in rows.items() if n.startswith(split)}
            if not wanted:
                with pytest.raises(DataError):
                    read_rafdb(Path(folder), split)
                continue
            table = read_rafdb(Path(folder), split)
            order = list(wanted) if write is write_list else sorted(wanted)
            assert table.id.tolist() == order
            assert table.category.tolist() == [MEANING[wanted[n]][1] for n in order]
            assert (table.space, table.left_out, table.box) == (AFFECTNET_7, {}, None)
            assert table.affect.shape == (len(order), 2)
            assert table.affect.dtype == np.float32
            assert np.isnan(table.affect).all()
            assert all((Path(folder) / path).is_file() for path in table.path)


@pytest.mark.parametrize("write", [write_list, write_folders])
@pytest.mark.parametrize("label", MEANING)
def test_the_labels_are_not_the_codes_of_affectnet(tmp_path, write, label):
    write(tmp_path, {"test_0001": label})
    (category,) = read_rafdb(tmp_path, "test").category.tolist()
    name, index = MEANING[label]
    assert (AFFECTNET_7.categories[category], category) == (name, index)
    if label != "6":  # Anger alone has the same number in both
        assert category != int(label)
    assert category != int(label) - 1


def test_its_folders_are_not_read_as_affectnet(tmp_path):
    write_folders(tmp_path, ROWS | {f"train_1000{k}": str(k) for k in range(1, 8)})
    with pytest.raises(DataError, match=r"not the codes of AffectNet.*data=rafdb"):
        read_affectnet(tmp_path / "DATASET", "train", AFFECTNET_7)


def test_both_layouts_read_alike_and_the_list_comes_first(tmp_path):
    write_list(tmp_path / "list", ROWS)
    write_folders(tmp_path / "folders", ROWS)
    listed, sorted_ = (read_rafdb(tmp_path / name, "train") for name in ("list", "folders"))
    assert (
        listed.id.tolist() == sorted_.id.tolist() == ["train_00001", "train_00002", "train_00003"]
    )
    assert listed.category.tolist() == sorted_.category.tolist() == [2, 3, 0]
    assert listed.path[0] == "basic/Image/aligned/train_00001_aligned.jpg"
    assert sorted_.path[0] == "DATASET/train/5/train_00001_aligned.jpg"
    write_folders(tmp_path / "list", {"train_9": "1"})
    assert read_rafdb(tmp_path / "list", "train").fingerprint() == listed.fingerprint()


@pytest.mark.parametrize("parent", ["DATASET", ""])
@pytest.mark.parametrize("test", ["test", "valid", "Val", "validation", "TEST"])
def test_the_folders_may_lie_in_the_root_and_be_called_otherwise(tmp_path, parent, test):
    write_folders(tmp_path / "published", ROWS)
    write_folders(tmp_path / "passed_on", ROWS)
    (tmp_path / "passed_on/DATASET/test").rename(tmp_path / "passed_on/DATASET" / test)
    root = tmp_path / "passed_on" if parent else tmp_path / "passed_on/DATASET"
    for split in ("train", "test"):
        published = read_rafdb(tmp_path / "published", split)
        table = read_rafdb(root, split)
        assert table.id.tolist() == published.id.tolist()
        assert table.category.tolist() == published.category.tolist()
        assert all((root / path).is_file() for path in table.path)


def test_a_test_folder_comes_before_a_part_of_train_that_validates(tmp_path):
    write_folders(tmp_path, ROWS)
    (tmp_path / "DATASET/train").rename(tmp_path / "DATASET/valid")
    assert read_rafdb(tmp_path, "test").id.tolist() == ["test_0001"]
    shutil.rmtree(tmp_path / "DATASET/test")
    with pytest.raises(DataError, match=r"valid/.*/train_\d+_aligned\.jpg: expected .*test_00001"):
        read_rafdb(tmp_path, "test")


def test_files_of_the_system_and_upper_case_endings(tmp_path):
    write_folders(tmp_path, ROWS)
    folder = tmp_path / "DATASET/train/5"
    for name in ("Thumbs.db", ".DS_Store", "desktop.ini", "notes.txt"):
        (folder / name).write_bytes(b"x")
    (folder / "train_00001_aligned.jpg").rename(folder / "train_00001_aligned.JPG")
    table = read_rafdb(tmp_path, "train")
    assert table.id.tolist() == ["train_00001", "train_00002", "train_00003"]
    assert table.path[0] == "DATASET/train/5/train_00001_aligned.JPG"
    assert table.left_out == {"no picture (.txt)": 1}


@pytest.mark.parametrize(
    "line",
    [
        *("train_00001.jpg 0", "train_00001.jpg 8", "train_00001.jpg", "train_00001.jpg five"),
        *("train_00001.jpg 5 5", "val_00001.jpg 5", "train_00001.png 5", "train_00001 5", "x"),
        *("train_00001.jpg 1.0", "train_00001.jpg,5", "train_\udcff.jpg\udcff 1"),
    ],
)
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_faulty_line_is_named(tmp_path, line, split):
    listed = write_list(tmp_path, ROWS)
    lines = listed.read_bytes().splitlines()
    lines[2] = line.encode(errors="surrogateescape")
    listed.write_bytes(b"\n".join(lines))
    with pytest.raises(DataError, match=r"list_patition_label\.txt, line 3: .*label from 1 to 7"):
        read_rafdb(tmp_path, split)


@pytest.mark.parametrize("ending", ["\r\n", " \n", "\n\n"])
def test_line_endings_blank_lines_and_a_byte_order_mark(tmp_path, ending):
    listed = write_list(tmp_path, ROWS)
    text = ending.join(f"{name}.jpg {label}" for name, label in ROWS.items()) + ending
    listed.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read_rafdb(tmp_path, "train").category.tolist() == [2, 3, 0]


def test_a_name_that_occurs_twice_is_named(tmp_path):
    listed = write_list(tmp_path, ROWS)
    listed.write_text(listed.read_text() + "train_00002.jpg 6\n")
    with pytest.raises(DataError, match=r"label\.txt, line 5: the id occurs twice"):
        read_rafdb(tmp_path, "train")
    write_folders(tmp_path, ROWS | {"train_00002": "6"})
    write_folders(tmp_path, ROWS)
    shutil.rmtree(tmp_path / "basic")
    with pytest.raises(DataError, match=r"[16]/train_00002_aligned\.jpg: the id occurs twice"):
        read_rafdb(tmp_path, "train")


@pytest.mark.parametrize(
    "path",
    [
        *("0/train_00009_aligned.jpg", "8/train_00009_aligned.jpg", "12/train_00009_aligned.jpg"),
        *("1/test_00009_aligned.jpg", "1/image0000009.jpg", "1/train_00009.jpg"),
    ],
)
def test_folders_of_something_else_are_refused(tmp_path, path):
    write_folders(tmp_path, ROWS)
    file = tmp_path / "DATASET/train" / path
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(picture(".jpg"))
    with pytest.raises(DataError, match=rf"{file}: expected a label from 1 to 7"):
        read_rafdb(tmp_path, "train")


def test_a_missing_picture_is_an_error_or_left_out(tmp_path):
    write_list(tmp_path, ROWS)
    (tmp_path / "basic/Image/aligned/train_00002_aligned.jpg").unlink()
    with pytest.raises(DataError, match=r"line 3: 1 of 3 pictures .*train_00002_al.*on_error=skip"):
        read_rafdb(tmp_path, "train")
    skipped = read_rafdb(tmp_path, "train", "skip")
    assert (skipped.id.tolist(), skipped.left_out) == (
        ["train_00001", "train_00003"],
        {"missing picture": 1},
    )
    assert len(read_rafdb(tmp_path, "train", "keep")) == 3


def test_no_picture_lies_outside(tmp_path):
    root = tmp_path / "root"
    listed = write_list(root, ROWS)
    (tmp_path / "secret.jpg").write_bytes(picture(".jpg"))
    linked = root / "basic/Image/aligned/train_00003_aligned.jpg"
    linked.unlink()
    linked.symlink_to(tmp_path / "secret.jpg")
    with pytest.raises(DataError, match=r"line 4: the picture .* is a link to .*secret\.jpg"):
        read_rafdb(root, "train")
    listed.write_text("train_/../../../../secret.jpg 1\n")
    with pytest.raises(DataError, match=r"line 1: the picture .* is not a path below"):
        read_rafdb(root, "train")


def test_what_may_be_asked_for(tmp_path):
    write_list(tmp_path, ROWS)
    with pytest.raises(ConfigError, match="split=val: choose one of train, test"):
        read_rafdb(tmp_path, "val")
    with pytest.raises(ConfigError, match="on_error=drop: choose one of raise, skip, keep"):
        read_rafdb(tmp_path, "train", "drop")  # type: ignore[arg-type]  # no such choice
    with pytest.raises(DataError, match=r"No RAF-DB annotations .*test(.|\n)*list_patition_label"):
        read_rafdb(tmp_path / "basic", "test")


def test_published_counts():
    by_name = dict(zip(AFFECTNET_7.categories, PUBLISHED_CATEGORIES["rafdb"]["test"], strict=True))
    assert [by_name[name] for name, _ in MEANING.values()] == [329, 74, 160, 1185, 478, 162, 680]
    assert PUBLISHED_SAMPLES["rafdb"]["test"] == 3068


@pytest.fixture
def data_root(tmp_path):
    root = tmp_path / "rafdb"
    write_list(
        root,
        {
            f"{s}_{n:05d}": str(n % 7 + 1)
            for s, m in (("train", 28), ("test", 14))
            for n in range(m)
        },
    )
    return root


def test_a_part_of_train_chooses_the_epoch(data_root):
    data = build.build_data(composed("data=rafdb", "model=tiny", f"data.root={data_root}"))
    data.setup("fit")
    assert [len(table) for table in (data.train, data.val, data.test)] == [21, 7, 14]
    assert data.class_weights() == pytest.approx([1 / 7] * 7)
    with pytest.raises(
        ConfigError, match=r"data\.label_space=affectnet8: choose one of affectnet7"
    ):
        build.build_data(composed("data=rafdb", "data.label_space=affectnet8"))


@pytest.mark.parametrize("loss", ["combined", "va"])
def test_affect_cannot_be_trained(data_root, loss):
    config = composed("data=rafdb", "model=tiny", f"loss={loss}", f"data.root={data_root}")
    config.run_dir = "run"
    data = build.build_data(config)
    data.setup("fit")
    with pytest.raises(ConfigError, match="has valence or arousal: choose loss=discrete"):
        build.build_module(config, data)


def test_a_combined_model_is_evaluated_on_its_categories(
    command: Command, data_root: Path, tmp_path: Path
) -> None:
    network = nodes.build(composed("model=tiny").model, weights="none")(num_outputs=9)
    torch.save(network.state_dict(), tmp_path / "model.pt")
    settings = ("data=rafdb", f"data.root={data_root}", "data.num_workers=0", "trainer=cpu")
    command("evaluate", "checkpoint=model.pt", "model=tiny", "loss=combined", *settings)
    metrics = json.loads((tmp_path / "model-rafdb/metrics.json").read_text())
    assert (metrics["test/n"], metrics["test/n_unlabelled_affect"]) == (14, 14)
    assert not [key for key in metrics if "valence" in key or "pooled" in key]
    predictions = read_predictions(tmp_path / "model-rafdb/predictions.parquet")
    assert predictions.space == AFFECTNET_7
    truth = present(predictions.category).tolist()
    assert truth == [AFFECTNET_7.categories.index(name) for name, _ in MEANING.values()] * 2
    hits = np.mean(predictions.category == predictions.category_pred)
    assert metrics["test/accuracy"] == pytest.approx(hits)
    assert np.isnan(predictions.affect).all()
    assert np.isfinite(present(predictions.affect_pred)).all()
