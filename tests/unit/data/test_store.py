from __future__ import annotations

import json
import os
import pickle
import shutil
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from cage_lightning.data import packed as packed_module
from cage_lightning.data import release_files
from cage_lightning.data import store as store_module
from cage_lightning.data.annotations import Annotations
from cage_lightning.data.broken_pictures import without_changed
from cage_lightning.data.images import decode_image
from cage_lightning.data.packed import CHECKSUM, METADATA_KEY
from cage_lightning.data.release_files import (
    NOTE,
    fingerprint_of,
    is_as_noted,
    list_release,
    write_note,
)
from cage_lightning.data.store import Store
from cage_lightning.data.store_file import About, is_current, read_about, read_store, write_store
from cage_lightning.errors import DataError
from cage_lightning.labels import AFFECTNET_7, AFFECTNET_8, EMOTIC
from tests.bit_flips import reads_of_flipped
from tests.present import present

ABOUT = About(release="r", settings={"release": "auto"}, image_size=None)
PICTURES = [b"zero", b"", b"\xff\xd8 two", b"three" * 1_000, b"four"]


def faces(root: Path) -> Annotations:
    return Annotations(
        space=AFFECTNET_8,
        root=root,
        id=np.array(["0", "3", "é", "12", "x y"]),
        path=np.array([f"a/{i}.jpg" for i in range(5)]),
        category=np.array([7, 0, 3, 3, 1]),
        affect=np.array([[0.1, -1], [np.nan, np.nan], [0, 0], [1, 1], [0.5, 0.25]], np.float32),
        left_out={"uncertain": 2},
        extra={
            "subset": np.array([0, 1, 2, 1, 0]),
            "soft_label": np.arange(40, dtype=np.float32).reshape(5, 8),
            "landmarks": np.arange(30.0).reshape(5, 3, 2),
            "age": np.array(["Kid", "", "Adult", "Adult", "Kid"]),
        },
    )


def scenes(root: Path) -> Annotations:
    return Annotations(
        space=EMOTIC,
        root=root / "emotic",
        id=np.array(["p#1", "p#2", "q#1", "q#2", "q#3"]),
        path=np.array(["p.jpg", "p.jpg", "q.jpg", "q.jpg", "q.jpg"]),
        category=(np.arange(5 * 26).reshape(5, 26) % 3 == 0).astype(np.float32),
        affect=np.linspace(-1, 1, 15, dtype=np.float32).reshape(5, 3),
        box=np.arange(20, dtype=np.float32).reshape(5, 4),
    )


def write(file: Path, table: Annotations, about: About = ABOUT, pictures=PICTURES) -> Path:
    images = [pa.array(part, pa.large_binary()) for part in (pictures[:2], pictures[2:])]
    below = os.path.relpath(table.root, file.parent)
    write_store(file, table, images, replace(about, pictures=below))
    return file


@pytest.mark.parametrize("make", [faces, scenes])
def test_what_is_written_is_read(tmp_path, make):
    table = make(tmp_path)
    read, about = read_store(write(tmp_path / "train.arrow", table), tmp_path)
    assert read.fingerprint() == table.fingerprint() == about.annotations
    assert (read.space, read.root, read.left_out) == (table.space, table.root, table.left_out)
    assert read.path.tolist() == table.path.tolist()
    for name in ("id", "category", "affect", "box"):
        expected, found = getattr(table, name), getattr(read, name)
        np.testing.assert_array_equal(found, expected)
        if expected is not None:
            assert (found.dtype.kind, found.flags.writeable) == (expected.dtype.kind, True)
    assert read.extra.keys() == table.extra.keys()
    for name, column in table.extra.items():
        np.testing.assert_array_equal(read.extra[name], column)
    assert [read.picture(i) for i in range(5)] == PICTURES
    assert [table.picture(i) for i in range(5)] == [table.root / path for path in table.path]


def test_pictures_follow_the_rows_into_another_process(tmp_path):
    table, _ = read_store(write(tmp_path / "train.arrow", faces(tmp_path)), tmp_path)
    part = table.select(np.array([4, 0, 2])).select(np.array([False, True, True]))
    assert [part.picture(i) for i in range(2)] == [PICTURES[0], PICTURES[2]]
    there = pickle.loads(pickle.dumps(part))
    assert [there.picture(i) for i in range(2)] == [PICTURES[0], PICTURES[2]]
    assert len(pickle.dumps(part.packed)) < 2_000  # the file is not taken along


def test_a_file_with_a_picture_larger_than_any_that_is_read_is_refused(tmp_path, monkeypatch):
    table, _ = read_store(write(tmp_path / "train.arrow", faces(tmp_path)), tmp_path)
    monkeypatch.setattr(packed_module, "MAX_BYTES", 5_000)
    assert table.picture(0) == PICTURES[0]
    table, _ = read_store(tmp_path / "train.arrow", tmp_path)
    monkeypatch.setattr(packed_module, "MAX_BYTES", 4_999)
    with pytest.raises(DataError, match="does not hold its pictures as they are"):
        table.picture(0)


def test_a_file_that_was_replaced_is_not_mixed_with_the_old_one(tmp_path):
    file = write(tmp_path / "train.arrow", faces(tmp_path))
    table, _ = read_store(file, tmp_path)
    table.picture(0)
    write(file, faces(tmp_path).select(np.arange(5)[::-1].copy()))
    assert table.picture(0) == PICTURES[0]  # still open
    with pytest.raises(DataError, match=r"train\.arrow was replaced while it was in use"):
        pickle.loads(pickle.dumps(table)).picture(0)


def test_any_program_that_reads_arrow_reads_it(tmp_path):
    file = write(tmp_path / "test.arrow", scenes(tmp_path))
    stored = pa.ipc.open_file(file).read_all()
    names = ["id", "path", "image", "category", "affect", "box", "image_crc32"]
    assert stored.column_names == names
    row = stored.slice(3, 1).to_pylist()[0]
    assert (row["id"], row["path"], row["image"]) == ("q#2", "q.jpg", PICTURES[3])
    assert row["box"] == [12, 13, 14, 15]
    assert len(row["category"]) == 26
    assert stored["image"].num_chunks == 2


def test_the_same_rows_give_the_same_bytes(tmp_path):
    first = write(tmp_path / "a" / "x.arrow", faces(tmp_path / "a")).read_bytes()
    assert write(tmp_path / "b" / "x.arrow", faces(tmp_path / "b")).read_bytes() == first


def test_a_write_that_fails_leaves_nothing_and_the_old_file(tmp_path):
    file = write(tmp_path / "train.arrow", faces(tmp_path))
    before = file.read_bytes()

    def broken():
        yield pa.array(PICTURES[:2], pa.large_binary())
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_store(file, faces(tmp_path), broken(), ABOUT)
    assert [path.name for path in tmp_path.iterdir()] == ["train.arrow"]
    assert file.read_bytes() == before


def picture(i: int) -> bytes:
    """A picture that takes more room than the rest of its row, so that most flips hit one."""
    buffer = BytesIO()
    noise = np.random.default_rng(i).integers(0, 256, (24, 24, 3), np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def everything(file: Path) -> object:
    """What a training takes from a file of the store."""
    table, about = read_store(file, file.parent)
    pictures = [
        decode_image(table.picture(i), 3, name=f"{file}: {table.path[i]}").tolist()
        for i in range(len(table))
    ]
    columns = {name: column.tobytes() for name, column in table.extra.items()}
    copies = None if table.copies is None else table.copies.tolist()
    return table.fingerprint(), about, pictures, columns, copies


@pytest.mark.parametrize("make", [faces, scenes])
def test_a_flipped_bit_changes_nothing_unseen(tmp_path, make):
    table = replace(make(tmp_path), copies=np.array(["", "a", "a", "", "b"]))
    pictures = [picture(i) for i in range(5)]
    file = write(tmp_path / "train.arrow", table, pictures=pictures)
    outcomes = reads_of_flipped(file, 120, everything)
    assert set(outcomes) == {"same", "refused"}, outcomes
    assert len(outcomes) == 120


def damage(name: str, content: bytes) -> bytes:
    if name == "cut":
        return content[:-100]
    if name == "empty":
        return b""
    if name == "text":
        return b"no arrow at all"
    if name == "label":
        place = content.index(np.array([7, 0], np.int64).tobytes())
        return content[:place] + b"\x06" + content[place + 1 :]
    return content.replace(b'"version": 1', b'"version": 9')


@pytest.mark.parametrize("name", ["cut", "empty", "text", "label", "version"])
def test_a_damaged_file_is_refused_by_name(tmp_path, name):
    file = write(tmp_path / "train.arrow", faces(tmp_path))
    content = damage(name, file.read_bytes())
    file.unlink()
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"train\.arrow.*prepare` again.*data\.store=null"):
        read_store(file, tmp_path)
    assert (read_about(file) is None) == (name != "label")


@pytest.fixture
def packed(tmp_path):
    """A release of two files, and its store."""
    root = tmp_path / "faces"
    (root / "images").mkdir(parents=True)
    (root / "images" / "0.jpg").write_text("picture")
    (root / "labels.csv").write_text("0,1")
    release = fingerprint_of(list_release(root, tmp_path).files)
    store = Store(tmp_path / "faces.store", root)
    write(store.file("train"), faces(root), replace(ABOUT, release=release))
    return store


def read(store: Store, **changes):
    arguments: dict[str, Any] = {
        "split": "train",
        "space": AFFECTNET_8,
        "settings": {"release": "auto"},
        "image_size": 64,
        "on_error": "raise",
    }
    return Store(store.folder, store.root).read(**arguments | changes)


def in_place(root):
    file = root / "labels.csv"
    before = file.stat()
    file.write_text("0,2")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


CHANGES = {
    "added": lambda root: (root / "images" / "1.jpg").write_text("new"),
    "removed": lambda root: (root / "images" / "0.jpg").unlink(),
    "renamed": lambda root: (root / "images" / "0.jpg").rename(root / "images" / "1.jpg"),
    "longer": lambda root: (root / "labels.csv").write_text("0,1\n1,2"),
    "in place": in_place,
}


def settle(root):
    """As if the folders had not changed for a long time."""
    for folder in (root, root / "images"):
        os.utime(folder, (1, 1))


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_release_is_noticed(packed, change):
    settle(packed.root)
    assert len(read(packed)) == 5
    assert (packed.folder / NOTE).is_file()
    CHANGES[change](packed.root)
    with pytest.raises(DataError, match=r"faces has changed since .*train\.arrow.*prepare` again"):
        read(packed)


def test_every_file_is_looked_at_only_where_a_folder_has_changed(packed, monkeypatch):
    settle(packed.root)
    read(packed)  # there is no note yet: this leaves one
    monkeypatch.setattr(store_module, "list_release", [])
    assert len(read(packed)) == 5
    (packed.root / ".DS_Store").write_text("")
    with pytest.raises(TypeError, match="list"):
        read(packed)


def test_a_folder_that_has_just_changed_may_change_unseen(packed, monkeypatch):
    read(packed)
    monkeypatch.setattr(store_module, "list_release", [])
    with pytest.raises(TypeError, match="list"):
        read(packed)


def test_a_file_among_many_that_was_written_over_is_noticed_by_prepare_alone(packed, monkeypatch):
    monkeypatch.setattr(release_files, "_LOOKED_AT", 1)  # of two folders with a file each
    settle(packed.root)
    before = Store(packed.folder, packed.root).release
    read(packed)
    (packed.root / "images" / "0.jpg").write_text("another picture")
    assert len(read(packed)) == 5
    assert Store(packed.folder, packed.root).release != before
    in_place(packed.root)  # of the smallest folders every file is looked at
    with pytest.raises(DataError, match="has changed"):
        read(packed)


def test_a_note_leads_to_no_other_place(packed, tmp_path):
    settle(packed.root)
    note = list_release(packed.root, packed.folder).note()
    write_note(tmp_path / NOTE, note)
    assert is_as_noted(tmp_path / NOTE, packed.root, note.release)
    write_note(tmp_path / NOTE, note._replace(files={"../faces/labels.csv": ""}))
    assert not is_as_noted(tmp_path / NOTE, packed.root, note.release)


def test_what_does_not_belong_to_a_release_is_no_change(packed):
    (packed.root / ".DS_Store").write_text("")
    (packed.root / ".cache").mkdir()
    (packed.root / ".cache" / "x").write_text("")
    (packed.root / "images" / "loop").symlink_to(packed.root)
    assert len(read(packed)) == 5


def test_the_store_itself_is_no_part_of_the_release(tmp_path):
    (tmp_path / "a").write_text("")
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "b").write_text("")
    assert list_release(tmp_path, tmp_path / "store").files.keys() == {"a"}
    assert list_release(tmp_path, tmp_path / "none").files.keys() == {"a", "store/b"}


def test_links_to_folders_are_followed(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "0.jpg").write_text("picture")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "images").symlink_to(tmp_path / "disk")
    (tmp_path / "root" / "nowhere").symlink_to(tmp_path / "gone")
    files = list_release(tmp_path / "root", tmp_path).files
    assert files.keys() == {"images/0.jpg", "nowhere"}
    assert files["images/0.jpg"].startswith("7 ")


def test_a_release_that_is_not_there_is_not_compared(packed):
    moved = Store(packed.folder, packed.root.with_name("moved"))
    assert len(moved.read("train", AFFECTNET_8, {"release": "auto"}, 64, "raise")) == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": AFFECTNET_7}, "other categories than affectnet7"),
        ({"settings": {"release": "csv"}}, "made with {'release': 'auto'}, not {'release': 'csv'}"),
    ],
)
def test_a_store_for_other_settings_is_refused(packed, changes, message):
    with pytest.raises(DataError, match=message):
        read(packed, **changes)


def test_re_encoded_pictures_are_for_their_size_only(packed):
    release = present(Store(packed.folder, packed.root).release)
    about = replace(ABOUT, release=release, image_size=112)
    write(packed.file("train"), faces(packed.root), about)
    assert len(read(packed, image_size=112)) == 5
    with pytest.raises(DataError, match=r"re-encoded at 112 pixels, not at data\.image_size=64"):
        read(packed)


def test_left_out_faults_need_on_error_skip(packed):
    release = present(Store(packed.folder, packed.root).release)
    write(packed.file("train"), faces(packed.root), replace(ABOUT, release=release, faults=3))
    assert len(read(packed, on_error="skip")) == 5
    with pytest.raises(DataError, match=r"leaves out 3 samples.*faults\.csv.*on_error=skip"):
        read(packed)


def flip(file: Path, content: bytes) -> None:
    """Change one bit in the middle of what a file holds, in place."""
    with file.open("r+b") as opened:
        place = file.read_bytes().index(content) + len(content) // 2
        opened.seek(place)
        [byte] = opened.read(1)
        opened.seek(place)
        opened.write(bytes([byte ^ 1]))


def test_a_changed_picture_is_named_and_the_others_are_read(tmp_path):
    file = write(tmp_path / "train.arrow", faces(tmp_path))
    table, _ = read_store(file, tmp_path)
    flip(file, PICTURES[3])
    part = table.select(np.array([4, 3]))
    assert part.picture(0) == PICTURES[4]
    message = r"train\.arrow: the picture of row 3 has changed.*prepare` again.*on_error=skip"
    with pytest.raises(DataError, match=message):
        part.picture(1)
    with pytest.raises(DataError, match=message):
        pickle.loads(pickle.dumps(part)).picture(1)


def test_a_changed_picture_is_left_out_and_counted_by_skip(tmp_path, caplog):
    file = write(tmp_path / "train.arrow", faces(tmp_path))
    table, _ = read_store(file, tmp_path)
    assert without_changed(table) is table
    flip(file, PICTURES[2])
    kept = without_changed(table)
    assert kept.id.tolist() == ["0", "3", "12", "x y"]
    assert kept.left_out == {"uncertain": 2, "changed picture": 1}
    assert f"{file}: the pictures of 1 rows have changed since they were packed: 2; " in caplog.text
    for content in (PICTURES[0], PICTURES[3], PICTURES[4]):
        flip(file, content)
    assert without_changed(table).id.tolist() == ["3"]  # of no bytes
    with pytest.raises(DataError, match=r"train\.arrow: each of the 2 pictures has changed"):
        without_changed(table.select(np.array([0, 2])))


def test_a_file_that_is_cut_off_while_it_is_in_use_ends_in_one_line(tmp_path):
    file = write(tmp_path / "train.arrow", faces(tmp_path))
    table, _ = read_store(file, tmp_path)
    assert table.picture(0) == PICTURES[0]
    os.truncate(file, 100)
    with pytest.raises(DataError, match=r"train\.arrow was cut off while it was in use.*prepare"):
        table.picture(3)


def as_of_before(file: Path) -> None:
    """Change a file of the store to what it was before there were checksums."""
    stored = pa.ipc.open_file(pa.BufferReader(file.read_bytes())).read_all()
    about = json.loads(stored.schema.metadata[METADATA_KEY])
    del about["further"]
    stored = stored.drop_columns([CHECKSUM])
    stored = stored.replace_schema_metadata({METADATA_KEY: json.dumps(about).encode()})
    with pa.ipc.new_file(file, stored.schema) as writer:
        writer.write_table(stored)


def test_a_store_without_checksums_is_read_and_said_once(packed, caplog):
    as_of_before(packed.file("train"))
    shutil.copy(packed.file("train"), packed.file("test"))
    store = Store(packed.folder, packed.root)
    for split in ("train", "test", "train"):
        table = store.read(split, AFFECTNET_8, {"release": "auto"}, 64, "skip")
        assert [table.picture(i) for i in range(5)] == PICTURES
        assert without_changed(table) is table
    assert caplog.text.count("without checksums of its pictures") == 1


def test_what_is_not_current_is_prepared_again(tmp_path):
    table = replace(faces(tmp_path), copies=np.array(["", "a", "a", "", "b"]))
    file = write(tmp_path / "train.arrow", table)
    assert is_current(file, tmp_path)
    flip(file, PICTURES[3])
    assert not is_current(file, tmp_path)
    write(file, table)
    flip(file, np.array([7, 0], np.int64).tobytes())
    assert not is_current(file, tmp_path)
    as_of_before(write(file, table))
    assert not is_current(file, tmp_path)
    write(file, faces(tmp_path))  # knows no copies
    assert not is_current(file, tmp_path)


def test_the_column_that_has_changed_is_named(tmp_path):
    file = write(tmp_path / "train.arrow", faces(tmp_path))
    flip(file, np.arange(16, 40, dtype=np.float32).tobytes())
    with pytest.raises(DataError, match=r"train\.arrow is damaged \(the columns soft_label have"):
        read_store(file, tmp_path)
