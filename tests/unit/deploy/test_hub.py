"""Exports on a hub: a service on this machine that answers as the Hugging Face hub does."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from cage_lightning import ExpressionModel
from cage_lightning.deploy.description import Backbone, Description
from cage_lightning.deploy.hub import fetch, push, repository_of
from cage_lightning.deploy.loading import Loaded
from cage_lightning.deploy.networks import Networks
from cage_lightning.deploy.preprocessing import Preprocessing
from cage_lightning.deploy.writing import write_config, write_weights
from cage_lightning.errors import CheckpointError, ConfigError, OutputError
from cage_lightning.labels import AFFECTNET_8, OutputLayout
from tests.conftest import Command
from tests.hub_service import TOKEN, Hub


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[Hub]]:
    with Hub.running() as env:
        for key, value in (env | {"HF_HOME": str(tmp_path / "hf")}).items():
            monkeypatch.setenv(key, value)
        yield Hub


@pytest.fixture
def export(tmp_path: Path) -> Path:
    layout = OutputLayout(AFFECTNET_8, categories=True, affect=True)
    description = Description(layout, Backbone("tiny"), Preprocessing(32))
    folder = tmp_path / "export"
    folder.mkdir()
    loaded = Loaded(description, Networks([description.build("here")], layout).eval())
    write_weights(folder, loaded)
    (folder / "README.md").write_text("---\nlibrary_name: cage-lightning\n---\n")
    write_config(folder, loaded, {}, {}, {})
    (folder / "notes.txt").write_text("mine")
    return folder


def test_what_is_pushed_is_loaded_again(hub: type[Hub], export: Path) -> None:
    repository = repository_of("faces")
    assert repository == "me/faces"
    push(export, repository, private=True)
    assert hub.private == {"me/faces": True}
    assert hub.files["me/faces"].keys() == {"README.md", "config.json", "model.safetensors"}
    images = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    for address in ("hf://me/faces", "hf://me/faces@main"):
        found = ExpressionModel.load(address, device="cpu").predict_crops(images)
        local = ExpressionModel.load(export, device="cpu").predict_crops(images)
        assert found.columns() == local.columns()
    assert set(hub.got) == {"config.json", "model.safetensors"}


def test_predict_takes_an_address(hub: type[Hub], export: Path, command: Command) -> None:
    push(export, "me/faces", private=True)
    Image.new("RGB", (40, 40)).save(export.parent / "face.png")
    settings = ("source=face.png", "faces=none", "output=rows.csv")
    service = {key: os.environ[key] for key in ("HF_ENDPOINT", "HF_HOME", "HF_TOKEN")}
    done = command("predict", "checkpoint=hf://me/faces", *settings, **service)
    assert "1 files, 1 faces" in done.stdout


def test_without_a_network_what_was_downloaded_is_used(
    hub: type[Hub], export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(export, "me/faces", private=False)
    folder = fetch("hf://me/faces")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    assert fetch("hf://me/faces") == folder
    began = time.monotonic()
    with pytest.raises(CheckpointError, match=r"cannot be reached.*hf download me/other"):
        fetch("hf://me/other")
    with pytest.raises(OutputError, match=r"complete; upload it with `hf upload me/faces"):
        push(export, "me/faces", private=True)
    assert time.monotonic() - began < 60  # no retries for minutes


def test_who_is_not_logged_in_is_told_so(
    hub: type[Hub], export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(ConfigError, match=r"401.*hf auth login"):  # before any work
        repository_of("faces")
    with pytest.raises(OutputError, match=r"401.*hf auth login.*complete") as caught:
        push(export, "me/faces", private=True)
    assert "hf_wrong" not in str(caught.value)
    assert TOKEN not in str(caught.value)
    with pytest.raises(CheckpointError, match="404"):
        fetch("hf://me/missing")


@pytest.mark.parametrize("name", ["", "a/b/c", "../x", "me/a b", "http://x/y"])
def test_what_is_no_repository_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="NAME or USER/NAME"):
        repository_of(name)
    with pytest.raises(CheckpointError, match="is no address"):
        fetch(f"hf://{name}@")
