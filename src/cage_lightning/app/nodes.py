"""From a node of the config to an object, and to the annotations of a data set.

Neither torch nor Lightning is imported here: a command that loads no batches starts without them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig

from cage_lightning.app.cli import typed_settings
from cage_lightning.app.data_nodes import data_nodes
from cage_lightning.app.refusals import naming, naming_later
from cage_lightning.app.signatures import check_settings, shown
from cage_lightning.data.source import Source
from cage_lightning.errors import ConfigError


def build(node: Any, **arguments: Any) -> Any:
    """Instantiate one node; containers inside it become plain dicts and lists.

    Raises:
        CageError: As raised by what is built; ConfigError for settings that it does not take.
    """
    check_target(node)
    check_settings(node, given=arguments)
    with naming(node):
        built = instantiate(node, _convert_="all", **arguments)
    return naming_later(built, node) if node.get("_partial_", False) else built


def check_target(node: Any) -> None:
    """Refuse a node that does not say what is built from it.

    Raises:
        ConfigError: It has no `_target_`.
    """
    if not isinstance(node, DictConfig) or node.get("_target_") is None:
        raise ConfigError(f"there is no _target_ in {shown(node)}: choose a file that defines it")


def build_source(config: DictConfig, besides: Collection[str] = ()) -> Source:
    """The annotations that `data` names, for a command that loads no batches.

    Args:
        config: The config of the command.
        besides: Settings of the loaders that the command uses all the same, such as `image_size`.

    Raises:
        ConfigError: Another setting of the loaders was typed.
    """
    source, loading = data_nodes(config.data)
    for typed in typed_settings():
        group, _, name = typed.partition(".")
        if group == "data" and name in loading and name not in besides:
            raise ConfigError(
                f"{typed} is a setting of train and evaluate, and this command loads no batches: "
                "leave it out"
            )
    built: Source = build(source)
    return built
