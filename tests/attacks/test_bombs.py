"""Small files that stand for what no machine can hold are refused before they are opened up."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from scipy.io import loadmat, savemat

from cage_lightning.commands.prepare import prepare
from cage_lightning.data.images import LARGEST_IMAGE, decode_image
from cage_lightning.data.module import ExpressionData
from cage_lightning.data.readers.emotic.nesting import check_nesting
from cage_lightning.data.readers.emotic.sources import RELEASES
from cage_lightning.data.readers.table.formats import open_table
from cage_lightning.deploy.checkpoints import describe
from cage_lightning.errors import CheckpointError, ConfigError, DataError
from cage_lightning.models import read_state_dict
from cage_lightning.predictions.files import read_predictions
from cage_lightning.runs.identity import read_config
from cage_lightning.system.arrow import _of_file
from tests.conftest import composed
from tests.hostile_content import SOUND_CHECKPOINT

# --- YAML ----------------------------------------------------------------------------------------

YAML = {
    "aliases": "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "merged aliases": "a: &a {x: 1}\nb: {<<: *a}\n",
    "an anchor in itself": "a: &a [*a]\n",
    "deep": "[" * 1_000,
    "large": "a: " + "x" * (1 << 18),
    "a number in base 60": "a: 1" + ":59" * 60_000,
}


@pytest.mark.parametrize("kind", YAML)
def test_yaml_that_grows(kind: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(YAML[kind])
    with pytest.raises(DataError, match=r"config\.yaml is unreadable: "):
        read_config(tmp_path / "config.yaml")


# --- checkpoints ---------------------------------------------------------------------------------


def shared(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value, value]
    return value


def nested(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = {"a": value}
    return value


CONFIGS: dict[str, Callable[[], Any]] = {
    "parts in many places": lambda: shared(40),
    "deep": lambda: nested(100),
    "many values": lambda: list(range(110_000)),
}


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_config_in_a_checkpoint_that_grows(kind: str, tmp_path: Path) -> None:
    content = SOUND_CHECKPOINT | {
        "config": SOUND_CHECKPOINT["config"] | {"more": CONFIGS[kind]()},
        "state_dict": {},
    }
    torch.save(content, tmp_path / "best.ckpt")
    with pytest.raises(CheckpointError, match=r"best\.ckpt is refused: its config is more than"):
        describe(tmp_path / "best.ckpt")


def test_a_checkpoint_whose_parts_are_compressed(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(8_000_000)}, tmp_path / "plain.pt")
    with (
        zipfile.ZipFile(tmp_path / "plain.pt") as plain,
        zipfile.ZipFile(tmp_path / "small.pt", "w", zipfile.ZIP_DEFLATED) as small,
    ):
        for name in plain.namelist():
            small.writestr(name, plain.read(name))
    assert (tmp_path / "small.pt").stat().st_size < 100_000
    for read in (describe, read_state_dict):
        with pytest.raises(CheckpointError, match=r"small\.pt is refused: its .* unpack to 32,"):
            read(tmp_path / "small.pt")


# --- MAT files -----------------------------------------------------------------------------------


def tag(kind: int, size: int) -> bytes:
    return struct.pack("<II", kind, size)


def head(kind: int, name: bytes = b"", dimensions: tuple[int, int] = (1, 1)) -> bytes:
    """The head of an array without the tag before it: flags, dimensions, name."""
    named = tag(1, len(name)) + name + bytes(-len(name) % 8)
    return (
        tag(6, 8)
        + struct.pack("<II", kind, 0)
        + tag(5, 8)
        + struct.pack("<ii", *dimensions)
        + named
    )


def mat(file: Path, variable: bytes, packed: bool) -> Path:
    """A MAT file of level 5 with one variable, given without its tag."""
    whole = tag(14, len(variable)) + variable
    if packed:
        small = zlib.compress(whole)
        whole = tag(15, len(small)) + small
    file.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + whole)
    return file


def cells(levels: int) -> bytes:
    """Cells in each other; none but the outermost says how many bytes it has."""
    return head(1, b"train") + (tag(14, 8) + head(1)) * levels + tag(14, 0)


def struct_in_itself(levels: int) -> bytes:
    fields = tag(5, 4) + struct.pack("<ii", 8, 0) + tag(1, 8) + b"a".ljust(8, b"\0")
    one = head(2) + fields
    return head(2, b"train") + fields + (tag(14, len(one)) + one) * levels + tag(14, 0)


MATS: dict[str, bytes] = {
    "cells": cells(60_000),
    "structs": struct_in_itself(40_000),
    "more elements than bytes": head(1, b"train", (50_000, 50_000)) + tag(14, 0),
    "fewer than none": head(1, b"train", (-1, 1)) + tag(14, 0),
    "an object": head(3, b"train") + tag(14, 0),
    "a function": head(16, b"train") + tag(14, 0),
    "cut": head(1, b"train", (1, 1)),
    "no array inside": head(1, b"train") + tag(9, 0),
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
@pytest.mark.parametrize("kind", MATS)
def test_arrays_nested_without_end(kind: str, packed: bool, tmp_path: Path) -> None:
    file = mat(tmp_path / "Annotations.mat", MATS[kind], packed)
    with pytest.raises(DataError, match=r"Annotations\.mat: cannot read 'train' in there: Value"):
        list(RELEASES["mat"].read(file, "train"))


def test_a_mat_file_that_unpacks_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cage_lightning.data.readers.emotic.nesting._MOST_BYTES", 1 << 20)
    file = mat(tmp_path / "a.mat", head(6, b"train") + tag(9, 1 << 21) + bytes(1 << 21), True)
    with pytest.raises(ValueError, match="unpacks to more than 1,048,576 bytes"):
        check_nesting(file, "train")


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
def test_what_scipy_writes_is_gone_through_as_scipy_reads_it(tmp_path: Path, packed: bool) -> None:
    inner: Any = np.empty((2, 3), object)
    inner[:] = [["a", 1.5, [1, 2]], [True, {"x": "y", "z": [1j]}, np.arange(7, dtype=np.uint8)]]
    content = {"train": {"c": inner, "s": [{"k": 1}, {"k": "long text"}], "e": []}, "other": "x"}
    savemat(tmp_path / "a.mat", content, do_compression=packed, long_field_names=True)
    check_nesting(tmp_path / "a.mat", "train")
    assert loadmat(tmp_path / "a.mat", variable_names=("train",))["train"].size == 1
    savemat(tmp_path / "old.mat", {"train": np.eye(3)}, format="4")
    check_nesting(tmp_path / "old.mat", "train")


# --- Parquet and Arrow ---------------------------------------------------------------------------


def many_rows(file: Path) -> None:
    pq.write_table(pa.table({"id": pa.array(np.zeros(2_500_000, np.int8))}), file)


def a_long_text_in_many_rows(file: Path) -> None:
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(400, np.int32)), ["x" * 900_000])
    pq.write_table(pa.table({"id": text}), file)


def long_lists(file: Path) -> None:
    lists = pa.ListArray.from_arrays([0, 2_500_000], pa.array(np.zeros(2_500_000, np.int8)))
    pq.write_table(pa.table({"id": lists}), file)


PARQUETS: dict[str, Callable[[Path], None]] = {
    "many rows": many_rows,
    "a long text in many rows": a_long_text_in_many_rows,
    "long lists": long_lists,
}


@pytest.mark.parametrize("kind", PARQUETS)
def test_parquet_that_grows(kind: str, tmp_path: Path) -> None:
    PARQUETS[kind](file := tmp_path / "t.parquet")
    assert file.stat().st_size < 500_000
    with pytest.raises(DataError, match=r"t\.parquet: not a readable \.parquet file: its .* stand"):
        read_predictions(file)
    with pytest.raises((DataError, ValueError), match=r"its .* bytes stand for"):
        open_table(file, lambda name: True).texts("id")


def nothing(rows: int) -> pa.Table:
    return pa.table({"picture": pa.nulls(rows)})


def zeros() -> pa.Table:
    """Half a gigabyte, of which little is left when it is compressed."""
    return pa.table({"picture": pa.array([bytes(1 << 29)], pa.large_binary())})


def a_word_in_many_rows() -> pa.Table:
    words = pa.DictionaryArray.from_arrays(pa.array(np.zeros(400, np.int32)), ["x" * 900_000])
    return pa.table({"picture": words})


def a_view_in_many_rows() -> pa.Table:
    word = b"x" * 900_000
    views = 400 * struct.pack("<i4sii", len(word), word[:4], 0, 0)
    buffers = [None, pa.py_buffer(views), pa.py_buffer(word)]
    return pa.table({"picture": pa.Array.from_buffers(pa.string_view(), 400, buffers)})


ARROWS: dict[str, Callable[[], pa.Table]] = {
    "rows of nothing": lambda: nothing(2_500_000),
    "compressed": zeros,
    "a word in many rows": a_word_in_many_rows,
    "a view in many rows": a_view_in_many_rows,
}


@pytest.mark.parametrize("stream", [False, True], ids=["file", "stream"])
@pytest.mark.parametrize("kind", ARROWS)
def test_arrow_that_grows(kind: str, stream: bool, tmp_path: Path) -> None:
    table, file = ARROWS[kind](), tmp_path / "t.arrow"
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    with new(str(file), table.schema, options=options) as writer:
        writer.write_table(table)
    assert file.stat().st_size < 1_000_000
    with pytest.raises((DataError, ValueError), match=r"its .* bytes stand for"):
        open_table(file, lambda name: True).texts("picture")


def test_arrow_whose_batches_lie_in_each_other(tmp_path: Path) -> None:
    file = tmp_path / "t.arrow"
    batches = [pa.table({"picture": np.arange(rows)}) for rows in (1000, *[1] * 20)]
    with pa.ipc.new_file(str(file), batches[0].schema) as writer:
        for batch in batches:
            writer.write_table(batch)
    with file.open("rb") as opened:
        starts = [start - len(message.content) - 8 for message, start in _of_file(opened)]
    content = file.read_bytes()
    for start in starts[1:]:
        before, _, after = content.rpartition(struct.pack("<q", start))
        content = before + struct.pack("<q", starts[0]) + after
    file.write_bytes(content)
    with pytest.raises(DataError, match="its messages lie in each other"):
        open_table(file, lambda name: True)


def test_a_picture_in_many_rows_of_parquet(tmp_path: Path) -> None:
    pictures = pa.DictionaryArray.from_arrays(pa.array(np.zeros(400, np.int32)), [b"x" * 900_000])
    pq.write_table(pa.table({"picture": pictures}), tmp_path / "t.parquet", store_schema=False)
    assert (tmp_path / "t.parquet").stat().st_size < 500_000
    table = open_table(tmp_path / "t.parquet", lambda name: True)
    with pytest.raises(ValueError, match=r"its .* bytes stand for"):
        deque(table.embedded["picture"](), maxlen=0)


# --- pictures ------------------------------------------------------------------------------------


def scans(times: int) -> bytes:
    """A progressive JPEG whose last scan is there many times."""
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(buffer, "JPEG", progressive=True)
    content = buffer.getvalue()
    last = content.rindex(b"\xff\xda")
    return content[:last] + times * content[last:-2] + b"\xff\xd9"


def test_a_jpeg_with_scans_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cage_lightning.data.jpeg._FEW_PIXELS", 0)  # else so small a one is decoded
    (tmp_path / "face.jpg").write_bytes(scans(200))
    with pytest.raises(DataError, match=r"face\.jpg: DecompressionBombError: 2\d\d scans of 32x32"):
        decode_image(tmp_path / "face.jpg", 16)
    (tmp_path / "face.jpg").write_bytes(scans(1))
    assert decode_image(tmp_path / "face.jpg", 16).shape == (3, 16, 16)


def test_fewer_scans_of_more_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cage_lightning.data.jpeg._FEW_PIXELS", 0)
    monkeypatch.setattr("cage_lightning.data.images._PIXELS_OF_SCANS", 20 * 32 * 32)
    (tmp_path / "face.jpg").write_bytes(scans(30))
    with pytest.raises(DataError, match=r"\d\d scans of 32x32 pixels"):
        decode_image(tmp_path / "face.jpg", 16)


@pytest.mark.parametrize("size", [64_000, LARGEST_IMAGE + 1])
def test_pictures_larger_than_any_network_takes(size: int) -> None:
    source: Any = SimpleNamespace(own_splits=("train", "test"))
    settings: Any = {"margin": 0, "batch_size": 1, "num_workers": 0, "selection": "test", "seed": 0}
    rest: Any = {"balance": False, "class_weights": "none", "augment": None}
    with pytest.raises(ConfigError, match=rf"data\.image_size={size} is more than 2048 pixels"):
        ExpressionData(source, image_size=size, **settings, **rest)
    reencoded = ("reencode=true", f"data.image_size={size}")
    with pytest.raises(ConfigError, match=rf"data\.image_size={size} is more than 2048 pixels"):
        prepare(composed("data=demo8", *reencoded, config_name="prepare"))
