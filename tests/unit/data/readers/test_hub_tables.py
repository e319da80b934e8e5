"""Data sets of a hub: a service on this machine that answers as the Hugging Face hub does."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cage_lightning.data.readers.table.hub_files import choose_tables
from cage_lightning.errors import CageError, ConfigError, DataError
from tests.hub_service import Hub
from tests.own_tables import opened
from tests.unit.data.readers.test_embedded_pictures import hub_table

FACES = "datasets/me/faces"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[Hub]]:
    """A hub with a data set of two splits; the folders in use are below `tmp_path`."""
    with Hub.running() as service:
        for key, value in (service | {"HF_HOME": str(tmp_path / "hf")}).items():
            monkeypatch.setenv(key, value)
        Hub.files[FACES] = repository("data/train-00000-of-00001", "data/test-00000-of-00001")
        yield Hub


def repository(*tables: str) -> dict[str, bytes]:
    file = io.BytesIO()
    pq.write_table(hub_table(["tense", "calm"]), file)
    return {"README.md": b"---\n---\n", "faces.py": b"raise SystemExit"} | {
        f"{table}.parquet": file.getvalue() for table in tables
    }


def test_a_data_set_is_downloaded_once(
    hub: type[Hub], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "faces"
    first = opened(root, table="hf://me/faces").own_split("test")
    assert sorted(hub.got) == [f"data/{s}-00000-of-00001.parquet" for s in ("test", "train")]
    origin = json.loads((root / "hub.json").read_text())
    assert origin["address"] == "hf://me/faces"
    assert len(origin["commit"]) == 40
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    for table in ("hf://me/faces", None):
        again = opened(root, table=table).own_split("test")
        assert again.id.tolist() == first.id.tolist()
        assert again.space.categories == ("tense", "calm")
    with pytest.raises(
        ConfigError, match=r"hf://me/other is downloaded into .* holds something else"
    ):
        opened(root, table="hf://me/other")


def test_a_download_that_was_interrupted_goes_on(hub: type[Hub], tmp_path: Path) -> None:
    hub.lost = {"data/train-00000-of-00001.parquet"}
    with pytest.raises(DataError, match="the hub answers 404"):
        opened(tmp_path / "faces", table="hf://me/faces")
    assert not (tmp_path / "faces").exists()
    hub.lost = set()
    assert opened(tmp_path / "faces", table="hf://me/faces").own_splits == ("train", "test")
    assert hub.got == [f"data/{s}-00000-of-00001.parquet" for s in ("test", "train")]


def test_a_private_data_set_needs_a_token(
    hub: type[Hub], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.private[FACES] = True
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(DataError, match=r"hub answers 401.*hf auth login") as error:
        opened(tmp_path / "faces", table="hf://me/faces")
    assert "\n" not in str(error.value)


def test_what_holds_no_tables_is_read_as_the_hub_has_converted_it(
    hub: type[Hub], tmp_path: Path
) -> None:
    hub.files[FACES] = {"faces.py": b"raise SystemExit", "train/1.png": b"", "meta.csv": b""}
    with pytest.raises(DataError, match=r"holds no Parquet, .*save_to_disk.*data\.root") as error:
        opened(tmp_path / "faces", table="hf://me/faces")
    assert "\n" not in str(error.value)
    hub.converted[FACES] = repository("default/train/0000", "default/train/0001")
    source = opened(tmp_path / "faces", table="hf://datasets/me/faces")
    assert source.own_splits == ("train", "test")  # the test split is drawn
    hub.converted[FACES] = repository("default/partial-train/0000")
    with pytest.raises(DataError, match="only a part of it as Parquet"):
        opened(tmp_path / "again", table="hf://me/faces")


def test_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DataError, match=r"cannot be reached.*hf download.*data\.root=") as error:
        opened(tmp_path / "faces", table="hf://me/faces")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "faces").exists()


@pytest.mark.parametrize(
    "record",
    ['{"tables": 7}', '{"tables": [["train", "../x.parquet"]]}', '{"tables": [["all", "x.csv"]]}'],
)
def test_a_record_that_is_damaged(record: str, tmp_path: Path) -> None:
    (tmp_path / "hub.json").write_text(record)
    with pytest.raises(DataError, match=r"hub\.json: names no tables: delete .* to download"):
        opened(tmp_path)


@pytest.mark.parametrize(
    "address", ["hf://", "hf://faces", "hf://a/../b", "hf://a/b/c/d", "hf://a/b@"]
)
def test_what_is_no_address(address: str, tmp_path: Path) -> None:
    with pytest.raises(CageError, match="is no address"):
        opened(tmp_path / "faces", table=address)


def config(name: str, files: Any, **more: Any) -> dict[str, Any]:
    return {"config_name": name, "data_files": files, **more}


SPLITS = [
    {"split": "train", "path": "data/train-*"},
    {"split": "test", "path": ["data/test-*", "more/**/t*.parquet"]},
]
HELD = ["README.md", "x.py", "data/train-0.parquet", "data/test-0.parquet", "more/a/b/t.parquet"]
TRAIN, TEST = ("train", "data/train-0.parquet"), ("test", "data/test-0.parquet")


@pytest.mark.parametrize(
    ("files", "configs", "subset", "expected"),
    [
        (HELD, [config("default", SPLITS)], None, [TRAIN, TEST, ("test", "more/a/b/t.parquet")]),
        (HELD, [config("one", "data/train*"), config("two", SPLITS[1:])], "one", [TRAIN]),
        (HELD, [config("a", SPLITS[1:]), config("b", "data/tr*", default=True)], None, [TRAIN]),
        (HELD, [config("x", {"train": "data/train-*", "fold": "more/**"})], None, [TRAIN]),
        (
            HELD,
            [config("x", [{"split": "all", "path": "data/t*"}])],
            None,
            [("", TEST[1]), ("", TRAIN[1])],
        ),
        (["train.parquet", "x/train.parquet"], None, None, [("train", "train.parquet")]),
        (["en/test/0.parquet", "de/test/0.parquet"], None, "en", [("test", "en/test/0.parquet")]),
        (
            ["a.parquet", "b.arrow", "c.csv", ".d/e.tar"],
            7,
            None,
            [("", "a.parquet"), ("", "b.arrow")],
        ),
        (
            ["x/test-0.tar", "x/train-00001.tar"],
            [{}, 7],
            None,
            [("test", "x/test-0.tar"), ("train", "x/train-00001.tar")],
        ),
        (["../train.parquet", "/test.parquet", "a.csv"], [config("x", "**")], None, []),
    ],
)
def test_which_files_of_a_repository_are_tables(
    files: list[str], configs: Any, subset: str | None, expected: list[tuple[str, str]]
) -> None:
    assert choose_tables("hf://me/faces", files, configs, subset) == expected


@pytest.mark.parametrize(
    ("files", "configs", "subset", "message"),
    [
        (HELD, [config("a", SPLITS), config("b", SPLITS)], None, r"which subset\? .*'a', 'b'"),
        (HELD, [config("a", SPLITS)], "c", r"which subset\? There is 'a'"),
        (["en/train.parquet", "de/train.parquet"], None, None, r"'de', 'en': name it"),
        (HELD, [config("a", {"u": "data/tr*", "v": "data/te*"})], None, "none of the splits 'u'"),
    ],
)
def test_a_choice_that_is_not_clear(
    files: list[str], configs: Any, subset: str | None, message: str
) -> None:
    with pytest.raises(CageError, match=message):
        choose_tables("hf://me/faces", files, configs, subset)
