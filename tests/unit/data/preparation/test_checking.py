from __future__ import annotations

import hashlib
import io
import os
import struct
import zlib

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from cage_lightning.data import files
from cage_lightning.data.annotations import Annotations
from cage_lightning.data.images import decode_image
from cage_lightning.data.preparation import checking
from cage_lightning.data.preparation.checking import check_pictures, read_parts
from cage_lightning.errors import DataError
from cage_lightning.labels import AFFECTNET_8


def encoded(format_="JPEG", mode="RGB", seed=0, size=32):
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, format_)
    return buffer.getvalue()


def png_of_size(width, height):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(9))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def table_of(root, paths, box=None):
    n = len(paths)
    return Annotations(
        space=AFFECTNET_8,
        root=root,
        id=np.arange(n).astype(str),
        path=np.array(paths),
        category=np.zeros(n, np.int64),
        affect=np.zeros((n, 2), np.float32),
        box=None if box is None else np.array(box, np.float32),
    )


def check(root, paths, box=None, image_size=None, workers=1, states=None):
    table = table_of(root, paths, box)
    folder = root.parent / "parts"
    parts = check_pictures(
        table, states or ["1"] * len(paths), folder, "train", image_size, workers
    )
    return read_parts(parts, checking.FACTS.names)


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "release"
    root.mkdir()
    return root


FAULTY = {
    "empty": (b"", "empty"),
    "text": (b"no picture at all", "not a picture"),
    "html": (b"<!DOCTYPE html><title>404</title>", "not a picture"),
    "zeros": (bytes(999), "not a picture"),
    "zeros from the middle": (encoded()[:700] + bytes(600), "truncated"),
    "jpeg 2000": (encoded("JPEG2000"), "not a picture"),
    "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "not a picture"),
    "header": (encoded()[:20], "not a picture"),
    "cut jpeg": (encoded()[:-200], "truncated"),
    "cut jpeg header": (encoded()[: encoded().index(b"\xff\xda")], "truncated"),
    "cut png": (encoded("PNG")[: len(encoded("PNG")) // 2], "truncated"),
    "cut gif": (encoded("GIF")[:900], "truncated"),
    "damaged png": (encoded("PNG")[:200] + bytes(40) + encoded("PNG")[240:], "corrupt"),
    "no pixels": (png_of_size(16, 16), "truncated"),
    "bomb": (png_of_size(50_000, 50_000), "decompression bomb"),
    "large": (png_of_size(10_000, 10_000), "decompression bomb"),
    "float": (encoded("TIFF", "F"), "pixel values of unknown range"),
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", FAULTY)
def test_a_faulty_picture_has_a_name_and_training_refuses_it_too(root, name):
    content, fault = FAULTY[name]
    (root / "a.jpg").write_bytes(content)
    [row] = check(root, ["a.jpg"]).to_pylist()
    assert row["fault"] == fault
    assert row["image"] is None
    assert "object at" not in row["detail"]  # nothing that differs from run to run
    with pytest.raises(DataError):
        decode_image(root / "a.jpg", 32)


@pytest.mark.parametrize(
    ("format_", "mode"),
    [("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "P"), ("PNG", "RGBA"),
     ("PNG", "I;16"), ("GIF", "P"), ("BMP", "RGB"), ("TIFF", "CMYK"), ("WEBP", "RGB")],
)  # fmt: skip
def test_a_sound_picture_of_any_kind_is_kept_byte_for_byte(root, format_, mode):
    content = encoded(format_, mode)
    (root / "wrong name.jpg").write_bytes(content)
    [row] = check(root, ["wrong name.jpg"]).to_pylist()
    assert (row["fault"], row["image"]) == (None, content)
    assert (row["format"], row["mode"], row["width"], row["height"]) == (format_, mode, 32, 32)
    assert row["content"] == hashlib.sha256(content).digest()
    decode_image(content, 32)


def test_files_that_are_no_pictures_of_the_release(root):
    (root.parent / "secret.jpg").write_bytes(encoded())
    (root / "folder.jpg").mkdir()
    os.mkfifo(root / "pipe.jpg")
    (root / "loop.jpg").symlink_to("loop.jpg")
    (root / "nowhere.jpg").symlink_to("gone.jpg")
    (root / "outside.jpg").symlink_to(root.parent / "secret.jpg")
    (root / "zero.jpg").symlink_to("/dev/zero")
    (root / "inside.jpg").symlink_to("good.jpg")
    (root / "good.jpg").write_bytes(encoded())
    with (root / "huge.jpg").open("wb") as file:
        file.truncate(files.MAX_BYTES + 1)
    expected = {
        "gone.jpg": "missing",
        "gone/0.jpg": "missing",
        "good.jpg/0.jpg": "missing",
        "nowhere.jpg": "missing",
        "folder.jpg": "not a file",
        "pipe.jpg": "not a file",
        "loop.jpg": "unreadable",
        "huge.jpg": "too large",
        "outside.jpg": "outside the release",
        "zero.jpg": "outside the release",
        "inside.jpg": None,
        "good.jpg": None,
    }
    found = check(root, list(expected))
    assert dict(zip(expected, found["fault"].to_pylist(), strict=True)) == expected


def test_a_folder_may_be_a_link_to_another_disk(root):
    disk = root.parent / "disk"
    disk.mkdir()
    (disk / "0.jpg").write_bytes(encoded())
    (root / "images").symlink_to(disk)
    assert check(root, ["images/0.jpg"])["fault"].to_pylist() == [None]


def looked_at(monkeypatch):
    """The paths of the pictures that are looked at from now on, in a list that grows."""
    looked = []
    look_at = checking._look_at

    def note(root, path, image_size):
        looked.append(path)
        return look_at(root, path, image_size)

    monkeypatch.setattr(checking, "_look_at", note)
    return looked


def test_a_box_outside_is_a_fault_of_its_row_only(root, monkeypatch):
    (root / "a.jpg").write_bytes(encoded())
    looked = looked_at(monkeypatch)
    box = [[0, 0, 9, 9], [32, 0, 40, 9], [-5, -5, 4, 4]]
    found = check(root, ["a.jpg"] * 3, box)
    assert found["fault"].to_pylist() == [None, "box outside the picture", None]
    assert looked == ["a.jpg"]  # once for all persons in it


def test_re_encoded_pictures_have_the_size_and_nearly_the_pixels(root):
    smooth = np.add.outer(np.arange(0, 200, 2), np.arange(0, 50, 0.5)).astype(np.uint8)
    Image.fromarray(smooth).convert("RGB").save(root / "a.png")
    [row] = check(root, ["a.png"], image_size=40).to_pylist()
    stored = decode_image(row["image"], 40)
    assert (stored.int() - decode_image(root / "a.png", 40).int()).abs().max() <= 3
    with Image.open(io.BytesIO(row["image"])) as picture:
        assert (picture.size, picture.format) == ((40, 40), "JPEG")
    assert (row["width"], row["height"]) == (100, 100)


def test_what_pillow_reads_nevertheless_is_no_matter(root, recwarn):
    picture, buffer = Image.new("RGB", (32, 32)), io.BytesIO()
    picture.save(buffer, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(20))
    (root / "a.jpg").write_bytes(buffer.getvalue())
    assert check(root, ["a.jpg"])["fault"].to_pylist() == [None]
    assert not list(recwarn)


@pytest.fixture
def release(root, monkeypatch):
    """Ten pictures, one of them broken, in parts of three."""
    monkeypatch.setattr(checking, "PART", 3)
    paths = [f"{i}.png" for i in range(10)]
    for i, path in enumerate(paths):
        (root / path).write_bytes(encoded("PNG", seed=i) if i != 4 else b"")
    return paths


def test_the_number_of_workers_changes_nothing(root, release, tmp_path):
    first = check(root, release)
    names = sorted(path.name for path in (tmp_path / "parts").iterdir())
    (tmp_path / "parts").rename(tmp_path / "first")
    assert check(root, release, workers=2).equals(first)
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == names
    assert first["fault"].to_pylist() == [None] * 4 + ["empty"] + [None] * 5


def test_finished_parts_are_taken_up(root, release, monkeypatch, tmp_path):
    look_at = checking._look_at

    def interrupted(root, path, image_size):
        if path == "7.png":
            raise KeyboardInterrupt
        return look_at(root, path, image_size)

    with monkeypatch.context() as patch:
        patch.setattr(checking, "_look_at", interrupted)
        with pytest.raises(KeyboardInterrupt):
            check(root, release)
    made = len(list((tmp_path / "parts").iterdir()))
    looked = looked_at(monkeypatch)
    found = check(root, release)
    assert looked == (release[6:9] if made == 3 else release[6:])
    (tmp_path / "parts").rename(tmp_path / "first")
    assert check(root, release).equals(found)


@pytest.mark.parametrize("damage", [lambda raw: raw[:-9], lambda raw: raw[:99] + b"?" + raw[100:]])
def test_a_damaged_part_is_made_again(root, release, monkeypatch, tmp_path, damage):
    found = check(root, release)
    part = next((tmp_path / "parts").glob("train-000000003-*"))
    sound = part.read_bytes()
    part.write_bytes(damage(sound))
    looked = looked_at(monkeypatch)
    assert check(root, release).equals(found)
    assert looked == release[3:6]
    assert part.read_bytes() == sound


def test_a_picture_that_changed_has_its_part_made_again(root, release, monkeypatch):
    states = ["1"] * 10
    check(root, release, states=states)
    (root / "4.png").write_bytes(encoded("PNG", seed=4))
    states[4] = "2"
    looked = looked_at(monkeypatch)
    assert check(root, release, states=states)["fault"].null_count == 10
    assert looked == release[3:6]


def test_parts_are_for_one_size(root, release):
    as_they_are = check(root, release)
    smaller = check(root, release, image_size=16)
    assert as_they_are["image"].to_pylist() != smaller["image"].to_pylist()
    assert check(root, release).equals(as_they_are)
    assert isinstance(as_they_are, pa.Table)
