"""What a checkpoint says of its network. It may come from anyone, so what it says is data.

Exact keys with exact types, and two tables of what may be built: nothing in a file chooses what is
called, which path is read, or what a ``${...}`` stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from reprlib import Repr
from types import NoneType
from typing import Any, TypeVar

import torch

from cage_lightning import modules
from cage_lightning.deploy.description import Backbone, Description
from cage_lightning.deploy.preprocessing import Preprocessing
from cage_lightning.errors import CheckpointError, first_line
from cage_lightning.labels import LabelSpace
from cage_lightning.models import build_network
from cage_lightning.models.weight_files import check_unpacked_size
from cage_lightning.modules import ExpressionModule
from cage_lightning.system.archives import check_archive
from cage_lightning.training_statistics import TrainingStatistics

# What `model` and `module` of a checkpoint's config may name, by the `_target_` in conf/.
BUILDERS: Mapping[str, Any] = {"cage_lightning.models.build_network": build_network}
MODES: Mapping[str, type[ExpressionModule]] = {
    f"cage_lightning.modules.{mode.__name__}": mode for mode in modules.MODES
}

_MODEL_KEYS: Mapping[str, tuple[type, ...]] = {
    "_target_": (str,),
    "_partial_": (bool,),
    "name": (str,),
    "weights": (str, NoneType),
    "image_size": (int,),
    "head_dropout": (float, int, NoneType),
}

# Where a config says what is done to a picture.
_PARTS = {"image_size": "model", "mean": "augment", "std": "augment", "margin": "data"}

_DEEPEST, _MOST_VALUES = 50, 100_000  # of a config; ours have some three hundred

_T = TypeVar("_T")


@dataclass(frozen=True)
class Described:
    """What a checkpoint says of the module that it is a state of.

    Attributes:
        description: The network and what its outputs mean.
        mode: How the outputs are read.
        config: The config of the run as plain containers; nothing in it is to be built or resolved.
    """

    description: Description
    mode: type[ExpressionModule]
    config: dict[str, Any]


def describe(file: Path) -> Described:
    """Read what one of our checkpoints says of its module.

    Raises:
        CheckpointError: The file is damaged, no checkpoint of ours, or says what they do not.
    """
    check_unpacked_size(file)
    try:
        check_archive(file, tensors=False)
    except Exception as error:
        raise CheckpointError(
            f"{file} is damaged ({type(error).__name__}: {first_line(error)}): copy it again, or "
            "train the run again"
        ) from error
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
        config, space = content["config"], content["label_space"]
        training = content.get("training")
    except Exception as error:
        raise CheckpointError(
            f"{file} is not a checkpoint of a run ({type(error).__name__}); a plain state_dict "
            "needs model=... and loss=... beside checkpoint=..."
        ) from error
    try:
        _check_extent(config)
        label_space = LabelSpace.from_dict(space)
        mode = _mode(_entry(config, "module"))
        model = _model(_entry(config, "model"))
        description = Description(
            layout=mode.layout(label_space),
            backbone=_checked(Backbone, name=model["name"], head_dropout=model.get("head_dropout")),
            preprocessing=_preprocessing(config),
            training=None
            if training is None
            else TrainingStatistics.from_dict(training, label_space),
        )
        return Described(description, mode, config)
    except ValueError as error:
        raise CheckpointError(
            f"{file} is refused: {error}; a network of your own needs model=... and loss=... "
            "beside checkpoint=..."
        ) from error


def _check_extent(config: Any) -> None:
    """Refuse a config whose parts are in each other without end, or stand in many places at once.

    Raises:
        ValueError: Whatever goes through it would not come to an end.
    """
    left, seen = [(config, 0)], 0
    while left:
        value, depth = left.pop()
        inner = [*value.keys(), *value.values()] if isinstance(value, dict) else value
        inner = inner if isinstance(inner, list | tuple | set) else ()
        seen += 1 + len(inner)
        if depth > _DEEPEST or seen > _MOST_VALUES:
            raise ValueError(f"its config is more than {_DEEPEST} deep, or has too many values")
        left += [(one, depth + 1) for one in inner]


def _model(node: Any) -> dict[str, Any]:
    """The settings of the network; `weights` are those that the training began with."""
    for key, value in node.items():
        if key not in _MODEL_KEYS:
            raise ValueError(f"its config.model has the key {_shown(key)}")
        if type(value) not in _MODEL_KEYS[key]:
            raise ValueError(f"its config.model.{key} is {_shown(value)}")
    if missing := {"name", "image_size"} - node.keys():
        raise ValueError(f"its config.model has no {' and no '.join(sorted(missing))}")
    _choice(BUILDERS, node)
    return dict(node)


def _preprocessing(config: dict[Any, Any]) -> Preprocessing:
    """What the evaluation of the run does to a picture; the configs of older runs lack parts."""
    found = {
        name: tuple(value) if isinstance(value, list) else value
        for name, part in _PARTS.items()
        if isinstance(node := config.get(part), dict) and (value := node.get(name)) is not None
    }
    return _checked(Preprocessing, **found)


def _checked(make: Callable[..., _T], **values: Any) -> _T:
    """Make something of values of the config; an error names the part of it."""
    try:
        return make(**values)
    except ValueError as error:
        name = str(error).partition(" ")[0]
        raise ValueError(f"its config.{_PARTS.get(name, 'model')}.{error}") from error


def _mode(node: Any) -> type[ExpressionModule]:
    if more := node.keys() - {"_target_"}:
        raise ValueError(f"its config.module has the key {_shown(next(iter(more)))}")
    return _choice(MODES, node)


def _choice(table: Mapping[str, _T], node: Mapping[Any, Any]) -> _T:
    """What the table has for the `_target_` of a node."""
    target = node.get("_target_")
    if not isinstance(target, str) or target not in table:
        raise ValueError(f"it asks to call {_shown(target)}")
    return table[target]


def _entry(config: Any, key: str) -> dict[Any, Any]:
    """A mapping inside the config."""
    node = config.get(key) if isinstance(config, dict) else None
    if not isinstance(node, dict):
        raise ValueError(f"its config.{key} is {_shown(node)}, not a mapping")
    return node


def _shown(value: Any) -> str:
    """The beginning of what a file says, on one line."""
    return Repr().repr(value)[:100]
