"""ImageNet weights without internet access: the cache is used, or a clear error is raised."""

from __future__ import annotations

import hashlib
import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import huggingface_hub
import pytest
import timm
import torch
from huggingface_hub import constants
from huggingface_hub.errors import EntryNotFoundError
from safetensors.torch import save_file
from torchvision import models

from cage_lightning.errors import CheckpointError, ConfigError
from cage_lightning.models import build_network, pretrained
from tests.outlines import outlines, undrawn
from tests.present import present

NOBODY = "http://127.0.0.1:9"  # the discard port: refused at once


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    monkeypatch.setattr(constants, "ENDPOINT", NOBODY)
    url = pretrained._torchvision_url
    monkeypatch.setattr(
        pretrained, "_torchvision_url", lambda name: f"{NOBODY}/{url(name).rsplit('/')[-1]}"
    )


def cached(tmp_path, monkeypatch, network, digest=None):
    """Put weights into torchvision's cache, under a name with their hash or a wrong one."""
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(network.state_dict(), folder / "new")
    digest = digest or hashlib.sha256((folder / "new").read_bytes()).hexdigest()[:8]
    path = (folder / "new").rename(folder / f"network-{digest}.pth")
    monkeypatch.setattr(pretrained, "_torchvision_url", lambda _: f"{NOBODY}/{path.name}")
    return path


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("maxvit_t", "maxvit_t-bc5ab103.pth"),
        ("efficientnet_v2_s", "efficientnet_v2_s-dd5fe13b.pth"),
        ("swin_t", "swin_t-704ceda3.pth"),
        ("swin_v2_t", "swin_v2_t-b137f0e2.pth"),
    ],
)
def test_torchvision_weights_missing(tmp_path, name, file):
    with outlines(), pytest.raises(CheckpointError) as caught:
        build_network(name, 10)
    message = str(caught.value)
    assert "\n" not in message
    assert str(tmp_path / "torch" / "hub" / "checkpoints" / file) in message
    assert "model.weights=none or model.weights=FILE" in message


@pytest.mark.parametrize("hub_offline", [False, True])
def test_timm_weights_missing(tmp_path, monkeypatch, hub_offline):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", hub_offline)
    with pytest.raises(CheckpointError) as caught:
        build_network("resnet18", 10)
    message = str(caught.value)
    assert "\n" not in message
    folder = tmp_path / "hf" / "hub" / "models--timm--resnet18.a1_in1k"
    assert str(folder) in message
    assert "model.safetensors" in message
    assert ("HF_HUB_OFFLINE is set" in message) is hub_offline
    assert "model.weights=none or model.weights=FILE" in message


def test_cached_torchvision_weights_fill_the_backbone(tmp_path, monkeypatch):
    with undrawn():
        source = models.swin_v2_t()
        for number, tensor in enumerate(source.state_dict().values()):
            tensor.fill_(number)
        cached(tmp_path, monkeypatch, source)
        network = build_network("swin_v2_t", 10)
    wanted = source.state_dict()
    for name, tensor in network.state_dict().items():
        if name.startswith("head."):
            assert tensor.shape[0] == 10
        else:
            assert torch.equal(tensor, wanted[name]), name


def test_cached_torchvision_weights_with_a_wrong_hash_are_refused(tmp_path, monkeypatch):
    path = cached(tmp_path, monkeypatch, torch.nn.Linear(2, 2), digest="00000000")
    with outlines(), pytest.raises(CheckpointError, match=r"SHA-256 .*not 00000000"):
        build_network("swin_v2_t", 10)
    assert path.exists()


def test_downloaded_torchvision_weights_are_checked(tmp_path, monkeypatch):
    """A server sends another file; nothing of it remains in the cache."""
    (tmp_path / "server").mkdir()
    file = tmp_path / "server" / "network-00000000.pth"
    file.write_bytes(b"an error page")
    monkeypatch.setattr(pretrained, "_torchvision_url", lambda _: file.as_uri())
    with outlines(), pytest.raises(CheckpointError, match="cannot be fetched"):
        build_network("swin_v2_t", 10)
    assert list((tmp_path / "torch" / "hub" / "checkpoints").iterdir()) == []


def hub_cache(folder, filename, save, network):
    """The folder that the Hugging Face hub leaves after a download."""
    revision = "0" * 40
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(revision)
    snapshot = folder / "snapshots" / revision
    snapshot.mkdir(parents=True)
    save(network.state_dict(), snapshot / filename)
    (snapshot / "config.json").write_text(json.dumps({}))


@pytest.mark.parametrize(
    ("filename", "save"), [("model.safetensors", save_file), ("pytorch_model.bin", torch.save)]
)
def test_cached_timm_weights_fill_the_backbone(tmp_path, filename, save):
    source = timm.create_model("resnet10t", pretrained=False)
    repository = present(present(timm.get_pretrained_cfg("resnet10t")).hf_hub_id).replace("/", "--")
    hub_cache(tmp_path / "hf" / "hub" / f"models--{repository}", filename, save, source)
    network = build_network("resnet10t", 10)
    wanted = source.state_dict()
    for name, tensor in network.state_dict().items():
        if name.startswith("fc."):
            assert tensor.shape[0] == 10
        else:
            assert torch.equal(tensor, wanted[name]), name


def test_timm_weights_are_fetched_in_the_format_the_hub_has(monkeypatch):
    def download(repository, filename):
        if filename != "pytorch_model.bin":
            raise EntryNotFoundError(filename)
        return f"/fetched/{repository}/{filename}"

    monkeypatch.setattr(pretrained, "_probe", lambda url: None)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    file = pretrained.timm_file("resnet10t")
    assert file == Path("/fetched/timm/resnet10t.c3_in1k/pytorch_model.bin")


def test_probe_tells_silence_from_a_refusal():
    """Mirrors of the hub that refuse their own front page still have the files."""

    class Refuse(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_error(404)

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Refuse) as server:
        Thread(target=server.handle_request).start()
        pretrained._probe(f"http://127.0.0.1:{server.server_port}")
    with pytest.raises(OSError, match="refused"):
        pretrained._probe(NOBODY)


def test_networks_without_imagenet_weights():
    with pytest.raises(ConfigError, match=r"tiny has no ImageNet weights: .*model.weights=none"):
        build_network("tiny", 10, image_size=64)
    with pytest.raises(ConfigError, match="no pretrained weights for efficientnetv2_s"):
        build_network("efficientnetv2_s", 10)
