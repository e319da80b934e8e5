"""Weights from files: what is loaded, what is left out, and what is refused."""

from __future__ import annotations

import logging
import os

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from cage_lightning.errors import CheckpointError
from cage_lightning.models import build_network, load_weights, read_state_dict
from tests.outlines import outlines


def tiny(num_outputs=10, seed=0):
    torch.manual_seed(seed)
    return build_network("tiny", num_outputs, weights="none", image_size=64)


def same(network, state_dict):
    return all(torch.equal(v, state_dict[k]) for k, v in network.state_dict().items())


def save_bare(state_dict, path):
    torch.save(state_dict, path)


def save_lightning(state_dict, path):
    content = {f"network.{k}": v for k, v in state_dict.items()} | {"loss.weight": torch.ones(8)}
    hyper_parameters = {"lr": 5e-5, "categories": ["Neutral"]}
    torch.save({"state_dict": content, "epoch": 3, "hyper_parameters": hyper_parameters}, path)


@pytest.mark.parametrize(
    ("save", "name"),
    [
        (save_bare, "model.pt"),
        (save_bare, "best.pth"),
        (save_lightning, "best.ckpt"),
        (save_file, "model.safetensors"),
    ],
)
def test_every_file_format_reads_back(tmp_path, save, name):
    source = tiny().state_dict()
    save(source, tmp_path / name)
    state_dict = read_state_dict(tmp_path / name)
    assert state_dict.keys() == source.keys()

    network = build_network("tiny", 10, weights=str(tmp_path / name), image_size=64)
    assert same(network, source)


def test_head_of_another_width_is_left_out_and_reported(caplog):
    source, network = tiny(10, seed=1), tiny(2, seed=2)
    before = network.classifier[-1].weight.clone()
    with caplog.at_level(logging.INFO):
        report = load_weights(network, source.state_dict())

    assert not report.head_loaded
    assert report.left_out == ("classifier.2.weight", "classifier.2.bias")
    assert "not loaded, it starts anew: of another shape: classifier.2.weight [10, " in caplog.text
    assert torch.equal(network.classifier[-1].weight, before)
    assert same(network.features, source.features.state_dict())


def test_head_is_loaded_whole_or_not_at_all():
    """From combined to valence-arousal, the inner layers of the MaxViT head fit, the last not."""
    source = build_network("maxvit_mini", 10, weights="none", image_size=64)
    network = build_network("maxvit_mini", 2, weights="none", image_size=64, head_dropout=0.3)
    inner = network.get_parameter("classifier.3.weight").clone()
    report = load_weights(network, source.state_dict())

    assert "classifier.3.weight" in report.left_out
    assert torch.equal(network.get_parameter("classifier.3.weight"), inner)
    assert same(network.blocks, source.get_submodule("blocks").state_dict())


def test_head_that_fits_is_loaded():
    source, network = tiny(seed=1), tiny(seed=2)
    report = load_weights(network, source.state_dict())
    assert report.head_loaded
    assert report.left_out == ()
    assert same(network, source.state_dict())


def test_head_of_a_timm_network():
    source = build_network("resnet18", 10, weights="none")
    network = build_network("resnet18", 2, weights="none")
    assert load_weights(network, source.state_dict()).left_out == ("fc.weight", "fc.bias")


def test_strict_refuses_another_head():
    with pytest.raises(CheckpointError, match=r"another head.*classifier.2.weight \[10, "):
        load_weights(tiny(2), tiny(10).state_dict(), strict=True)


def test_strict_says_that_the_file_has_a_dropout_head():
    with outlines():
        source = build_network("maxvit_t", 2, weights="none", head_dropout=0.3)
        network = build_network("maxvit_t", 2, weights="none")
    with pytest.raises(
        CheckpointError, match=r"it looks like maxvit_t, va, 2 .*model.head_dropout=PROB"
    ):
        load_weights(network, source.state_dict(), strict=True)


def test_another_backbone_is_refused_by_name():
    with outlines():
        source = build_network("efficientnet_v2_s", 10, weights="none").state_dict()
    with pytest.raises(CheckpointError) as caught:
        load_weights(tiny(), source)
    message = str(caught.value)
    assert "\n" not in message
    assert "TinyNetwork: missing: features.0.3.weight, " in message
    assert "unexpected: features.0.1.running_mean, " in message
    assert "more" in message
    assert "shape: features.0.0.weight [24, 3, 3, 3] instead of [16, 3, 3, 3]" in message
    assert "looks like efficientnet_v2_s, combined on affectnet8, 10 outputs" in message


def test_backbone_is_never_loaded_in_part():
    network = tiny(seed=1)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    source = tiny(seed=2).state_dict()
    source.pop("features.3.0.weight")
    source["features.0.0.weight"] = torch.zeros(7, 3, 3, 3)
    with pytest.raises(CheckpointError) as caught:
        load_weights(network, source)
    assert "missing: features.3.0.weight" in str(caught.value)
    assert "features.0.0.weight [7, 3, 3, 3] instead of [" in str(caught.value)
    assert same(network, before)


class Payload:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("wrap", [lambda p: p, lambda p: {"state_dict": {}, "extra": p}])
def test_code_in_a_file_is_refused_and_not_run(tmp_path, wrap):
    torch.save(wrap(Payload(tmp_path / "ran")), tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match=r"posix.system, which could run code"):
        read_state_dict(tmp_path / "model.pt")
    assert not (tmp_path / "ran").exists()


def test_object_without_tensors_is_refused(tmp_path):
    torch.save(nn.Identity(), tmp_path / "model.pt")
    with pytest.raises(
        CheckpointError, match=r"Identity, which could run code.*state_dict\(\), FI"
    ):
        read_state_dict(tmp_path / "model.pt")


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors"])
@pytest.mark.parametrize("content", [b"", b"hello world, no checkpoint", b"PK\x03\x04 cut"])
def test_damaged_files_are_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"{name} is damaged or no weight file"):
        read_state_dict(tmp_path / name)


def test_truncated_file_is_named(tmp_path):
    path = tmp_path / "model.pt"
    torch.save(tiny().state_dict(), path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(CheckpointError, match=r"model.pt is damaged"):
        read_state_dict(path)


@pytest.mark.parametrize(
    "content", [torch.ones(3), [1, 2], {}, {"epoch": 3}, {"state_dict": {"a": "b"}}]
)
def test_files_without_tensors_by_name_are_refused(tmp_path, content):
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match="holds no state dict"):
        read_state_dict(tmp_path / "model.pt")


def test_missing_file(tmp_path):
    with pytest.raises(CheckpointError, match=r"there is no weight file .*nowhere.pt"):
        build_network("tiny", 10, weights=str(tmp_path / "nowhere.pt"), image_size=64)
