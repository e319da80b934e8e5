"""The node `data` of a config, which holds the settings of two classes."""

from __future__ import annotations

from copy import deepcopy

from omegaconf import DictConfig, OmegaConf

from cage_lightning.app.signatures import shown, taken_by
from cage_lightning.errors import ConfigError

DATA_OF_TRAINING = (
    *("selection", "holdout_fraction", "balance", "class_weights", "soft_labels", "copies"),
    *("mixup", "cutmix"),
)
"""The settings of the data that only a training heeds."""

LOADING = "cage_lightning.data.module.ExpressionData"
"""What makes batches of the annotations; by its name, since importing it imports Lightning."""

OF_LOADING = (
    *("source", "image_size", "margin", "batch_size", "num_workers", "seed", "augment"),
    *DATA_OF_TRAINING,
)
"""The settings that it takes."""


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
    loading._target_ = LOADING
    of_source = taken_by(source)
    for key in [str(key) for key in node if not str(key).startswith("_")]:
        if key not in (*of_source, *OF_LOADING):
            takes = ", ".join((*of_source, *OF_LOADING))
            raise ConfigError(f"there is no setting 'data.{key}': the data takes {takes}")
        del (loading if key in of_source else source)[key]
    return source, loading
