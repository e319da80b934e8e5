"""Every file of conf/ composes, and every `_target_` binds to its signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hydra.utils import get_object
from omegaconf import OmegaConf

from cage_lightning.app.command import Command, commands
from cage_lightning.app.schema import CONF_DIR
from tests.conftest import composed

# Besides a choice, what a command cannot do without.
NEEDED = {"evaluate": ("checkpoint=x", "data=demo8", "model=tiny", "loss=combined")}
OFFERED = [
    (door, f"{group}={choice}")
    for door in commands()
    for group, choices in Command(door).groups.items()
    for choice in choices
    if group != "sweep"  # see test_sweeps.py
]
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
ADDED = {"data": {"augment"}, "model": {"num_outputs"}, "module": {"network", "label_space"}}

# What hands settings on that it does not list: nothing else of ours may.
HANDS_ON = {"cage_lightning.loggers.wandb_logger"}


def constructors(target: Any) -> Iterator[Callable[..., Any]]:
    """What takes the settings: a function, or the constructors of a class and of its bases."""
    if not isinstance(target, type):
        yield target
        return
    yield from (vars(base)["__init__"] for base in target.__mro__ if "__init__" in vars(base))


def parameters(target: Any) -> tuple[dict[str, inspect.Parameter], bool]:
    """The parameters, those of base classes too that get further ones; and whether it takes any."""
    found: dict[str, inspect.Parameter] = {}
    for function in constructors(target):
        kinds = [*inspect.signature(function).parameters.values()]
        named = [one for one in kinds if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
        found = {one.name: one for one in named if one.name != "self"} | found
        if not any(one.kind is one.VAR_KEYWORD for one in kinds):
            return found, False
    return found, True


def check_bindings(config: Any) -> None:
    for path, node in targets(OmegaConf.to_container(config)):
        given = {key for key in node if not key.startswith("_")} | ADDED.get(path[1:], set())
        known, takes_any = parameters(get_object(node["_target_"]))
        assert not takes_any or node["_target_"] in HANDS_ON, path
        assert takes_any or given <= known.keys(), f"{path}: {given - known.keys()} is not taken"
        needed = {name for name, one in known.items() if one.default is one.empty}
        if not node.get("_partial_"):
            assert needed <= given, f"{path}: {needed - given} is not set"


@pytest.mark.parametrize(("door", "choice"), OFFERED)
def test_every_choice_composes_and_binds(door: str, choice: str) -> None:
    timm = ["model.name=resnet18"] if choice == "model=timm" else []
    config = composed(*NEEDED.get(door, ()), choice, *timm, config_name=door)
    if "run_dir" in config:
        config.run_dir = "run"
    OmegaConf.resolve(config)
    check_bindings(config)


@pytest.mark.parametrize(
    ("group", "surplus"),
    [
        ("data=emotic", "data"),
        ("data=demo7", "data"),
        ("loss=va", "loss"),
        ("data=rafdb", "trainer"),
    ],
)
def test_a_setting_that_nothing_takes_is_found(group: str, surplus: str) -> None:
    config = composed(group, f"+{surplus}.nonsense=1")
    with pytest.raises(AssertionError, match="'nonsense'} is not taken"):
        check_bindings(config)


def test_every_file_is_a_choice_or_follows_from_one() -> None:
    """A file that nothing leads to would be passed over in silence."""
    offered = {
        f"{group}/{choice}"
        for door in commands()
        for group, choices in Command(door).groups.items()
        for choice in choices
    }
    others = {
        str(file.relative_to(CONF_DIR).with_suffix("")) for file in CONF_DIR.rglob("*.yaml")
    } - offered
    groups = Command("train").groups
    assert others == {
        *commands(),
        "hydra/launcher/slurm",
        "local/example",
        *(others & {"local/default"}),
        "sweep/part/ablation",
        *FOLLOW,
    }
    assert {(name.rpartition("/")[0], choice) for name, choice in FOLLOW.items()}


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
