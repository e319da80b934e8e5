"""Evaluating a checkpoint on the test split of a dataset."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from lightning.pytorch import seed_everything
from omegaconf import DictConfig, open_dict

from cage_lightning.app import build
from cage_lightning.app.cli import typed_settings
from cage_lightning.app.lightning_settings import OF_TRAINING
from cage_lightning.callbacks import progress_bar
from cage_lightning.commands.preflight import check_limits
from cage_lightning.commands.results import FIGURES, draw_figures, gather, results, save_results
from cage_lightning.errors import CheckpointError, ConfigError, check_seed
from cage_lightning.labels import LABEL_SPACES, LabelSpace, space_in_order
from cage_lightning.modules import ExpressionModule
from cage_lightning.predictions.table import common_space
from cage_lightning.report.summary import print_results
from cage_lightning.runs.log import start_logging
from cage_lightning.runs.provenance import provenance
from cage_lightning.scores.circumplex import contradictions
from cage_lightning.system.paths import local_path, refuse_outside
from cage_lightning.system.storage import check_writable

log = logging.getLogger(__name__)


_OF_TRAINING = {
    "data": {"selection", "holdout_fraction", "balance", "class_weights"},
    "trainer": OF_TRAINING,
    "warmup": {""},
}
_ONLY_TRAINING = ("loss", "optimizer")
_ANOTHER_ORDER = (
    ": if its outputs are in another order than those of the data, name it with categories=[...]"
)


def evaluate(config: DictConfig) -> dict[str, Any] | None:
    """Evaluate a checkpoint on the test split of a dataset, also of another label space.

    Returns:
        The content of the metrics.json that it wrote; None on all ranks but the first, and after
        `trainer.fast_dev_run`, which keeps nothing.

    Raises:
        CageError: What the user can put right.
    """
    check_seed(config.seed)
    seed_everything(config.seed, workers=True, verbose=False)
    start_logging(None)
    _refuse_settings_of_training()
    check_limits(config.trainer)
    file = build.checkpoint_of(config.checkpoint)
    folder = _output(config, file)
    check_writable(folder, "output=DIR")
    module, image_size = _module(config, file)
    with open_dict(config):
        config.data.image_size = image_size
    data = build.build_data(config)
    shared = common_space(module.label_space, data.label_space)  # else an error before the work
    if shared != data.label_space:
        log.info(
            "scored is what the model and the data both know: %d of the %d categories of %s, %s",
            *(len(shared.categories), len(data.label_space.categories), data.label_space.name),
            " and ".join(shared.dimensions) or "no affect",
        )
    data.setup("test")
    trainer = build.build_trainer(
        config, callbacks=[progress_bar()], logger=False, enable_checkpointing=False
    )
    module.flip = config.flip
    trainer.test(module, datamodule=data, verbose=False)
    predictions = gather(module, data.test, config.clip)
    if not trainer.is_global_zero:
        return None
    for contradiction in contradictions(predictions):
        log.warning("%s%s", contradiction, "" if config.module is None else _ANOTHER_ORDER)
    if config.trainer.fast_dev_run:
        log.info("fast_dev_run: it works; nothing was kept")
        return None
    meta = (
        provenance(trainer)
        | data.provenance()
        | {
            "checkpoint": str(file),
            "trained_on": module.label_space.name,
            "flip": config.flip,
            "clip": config.clip,
        }
    )
    content = results(predictions, meta)
    print_results(content, str(folder))  # should writing fail, the numbers are seen
    if config.figures:
        draw_figures(folder, predictions, data)
    save_results(folder, predictions, content)
    return content


def _refuse_settings_of_training() -> None:
    for key in typed_settings():
        group, _, name = key.partition(".")
        if name in _OF_TRAINING.get(group, ()) or (name and group in _ONLY_TRAINING):
            raise ConfigError(f"{key} says how to train, and evaluate trains nothing: leave it out")


def _module(config: DictConfig, file: Path) -> tuple[ExpressionModule, int]:
    """The module, and the image size it was made for."""
    if config.model is None and config.module is None:
        if config.categories is not None:
            raise ConfigError("categories is for a plain state_dict: a run names its own")
        module = build.load_module(file)
        assert module.config is not None
        return module, module.config["model"]["image_size"]
    if config.model is None or config.module is None:
        raise CheckpointError("a plain state_dict needs both model=... and loss=...")
    module = build.module_for_weights(config, _space(config), file)
    if config.categories is not None and not module.predicts_categories:
        raise ConfigError("categories has no effect, because this loss has none: leave it out")
    return module, config.model.image_size


def _space(config: DictConfig) -> LabelSpace:
    """What the outputs of a plain state_dict mean."""
    space = LABEL_SPACES[config.data.label_space]
    if config.categories is None:
        return space
    try:
        return space_in_order(config.categories, space)
    except ValueError as error:
        raise ConfigError(f"categories: {error}") from error


def _output(config: DictConfig, file: Path) -> Path:
    """Where the results go: by default into the run folder, or beside the file.

    Raises:
        DataError: That would be through a link that leads out of it.
    """
    if config.output:
        return local_path("output", config.output)
    data = str(config.choices.data)
    if file.parent.name == "checkpoints":  # of a run folder
        around, output = file.parents[1], file.parents[1] / "evaluations" / data
    else:
        around, output = file.parent, file.with_name(f"{file.stem}-{data}")
    for place in (output, output / FIGURES):
        refuse_outside(around, place)
    return output
