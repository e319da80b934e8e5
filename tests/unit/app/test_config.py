"""Every file of conf/ composes, and every `_target_` binds to its signature."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from hydra.utils import get_object
from omegaconf import OmegaConf

from cage_lightning.app.data_nodes import data_nodes
from cage_lightning.app.schema import CONF_DIR
from tests.conftest import composed

CHOICES = sorted(
    f"{file.parent.relative_to(CONF_DIR)}={file.stem}"
    for file in CONF_DIR.glob("*/*.yaml")
    if file.parent.name not in ("sweep", "experiment")
)
PROTOCOLS = [
    (protocol, model, loss)
    for protocol in ("paper", "published_code")
    for model in ("maxvit", "efficientnet_v2_s", "swin_v2")
    for loss in ("discrete", "combined", "va")
]


def targets(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield path, node
        for key, value in node.items():
            yield from targets(value, f"{path}.{key}")
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from targets(value, f"{path}[{i}]")


# What build.py adds in Python.
ADDED = {
    "loading": {"source", "augment"},
    "model": {"num_outputs"},
    "module": {"network", "label_space"},
}


def check_bindings(config: Any) -> None:
    plain: Any = OmegaConf.to_container(config)
    source, loading = data_nodes(config.data)
    plain |= {"data": OmegaConf.to_container(source), "loading": OmegaConf.to_container(loading)}
    for path, node in targets(plain):
        arguments = {k: v for k, v in node.items() if not k.startswith("_")}
        arguments |= dict.fromkeys(ADDED.get(path.lstrip("."), ()))
        signature = inspect.signature(get_object(node["_target_"]))
        try:
            (signature.bind_partial if node.get("_partial_") else signature.bind)(**arguments)
        except TypeError as error:
            pytest.fail(f"{path}: {error}")


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_composes_and_binds(choice: str) -> None:
    config = composed(choice, *(["model.name=resnet18"] if choice == "model=timm" else []))
    config.run_dir = "run"
    OmegaConf.resolve(config)
    check_bindings(config)


@pytest.mark.parametrize(("protocol", "model", "loss"), PROTOCOLS)
def test_protocols_compose_with_every_mode(protocol: str, model: str, loss: str) -> None:
    config = composed(f"protocol={protocol}", f"model={model}", f"loss={loss}")
    check_bindings(config)
    paper = protocol == "paper"
    assert config.optimizer.lr == (5e-5 if paper else 4e-5)
    assert config.data.selection == ("holdout" if paper else "test")
    assert config.data.batch_size == 128
    assert config.data.balance == (loss == "va")
    first = config.augment.steps[0]._target_.rsplit(".")[-1]
    published_discrete = not paper and loss == "discrete"
    assert first == ("ElasticTransform" if published_discrete else "RandomHorizontalFlip")
    assert config.scheduler._target_.endswith("cosine" if paper else "published")
    assert config.scheduler.get("stepped") == (None if paper else loss != "va" or model == "maxvit")
    dropout = config.model.get("head_dropout")
    assert dropout == (0.3 if (model, loss) == ("maxvit", "va") and not paper else None)


@pytest.mark.parametrize("data", ["emotic", "demo_emotic"])
def test_the_published_emotic_script(data: str) -> None:
    config = composed("protocol=published_code", f"data={data}")
    assert (config.data.batch_size, config.trainer.max_epochs, config.optimizer.lr) == (
        32,
        30,
        5e-5,
    )
    assert (config.data.selection, config.data.class_weights) == ("val", "positive")
    assert (config.monitor.metric, config.monitor.mode) == ("val/bce", "min")
    assert config.callbacks.best.monitor == "val/bce"
    assert (config.model.name, config.model.weights) == ("maxvit_t", "imagenet")
    assert config.loss.alpha == 5
    for augment in (config.augment, composed().augment):  # set A, normalised once, as in the paper
        assert [step._target_.rsplit(".")[-1] for step in augment.steps] == [
            "RandomHorizontalFlip",
            "RandomGrayscale",
            "RandomRotation",
            "ColorJitter",
            "RandomPerspective",
            "RandomErasing",
        ]
        assert (augment.mean, augment.std) == ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


@pytest.mark.parametrize("other", ["data=affectnet8", "loss=discrete", "loss=va", "protocol=paper"])
def test_the_published_emotic_script_is_the_only_one_of_its_kind(other: str) -> None:
    config = composed("protocol=published_code", "data=emotic", other)
    assert (config.data.batch_size, config.trainer.max_epochs) == (128, 20)
    assert config.monitor.metric == "val/loss"


def test_a_network_that_starts_from_nothing_keeps_its_settings() -> None:
    config = composed("protocol=published_code", "data=demo_emotic", "model=tiny")
    assert (config.optimizer.lr, config.data.batch_size, config.trainer.max_epochs) == (
        3e-3,
        64,
        16,
    )


def test_table_5() -> None:
    config = composed("loss=combined")
    assert (config.data.batch_size, config.optimizer.lr, config.loss.alpha) == (128, 5e-5, 5)
    assert config.optimizer._target_ == "torch.optim.AdamW"
    assert composed("loss=va").loss.beta == 3


def test_the_command_line_beats_the_protocol() -> None:
    config = composed("protocol=published_code", "loss=discrete", "augment=paper", "optimizer.lr=1")
    assert config.augment.steps[0]._target_.endswith("RandomHorizontalFlip")
    assert config.optimizer.lr == 1


def test_evaluate_composes() -> None:
    overrides = ["checkpoint=x", "data=demo8", "model=tiny", "loss=combined"]
    config = composed(*overrides, config_name="evaluate")
    OmegaConf.resolve(config)
    check_bindings(config)
