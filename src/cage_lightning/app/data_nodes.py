"""The node `data` of a config, which holds the settings of two classes."""

from __future__ import annotations

from copy import deepcopy

from omegaconf import DictConfig, OmegaConf

from cage_lightning.app.signatures import shown, taken_by
from cage_lightning.data.module import ExpressionData
from cage_lightning.errors import ConfigError

DATA_OF_TRAINING = (
    *("selection", "holdout_fraction", "balance", "class_weights", "soft_labels", "copies"),
    *("mixup", "cutmix"),
)
"""The settings of the data that only a training heeds."""


def data_nodes(node: DictConfig) -> tuple[DictConfig, DictConfig]:
    """The node `data`, which is one to the user, as that of the source and that of its loaders.

    Raises:
        ConfigError: There is no such data set, or neither takes one of the settings.
    """
    if not isinstance(node, DictConfig) or node.get("_target_") is None:
        raise ConfigError(f"there is no _target_ in {shown(node)}: choose a file that defines it")
    source, loading = deepcopy(node), deepcopy(node)  # the parent stays, for interpolations
    for part in (source, loading):
        OmegaConf.set_struct(part, False)
    loading._target_ = f"{ExpressionData.__module__}.{ExpressionData.__qualname__}"
    of_source, of_loading = taken_by(source), taken_by(loading)
    for key in [str(key) for key in node if not str(key).startswith("_")]:
        if key not in (*of_source, *of_loading):
            takes = ", ".join((*of_source, *of_loading))
            raise ConfigError(f"there is no setting 'data.{key}': the data takes {takes}")
        del (loading if key in of_source else source)[key]
    return source, loading
