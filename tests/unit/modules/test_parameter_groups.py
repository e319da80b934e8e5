"""How parameters step, and how fast they learn: each in one group, by the order of the blocks."""

from __future__ import annotations

from functools import partial
from itertools import chain
from typing import Any

import pytest
import timm
import torch
from lightning.pytorch import Trainer
from timm.optim._param_groups import param_groups_layer_decay
from torch import nn

from cage_lightning.errors import ConfigError
from cage_lightning.labels import AFFECTNET_8
from cage_lightning.models import build_network
from cage_lightning.models.blocks import depths
from cage_lightning.modules import CombinedModule
from cage_lightning.modules.parameter_groups import all_at_once, grouped
from tests.outlines import outline

ADAMW: Any = partial(torch.optim.AdamW, lr=0.1, weight_decay=0.05)
# The number of blocks below the head, as the papers of the networks count them: the stem, the
# blocks of the stages, what lies between stages, a last convolution.
BLOCKS = {
    "tiny": 4,
    "small": 4,
    "maxvit_mini": 2 + 4,
    "maxvit_t": 2 + (2 + 2 + 5 + 2),
    "efficientnet_v2_s": 1 + (2 + 4 + 4 + 6 + 9 + 15) + 1,
    "swin_t": 1 + (2 + 2 + 6 + 2) + 3,
    "swin_v2_t": 1 + (2 + 2 + 6 + 2) + 3,
    "resnet18": 1 + (2 + 2 + 2 + 2),
}
_SIZES = {"maxvit_mini": 64, "tiny": 32, "small": 32}


def network_of(name: str) -> nn.Module:
    return outline(name, 10, image_size=_SIZES.get(name, 224))


def names_by_group(optimizer: torch.optim.Optimizer, module: nn.Module) -> list[list[str]]:
    name = {id(parameter): name for name, parameter in module.named_parameters()}
    return [[name[id(p)] for p in group["params"]] for group in optimizer.param_groups]


@pytest.mark.parametrize("name", BLOCKS)
def test_every_parameter_is_in_one_group_and_the_blocks_are_in_order(name: str) -> None:
    network = network_of(name)
    depth = depths(network)
    names = [parameter for parameter, _ in network.named_parameters()]
    assert depth.keys() == set(names)
    numbers = [depth[parameter] for parameter in names]
    assert numbers == sorted(numbers), "they are declared in the order of the forward pass"
    assert set(numbers) == set(range(BLOCKS[name] + 1))

    module = CombinedModule(network, AFFECTNET_8)
    optimizer = grouped(ADAMW, module, network, 0.5, False)
    groups = names_by_group(optimizer, module)
    assert sum(map(len, groups)) == len(names)
    assert {*chain(*groups)} == {f"network.{parameter}" for parameter in names}
    for group, of_group in zip(optimizer.param_groups, groups, strict=True):
        scales = {0.5 ** (BLOCKS[name] - depth[one.removeprefix("network.")]) for one in of_group}
        assert scales == {group["lr_scale"]}
        assert group["lr"] == pytest.approx(0.1 * group["lr_scale"])
        pairs = zip(of_group, group["params"], strict=True)
        exempt = {p.ndim == 1 or one.endswith("relative_position_bias_table") for one, p in pairs}
        assert group["weight_decay"] == (0 if exempt == {True} else 0.05)
        assert len(exempt) == 1


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224", "convnext_atto"])
def test_the_groups_are_those_of_timm(name: str) -> None:
    with torch.device("meta"):
        network = timm.create_model(name, num_classes=10)
    listed: Any = getattr(network, "no_weight_decay", set)
    expected = param_groups_layer_decay(network, 0.05, listed(), layer_decay=0.75)
    module = CombinedModule(network, AFFECTNET_8)
    found = grouped(ADAMW, module, network, 0.75, False).param_groups

    def plain(groups: list[dict[str, Any]]) -> set[tuple[frozenset[int], float, float]]:
        return {
            (frozenset(map(id, one["params"])), round(one["lr_scale"], 9), one["weight_decay"])
            for one in groups
        }

    assert plain(found) == plain(expected)


def test_by_default_the_groups_are_those_of_before() -> None:
    network = network_of("tiny")
    module = CombinedModule(network, AFFECTNET_8)
    (found,) = grouped(ADAMW, module, network).param_groups
    (expected,) = ADAMW(module.parameters()).param_groups
    assert found.keys() == expected.keys()
    assert [*map(id, found["params"])] == [*map(id, expected["params"])]


def test_parameters_outside_the_network_learn_like_the_head() -> None:
    network = network_of("tiny")
    module = CombinedModule(network, AFFECTNET_8, loss=nn.Linear(2, 2))
    optimizer = grouped(ADAMW, module, network, layer_decay=0.5)
    last = names_by_group(optimizer, module)[-1]
    assert {*last} == {
        *("loss.weight", "loss.bias"),
        *("network.classifier.2.weight", "network.classifier.2.bias"),
    }
    assert optimizer.param_groups[-1]["lr"] == 0.1


def test_an_exception_from_no_weight_decay_is_refused() -> None:
    network = network_of("tiny")
    sgd: Any = partial(torch.optim.SGD, lr=0.1)
    with pytest.raises(ConfigError, match="the optimizer has no weight decay"):
        grouped(sgd, CombinedModule(network, AFFECTNET_8), network, 1.0, False)


@pytest.mark.parametrize("make", [ADAMW, partial(torch.optim.SGD, lr=0.1, momentum=0.9)])
def test_all_at_once_parameters_step_to_the_same_bits(make: Any) -> None:
    def trained(change: Any) -> list[torch.Tensor]:
        torch.manual_seed(0)
        network = build_network("tiny", 10, weights=None, image_size=32)
        network = network.to(memory_format=torch.channels_last)
        optimizer = change(make(network.parameters()))
        for _ in range(5):
            for p in network.parameters():
                p.grad = torch.randn_like(p)
            optimizer.step()
        return list(network.parameters())

    one_by_one, at_once = trained(lambda optimizer: optimizer), trained(all_at_once)
    assert all(torch.equal(p, q) for p, q in zip(one_by_one, at_once, strict=True))


@pytest.mark.parametrize("chosen", [{"foreach": False}, {"fused": True}, {}])
def test_what_was_chosen_for_the_steps_stays(chosen: dict[str, bool]) -> None:
    module = CombinedModule(nn.Linear(2, 3), AFFECTNET_8, optimizer=partial(ADAMW, **chosen))
    module.trainer = Trainer(max_steps=1, accelerator="cpu", logger=False)
    module.scheduler = partial(torch.optim.lr_scheduler.ConstantLR)
    optimizer: Any = module.configure_optimizers()["optimizer"]
    (group,) = optimizer.param_groups
    assert {key: group[key] for key in chosen} == chosen
    assert bool(group["foreach"]) is (not chosen)
