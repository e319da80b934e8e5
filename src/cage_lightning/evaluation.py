"""From a pass over the test split to the files a result consists of."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch import seed_everything
from omegaconf import DictConfig, open_dict

from cage_lightning import build
from cage_lightning.callbacks import progress_bar
from cage_lightning.cli import typed_settings
from cage_lightning.course import check_limits
from cage_lightning.data.annotations import Annotations
from cage_lightning.data.module import ExpressionData, FaceDataset
from cage_lightning.errors import CheckpointError, ConfigError, check_seed
from cage_lightning.inside import local_path, refuse_outside
from cage_lightning.labels import LABEL_SPACES
from cage_lightning.lightning_settings import OF_TRAINING
from cage_lightning.models import read_state_dict
from cage_lightning.modules import ExpressionModule
from cage_lightning.prediction_files import write_predictions
from cage_lightning.predictions import Predictions, common_space, predictions_of
from cage_lightning.provenance import provenance
from cage_lightning.report.evaluation_figures import draw
from cage_lightning.report.summary import print_results
from cage_lightning.report.worst_samples import Picture
from cage_lightning.room import check_writable
from cage_lightning.scoring import results_of, write_results
from cage_lightning.terminal import start_logging

log = logging.getLogger(__name__)

FIGURES = "figures"


def gather(module: ExpressionModule, table: Annotations, clip: bool = False) -> Predictions:
    """What all ranks predicted in the last test, next to the truth.

    Args:
        module: After a pass over `table`.
        table: The annotations of the split.
        clip: Clip affect to [-1, 1], where the labels lie.
    """
    parts: list[tuple[Any, ...]] = [
        (*(None if x is None else x.cpu() for x in prediction), batch.index)
        for prediction, batch in module.seen
    ]
    if torch.distributed.is_initialized():
        everyone: list[Any] = [None] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(everyone, parts)
        parts = [part for rank in everyone for part in rank]
    order = torch.cat([part[-1] for part in parts]).argsort()
    columns: list[Any] = [
        None if column[0] is None else torch.cat(column)[order].numpy()
        for column in zip(*parts, strict=True)
    ]
    logits, affect, index = columns
    if clip and affect is not None:
        affect = affect.clip(-1, 1)
    if len(index) < len(table):
        log.warning("%s of %s test samples are scored", len(index), len(table))
    rows = table.select(index)
    return predictions_of(
        module.label_space,
        logits,
        affect,
        rows.space,
        rows.id,
        rows.category,
        rows.affect,
        module.training_statistics,
    )


def results(predictions: Predictions, meta: dict[str, Any]) -> dict[str, Any]:
    """The content of metrics.json.

    Args:
        predictions: What is scored.
        meta: Where the result comes from.
    """
    content = results_of(predictions)
    content["meta"] = meta | content["meta"]
    return content


def save_results(folder: Path, predictions: Predictions, content: dict[str, Any]) -> None:
    """Write predictions.parquet, then metrics.json: the mark that all is there."""
    write_predictions(folder / "predictions.parquet", predictions)
    write_results(folder / "metrics.json", content)


def pictures(data: ExpressionData) -> Picture:
    """The pictures of the test split, by row."""
    samples = FaceDataset(data.test, data.image_size, data.margin)

    def picture(row: int) -> npt.NDArray[np.uint8]:
        return samples[row].image.permute(1, 2, 0).numpy()

    return picture


def draw_figures(folder: Path, predictions: Predictions, data: ExpressionData) -> None:
    """Draw the figures of a test split into ``folder/figures``, with the worst samples as pictures.

    Args:
        folder: Of the results.
        predictions: Of the test split of `data`, in its order.
        data: Where the pictures come from.
    """
    draw(folder / FIGURES, predictions, pictures(data))


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
    common_space(module.label_space, data.label_space)  # else an error before the work
    data.setup("test")
    trainer = build.build_trainer(
        config, callbacks=[progress_bar()], logger=False, enable_checkpointing=False
    )
    module.flip = config.flip
    trainer.test(module, datamodule=data, verbose=False)
    predictions = gather(module, data.test, config.clip)
    if not trainer.is_global_zero:
        return None
    if config.trainer.fast_dev_run:
        log.info("fast_dev_run: it works; nothing was kept")
        return None
    meta = provenance(trainer, data) | {
        "checkpoint": str(file),
        "trained_on": module.label_space.name,
        "flip": config.flip,
        "clip": config.clip,
    }
    content = results(predictions, meta)
    print_results(content, str(folder))  # should writing fail, the numbers are seen
    if config.figures:
        draw_figures(folder, predictions, data)
    save_results(folder, predictions, content)
    return content


def _refuse_settings_of_training() -> None:
    for key in typed_settings():
        group, _, name = key.partition(".")
        if group == "trainer" and name in OF_TRAINING:
            raise ConfigError(f"{key} says how to train, and evaluate trains nothing: leave it out")


def _module(config: DictConfig, file: Path) -> tuple[ExpressionModule, int]:
    """The module, and the image size it was made for."""
    if config.model is None and config.module is None:
        module = build.load_module(file)
        assert module.config is not None
        return module, module.config["model"]["image_size"]
    if config.model is None or config.module is None:
        raise CheckpointError("a plain state_dict needs both model=... and loss=...")
    if "head_dropout" in config.model and "classifier.6.weight" in read_state_dict(file):
        config.model.head_dropout = 0.0  # a published valence-arousal model has the layer
    space = LABEL_SPACES[config.data.label_space]
    return build.module_for_weights(config, space, file), config.model.image_size


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
