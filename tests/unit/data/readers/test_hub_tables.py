"""Data sets of a hub: a service on this machine that answers as the Hugging Face hub does."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cage_lightning.data.readers.table import hub
from cage_lightning.errors import CageError, ConfigError, DataError
from tests.conftest import Command
from tests.hub_service import Hub
from tests.own_tables import opened
from tests.unit.data.readers.test_embedded_pictures import hub_table


def test_a_data_set_is_downloaded_once(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, root = io.BytesIO(), tmp_path / "faces"
    pq.write_table(hub_table(["tense", "calm"]), file)
    settings = ("data=table", "data.name=faces", f"data.root={root}")
    with Hub.running() as service:
        Hub.files["datasets/me/faces"] = {
            "README.md": b"---\n---\n",
            **{
                f"data/{split}-00000-of-00001.parquet": file.getvalue()
                for split in ("train", "test")
            },
        }
        environment = service | {"HF_HOME": str(tmp_path / "hf")}
        command("prepare", *settings, "data.table=hf://me/faces", **environment)
    card = json.loads((tmp_path / "faces.store/faces/datacard.json").read_text())
    assert {split: about["samples"] for split, about in card["splits"].items()} == {
        "train": 4,
        "test": 4,
    }
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    for table in ("hf://me/faces", None):
        source = opened(root, name="again", table=table)
        assert source.own_split("test").space.categories == ("calm", "tense")
    with pytest.raises(
        ConfigError, match=r"hf://me/other is downloaded into .* holds something else"
    ):
        opened(root, table="hf://me/other")


def test_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DataError, match=r"cannot be reached.*save_to_disk.*data\.root=") as error:
        opened(tmp_path / "faces", table="hf://me/faces")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "faces").exists()


def test_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> Any:
        raise ImportError

    monkeypatch.setattr(hub, "import_extra", missing)
    with pytest.raises(ConfigError, match=r"pip install 'cage-lightning\[hub\]'"):
        opened(tmp_path / "faces", table="hf://me/faces")


@pytest.mark.parametrize(
    "address", ["hf://", "hf://faces", "hf://a/../b", "hf://a/b/c/d", "hf://a/b@"]
)
def test_what_is_no_address(address: str, tmp_path: Path) -> None:
    with pytest.raises(CageError, match="is no address"):
        opened(tmp_path / "faces", table=address)
