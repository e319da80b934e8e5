"""Every file of conf/ composes, and every `_target_` binds to its signature."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra.utils import get_object
from omegaconf import OmegaConf

from cage_lightning.app.arguments import as_choices
from cage_lightning.app.command import Command, commands
from cage_lightning.app.data_nodes import data_nodes
from cage_lightning.app.schema import CONF_DIR
from cage_lightning.errors import ConfigError
from cage_lightning.modules import MODES
from cage_lightning.runs.identity import essence
from tests.conftest import composed

# The settings that a command needs besides a choice.
NEEDED = {"evaluate": ("checkpoint=x", "data=demo8", "model=tiny", "loss=combined")}


def offered(name: str) -> Iterator[tuple[str, ...]]:
    """Every choice of every group once: one of each group together, and alone what sets others."""
    groups = {
        group: [f"{group}={choice}" for choice in choices]
        for group, choices in Command(name).groups.items()
        if group != "sweep"  # see test_sweeps.py
    }
    alone = [groups.pop(group) for group in ("at", "debug", "experiment") if group in groups]
    yield from ((choice,) for choice in itertools.chain(*alone))
    for together in itertools.zip_longest(*groups.values()):
        yield tuple(choice for choice in together if choice)


OFFERED = [(name, choices) for name in commands() for choices in offered(name)]
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


# The arguments that build.py adds in Python.
ADDED = {
    "ExpressionData": {"source", "augment"},
    "build_network": {"num_outputs"},
    **{mode.__name__: {"network", "label_space"} for mode in MODES},
}


def constructors(target: Any) -> Iterator[Callable[..., Any]]:
    """What takes the settings: a function, or the constructors of a class and of its bases."""
    if not isinstance(target, type):
        yield target
        return
    yield from (vars(base)["__init__"] for base in target.__mro__ if "__init__" in vars(base))


def names_taken(target: Any) -> tuple[set[str], bool]:
    """The parameters, those of base classes too that get further ones; and whether it takes any."""
    found = set[str]()
    for function in constructors(target):
        kinds = [*inspect.signature(function).parameters.values()]
        found |= {one.name for one in kinds}
        if not any(one.kind is one.VAR_KEYWORD for one in kinds):
            return found, False
    return found, True


def names_needed(target: Any) -> set[str]:
    kinds = inspect.signature(target).parameters.values()
    named = [one for one in kinds if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    return {one.name for one in named if one.default is one.empty}


def check_bindings(config: Any) -> None:
    nodes: Any = OmegaConf.to_container(config)
    source, loading = data_nodes(config.data)
    nodes["data"] = OmegaConf.to_container(source)
    if "batch_size" in loading:  # train and evaluate load what prepare and analyze only read
        nodes["loading"] = OmegaConf.to_container(loading)
    for path, node in targets(nodes):
        target = get_object(node["_target_"])
        given = {key for key in node if not key.startswith("_")}
        given |= ADDED.get(target.__name__, set())
        known, takes_any = names_taken(target)
        assert not takes_any or not node["_target_"].startswith("cage_lightning."), path
        assert takes_any or given <= known, f"{path}: {given - known} is not taken"
        missing = names_needed(target) - given
        assert not missing or node.get("_partial_"), f"{path}: {missing} is not set"


@pytest.mark.parametrize(
    ("name", "choices"), OFFERED, ids=lambda one: "-".join(one) if isinstance(one, tuple) else one
)
def test_every_choice_composes_and_binds(name: str, choices: tuple[str, ...]) -> None:
    timm = ["model.name=resnet18"] if "model=timm" in choices else []
    chosen = {choice.partition("=")[0] for choice in choices}
    needed = [one for one in NEEDED.get(name, ()) if one.partition("=")[0] not in chosen]
    typed = as_choices(choices, Command(name))
    config = composed(*needed, *typed, *timm, config_name=name)
    if "run_dir" in config:
        config.run_dir = "run"
    OmegaConf.resolve(config)
    check_bindings(config)


@pytest.mark.parametrize(
    ("choice", "node"), [("loss=va", "loss"), ("model=tiny", "model"), ("trainer=cpu", "trainer")]
)
def test_a_setting_that_nothing_takes_is_found(choice: str, node: str) -> None:
    config = composed(choice, f"+{node}.nonsense=1")
    with pytest.raises(AssertionError, match="'nonsense'} is not taken"):
        check_bindings(config)


@pytest.mark.parametrize("data", Command("train").groups["data"])
@pytest.mark.parametrize("name", ["train", "analyze"])
def test_a_setting_that_no_data_set_takes_is_found(name: str, data: str) -> None:
    config = composed(f"data={data}", "+data.nonsense=1", config_name=name)
    with pytest.raises((AssertionError, ConfigError), match="nonsense"):
        check_bindings(config)


# Optional files that other choices lead to by their names, and the groups of these choices.
FOLLOW = {
    "protocol/data": ("protocol", "data", "loss"),
}


@pytest.mark.parametrize("folder", FOLLOW)
def test_a_file_that_follows_from_choices_is_named_like_them(folder: str) -> None:
    groups = Command("train").groups
    names = {"_".join(one) for one in itertools.product(*(groups[g] for g in FOLLOW[folder]))}
    files = {file.stem for file in (CONF_DIR / folder).glob("*.yaml")}
    assert files
    assert files <= names


def test_every_file_is_a_choice_or_part_of_one() -> None:
    files = {str(file.relative_to(CONF_DIR).with_suffix("")) for file in CONF_DIR.rglob("*.yaml")}
    offered = {
        f"{group}/{choice}"
        for name in commands()
        for group, choices in Command(name).groups.items()
        for choice in choices
    }
    left = {
        name
        for name in files - offered - {*commands(), "hydra/launcher/slurm", "hydra/sweeper/optuna"}
        if name.rpartition("/")[0] not in (*FOLLOW, "local")
    }
    assert left == {"data/part/loading", "sweep/part/ablation"}


def test_a_command_has_one_lookup_by_name_at_most() -> None:
    lookups = {
        str(file.relative_to(CONF_DIR)): sum(
            "optional" in line and "${" in line for line in file.read_text().splitlines()
        )
        for file in CONF_DIR.rglob("*.yaml")
    }
    # For the published script for EMOTIC: no protocol of one's own needs any.
    assert {name: count for name, count in lookups.items() if count} == {
        "protocol/published_code.yaml": 1
    }


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


@pytest.mark.parametrize(
    "other", ["local=example", "sweep=table6 at=demo", "local.data=/elsewhere"]
)
def test_what_is_of_one_machine_makes_no_other_run(other: str, tmp_path: Path) -> None:
    def settings(*typed: str) -> Any:
        same = ("data=demo8", "model=tiny", "group=same", "start=none", "trainer=cpu", "run_dir=x")
        return OmegaConf.to_container(composed(*same, *typed), resolve=True)

    assert essence(settings(*other.split())) == essence(settings())
    assert essence(settings(*other.split(), "warmup=0")) != essence(settings())
