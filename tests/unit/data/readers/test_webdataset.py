"""Shards of WebDataset: the picture and the labels of a sample as files side by side in a tar."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from cage_lightning.errors import CageError, DataError
from tests.own_tables import opened
from tests.unit.data.readers.test_embedded_pictures import COLOURS, colours, picture


def write_shard(file: Path, files: Mapping[str, bytes], mode: str = "w:") -> None:
    with tarfile.open(file, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def labelled(start: int = 0) -> dict[str, bytes]:
    """Four samples, each a picture and its labels."""
    files = {}
    for k, colour in enumerate(COLOURS):
        labels = {"emotion": ["calm", "tense"][k % 2], "valence": k + 1, "more": {"a": 1}}
        files[f"faces/{start + k:04d}.json"] = json.dumps(labels).encode()
        files[f"faces/{start + k:04d}.seg.png"] = b"no picture"
        files[f"faces/{start + k:04d}.PNG"] = picture(colour)
    return files


def test_shards_are_read_as_a_table(tmp_path: Path) -> None:
    write_shard(tmp_path / "train-0000.tar", labelled())
    write_shard(tmp_path / "train-0001.tar", labelled(4))
    write_shard(tmp_path / "test-0000.tar", labelled())
    source = opened(tmp_path, columns={"id": "__key__"})
    train = source.own_split("train")
    assert train.id.tolist() == [f"faces/{k:04d}" for k in range(8)]
    assert colours(train) == COLOURS * 2
    assert train.space.categories == ("calm", "tense")
    assert source.own_split("test").affect[:, 0].tolist() == [-1, -0.75, -0.5, -0.25]


def test_labels_as_text(tmp_path: Path) -> None:
    files = {"a.png": picture(COLOURS[0]), "a.cls": b"1\n", "b.png": b"", "b.cls": b"0"}
    write_shard(tmp_path / "x.tar", files | {"c.cls": b"1", ".DS_Store": b""})
    with pytest.raises(
        DataError, match=r"x\.tar, sample b, column 'image'.*names no picture.*2 wrong"
    ):
        opened(tmp_path, test_fraction=1).own_split("test")


def linked(file: Path, target: str) -> None:
    with tarfile.open(file, "w:") as archive:
        member = tarfile.TarInfo("a.png")
        member.type, member.linkname = tarfile.SYMTYPE, target
        archive.addfile(member)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"../a.png": b"", "b.json": b"{}"}, r"'\.\./a\.png' is a link, a device, or no path"),
        ({"/etc/a.png": b""}, "is a link, a device, or no path"),
        ({"a.json": b"[1]"}, "is no JSON object"),
        ({"a.json": b"{"}, "not a readable .tar file"),
        ({"a.txt": b"x" * (1 << 21)}, "too large for a label"),
        ({}, "holds no rows"),
    ],
)
def test_a_shard_that_is_refused(files: dict[str, bytes], message: str, tmp_path: Path) -> None:
    write_shard(tmp_path / "x.tar", files)
    with pytest.raises(CageError, match=message) as error:
        opened(tmp_path)
    assert "\n" not in str(error.value)


def test_links_and_other_archives_are_refused(tmp_path: Path) -> None:
    linked(tmp_path / "x.tar", "/etc/passwd")
    with pytest.raises(DataError, match=r"'a\.png' is a link"):
        opened(tmp_path)
    write_shard(tmp_path / "x.tar", labelled(), mode="w:gz")
    with pytest.raises(DataError, match=r"x\.tar: not a readable \.tar file"):
        opened(tmp_path)


def test_a_shard_that_is_cut_off(tmp_path: Path) -> None:
    write_shard(tmp_path / "x.tar", labelled())
    content = (tmp_path / "x.tar").read_bytes()
    (tmp_path / "x.tar").write_bytes(content[: len(content) // 3])
    with pytest.raises(DataError, match=r"x\.tar: not a? ?readable"):
        opened(tmp_path, test_fraction=1).own_split("test")


def test_an_archive_beside_the_table_is_left_alone(tmp_path: Path) -> None:
    write_shard(tmp_path / "pictures.tar", labelled())
    (tmp_path / "a.png").write_bytes(picture(COLOURS[0]))
    (tmp_path / "b.png").write_bytes(picture(COLOURS[1]))
    (tmp_path / "labels.csv").write_text("file,label\na.png,calm\nb.png,tense\n")
    (tmp_path / "licence.txt").write_text("CC BY 4.0")
    assert opened(tmp_path, test_fraction=1).own_split("test").path.tolist() == ["a.png", "b.png"]
