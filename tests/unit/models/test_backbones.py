"""Networks by name: layouts and counts of the published checkpoints, heads, sizes, configs."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
import yaml
from hydra.utils import instantiate
from torch import nn
from torch.nn import functional as F
from torchvision import models

from cage_lightning.errors import ConfigError
from cage_lightning.models import build_network, load_weights
from cage_lightning.models.backbones import _OURS, _TORCHVISION
from cage_lightning.models.tiny import TinyNetwork
from cage_lightning.models.weights import head_of
from tests.outlines import outline, outlines, undrawn

CONFIGS = sorted((Path(__file__).parents[3] / "conf" / "model").glob("*.yaml"))
WIDTHS = (2, 7, 8, 9, 10, 29)

# parameters without the last layer, parameters per output, entries of the state dict
PUBLISHED = {
    "maxvit_t": (30_407_624, 512, 582),
    "efficientnet_v2_s": (20_177_488, 1281, 782),
    "swin_v2_t": (27_582_570, 769, 233),
}


def plain_torchvision(name, num_outputs, dropout=None):
    """The published construction: torchvision's network with a head put in by hand."""
    network = models.get_model(name, weights=None)
    if name == "maxvit_t":
        network.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.LayerNorm(512),
            nn.Linear(512, 512),
            nn.Tanh(),
            *([nn.Dropout(dropout)] if dropout else []),
            nn.Linear(512, num_outputs, bias=False),
        )
    elif name == "efficientnet_v2_s":
        network.classifier[1] = nn.Linear(1280, num_outputs)
    else:
        network.head = nn.Linear(768, num_outputs)
    return network


@pytest.mark.parametrize("num_outputs", WIDTHS)
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_counts(name, num_outputs):
    network = outline(name, num_outputs)
    base, per_output, entries = PUBLISHED[name]
    assert sum(p.numel() for p in network.parameters()) == base + per_output * num_outputs
    assert len(network.state_dict()) == entries


def test_valence_arousal_head_of_maxvit_has_dropout_before_the_last_layer():
    network = outline("maxvit_t", 2, head_dropout=0.3)
    head = {k: tuple(v.shape) for k, v in network.state_dict().items() if "classifier" in k}
    assert head == {
        "classifier.2.weight": (512,),
        "classifier.2.bias": (512,),
        "classifier.3.weight": (512, 512),
        "classifier.3.bias": (512,),
        "classifier.6.weight": (2, 512),
    }
    dropout = network.get_submodule("classifier.5")
    assert isinstance(dropout, nn.Dropout)
    assert dropout.p == 0.3
    assert sum(p.numel() for p in network.parameters()) == 30_408_648


@pytest.mark.parametrize(
    "name",
    [
        "maxvit_t",
        *(pytest.param(name, marks=pytest.mark.slow) for name in PUBLISHED if name != "maxvit_t"),
    ],
)
def test_plain_torchvision_weights_load_strictly_and_give_the_same_outputs(name):
    torch.manual_seed(0)
    dropout = 0.3 if name == "maxvit_t" else None
    reference = plain_torchvision(name, 10, dropout).eval()
    with undrawn():
        network = build_network(name, 10, weights="none", head_dropout=dropout).eval()

    assert load_weights(network, reference.state_dict(), strict=True).head_loaded

    image = torch.randn(1, 3, 224, 224)
    with torch.inference_mode():
        torch.testing.assert_close(network(image), reference(image), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["efficientnet_v2_s", "swin_v2_t", "maxvit_mini"])
def test_new_heads_are_drawn_as_pytorch_draws_a_linear_layer(name):
    network = build_network(name, 10, weights="none", image_size=64)
    last = [m for m in network.modules() if isinstance(m, nn.Linear)][-1]
    # uniform within 1 / sqrt(in_features), and close to it: 10 * 32 draws or more
    bound = last.in_features**-0.5
    assert 0.9 * bound < last.weight.abs().max() <= bound


@pytest.mark.parametrize(
    ("name", "size"),
    [
        *(("tiny", size) for size in (17, 32, 33, 48, 50, 64, 96)),
        ("small", 48),
        ("maxvit_mini", 64),
        ("resnet18", 40),
    ],
)
def test_small_networks_train(name, size):
    network = build_network(name, 10, weights="none", image_size=size)
    outputs = network(torch.randn(2, 3, size, size))
    assert outputs.shape == (2, 10)
    outputs.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_tiny_treats_every_sample_by_itself():
    """So that the gradient over four devices is the one over the whole batch."""
    torch.manual_seed(0)
    network = TinyNetwork(10).train()
    images = torch.randn(4, 3, 64, 64)
    torch.testing.assert_close(network(images)[:1], network(images[:1]), rtol=1e-5, atol=1e-6)


def test_timm_network_with_a_fixed_size_is_built_for_the_size_asked_for():
    network = build_network("vit_tiny_patch16_224", 3, weights="none", image_size=64)
    assert network.get_parameter("pos_embed").shape[1] == 1 + 4 * 4


def test_maxvit_mini_has_the_head_layout_of_maxvit_t():
    def head(name, size):
        return [k for k in outline(name, 10, image_size=size).state_dict() if "classifier" in k]

    assert head("maxvit_mini", 64) == head("maxvit_t", 224)


@pytest.mark.parametrize(
    ("name", "size"), [("maxvit_t", 192), ("maxvit_mini", 96), ("tiny", 16), ("small", 8)]
)
def test_size_that_does_not_fit_is_refused(name, size):
    fits = {"maxvit_t": 224, "maxvit_mini": 128, "tiny": 17, "small": 17}[name]
    said = rf"{name} takes pictures of .* set model.image_size={fits} \(got {size}\)"
    with pytest.raises(ConfigError, match=said):
        outline(name, 10, image_size=size)
    outline(name, 10, image_size=fits)


@pytest.mark.parametrize(
    ("size", "side"), [(17, 2), (32, 2), (33, 3), (48, 3), (49, 2), (64, 2), (80, 2), (100, 2)]
)
def test_tiny_pools_to_quarters_as_adaptive_pooling_would(size, side):
    network = TinyNetwork(7, size)
    features = torch.randn_like(network.features(torch.zeros(1, 3, size, size)))
    pooled = network.classifier[0](features)
    torch.testing.assert_close(pooled, F.adaptive_avg_pool2d(features, side))


def test_small_is_tiny_with_twice_the_channels():
    tiny, small = (outline(name, 7, image_size=64).state_dict() for name in ("tiny", "small"))
    assert tiny.keys() == small.keys()
    for name in tiny:
        factor = 1 if name.startswith("classifier") else 2
        assert len(small[name]) == factor * len(tiny[name])
    assert 480_000 < sum(parameter.numel() for parameter in small.values()) < 500_000


def test_maxvit_takes_multiples_of_its_size():
    assert len(outline("maxvit_t", 10, image_size=448).state_dict()) == 582


def test_unknown_names_suggest_a_close_one():
    with pytest.raises(ConfigError, match=r"no network 'swin_v2_tt': did you mean swin_v2_t"):
        outline("swin_v2_tt", 10)
    with pytest.raises(ConfigError, match=r"did you mean maxvit_t, "):
        outline("?", 10)
    with pytest.raises(ConfigError, match=r"Invalid pretrained tag \(nonsense\)"):
        outline("resnet18.nonsense", 10)


def test_head_dropout_belongs_to_maxvit():
    with pytest.raises(ConfigError, match="swin_v2_t has no head_dropout"):
        outline("swin_v2_t", 2, head_dropout=0.3)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_builds_and_runs(path):
    node = yaml.safe_load(path.read_text(encoding="utf-8"))["model"]
    if path.stem == "timm":
        assert node["name"] == "???"
        node |= {"name": "resnet18", "image_size": 64}
    with undrawn():
        network = instantiate(node | {"weights": "none"})(num_outputs=10).eval()
    with torch.inference_mode():
        image = torch.randn(1, 3, node["image_size"], node["image_size"])
        assert network(image).shape == (1, 10)


def test_there_is_a_config_for_every_network():
    names = {yaml.safe_load(path.read_text(encoding="utf-8"))["model"]["name"] for path in CONFIGS}
    assert names >= {*_TORCHVISION, *_OURS, "???"}


def test_no_network_takes_the_place_of_one_of_timm():
    assert not [name for name in (*_TORCHVISION, *_OURS) if timm.is_model(name)]


def test_vision_transformers_have_a_head():
    with outlines():
        assert head_of(models.vit_b_16()) == ("heads",)
