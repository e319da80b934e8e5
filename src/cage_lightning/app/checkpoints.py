"""What a checkpoint says of its network. It may come from anyone, so what it says is data.

Exact keys with exact types, and two tables of what may be built: nothing in a file chooses what is
called, which path is read, or what a ``${...}`` stands for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from reprlib import Repr
from types import NoneType
from typing import Any, TypeVar

import torch
from torch import nn

from cage_lightning import modules
from cage_lightning.errors import CheckpointError
from cage_lightning.labels import LabelSpace
from cage_lightning.models import build_network
from cage_lightning.modules import ExpressionModule
from cage_lightning.training_statistics import TrainingStatistics

# What `model` and `module` of a checkpoint's config may name, by the `_target_` in conf/.
BUILDERS: Mapping[str, Callable[..., nn.Module]] = {
    "cage_lightning.models.build_network": build_network,
}
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
_LARGEST_IMAGE = 2048  # pixels; a batch of larger ones would fill the memory

_T = TypeVar("_T")
_NAME = re.compile(r"[\w.-]{1,100}", re.ASCII)  # of a network: no path, no address


@dataclass(frozen=True)
class Description:
    """What a checkpoint says of the module that it is a state of.

    Attributes:
        build: Number of outputs to the network, its weights random.
        mode: How the outputs are read.
        space: What they mean.
        training: What the training split was like; None if the file does not say.
        config: The config of the run as plain containers; nothing in it is to be built or resolved.
    """

    build: Callable[..., nn.Module]
    mode: type[ExpressionModule]
    space: LabelSpace
    training: TrainingStatistics | None
    config: dict[str, Any]


def describe(file: Path) -> Description:
    """Read what one of our checkpoints says of its module.

    Raises:
        CheckpointError: The file is not one of our checkpoints, or says what they do not.
    """
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
        label_space = LabelSpace.from_dict(space)
        return Description(
            build=_network(_entry(config, "model")),
            mode=_mode(_entry(config, "module")),
            space=label_space,
            training=None
            if training is None
            else TrainingStatistics.from_dict(training, label_space),
            config=config,
        )
    except ValueError as error:
        raise CheckpointError(
            f"{file} is refused: {error}; a network of your own needs model=... and loss=... "
            "beside checkpoint=..."
        ) from error


def _network(node: Any) -> Callable[..., nn.Module]:
    for key, value in node.items():
        if key not in _MODEL_KEYS:
            raise ValueError(f"its config.model has the key {_shown(key)}")
        if type(value) not in _MODEL_KEYS[key]:
            raise ValueError(f"its config.model.{key} is {_shown(value)}")
    if missing := {"name", "image_size"} - node.keys():
        raise ValueError(f"its config.model has no {' and no '.join(sorted(missing))}")
    build = _choice(BUILDERS, node)
    if not 0 < node["image_size"] <= _LARGEST_IMAGE:
        raise ValueError(
            f"its config.model.image_size is {_shown(node['image_size'])}, not 1 to "
            f"{_LARGEST_IMAGE} pixels"
        )
    if not _NAME.fullmatch(node["name"]):
        raise ValueError(
            f"its config.model.name is {_shown(node['name'])}, not the name of a network"
        )
    # The weights that the training began with: maybe a file of another machine, and not needed.
    settings = {k: node[k] for k in ("name", "image_size", "head_dropout") if k in node}
    return partial(build, weights="none", **settings)


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
