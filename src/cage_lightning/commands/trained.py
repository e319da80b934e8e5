"""From a trained network to the results in its run folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig

from cage_lightning.callbacks import Timing
from cage_lightning.commands.result_loggers import ResultLogger
from cage_lightning.commands.results import (
    data_set,
    draw_figures,
    gather,
    pictures,
    results,
    save_results,
)
from cage_lightning.data.module import ExpressionData
from cage_lightning.errors import CheckpointError
from cage_lightning.models import load_weights
from cage_lightning.modules import ExpressionModule
from cage_lightning.report.summary import print_results
from cage_lightning.runs.folder import RunFolder
from cage_lightning.runs.provenance import provenance


def finish_run(
    config: DictConfig,
    folder: RunFolder,
    loggers: Sequence[Logger],
    trainer: pl.Trainer,
    module: ExpressionModule,
    data: ExpressionData,
    about: Mapping[str, Any],
    timing: Timing,
) -> dict[str, Any] | None:
    """Test the best weights of a run that was trained, and save, log and print the results.

    Args:
        config: Of the run.
        folder: Its folder.
        loggers: What logs it.
        trainer: What trained it.
        module: The network is given the best weights.
        data: What it was trained on.
        about: What the training adds to `meta` of metrics.json.
        timing: Where the time has gone; it goes on.

    Returns:
        The content of metrics.json; None on all ranks but the first.
    """
    # As `evaluate` does: Lightning would let callbacks put other weights in their place.
    _load_best(module, folder)
    trainer.test(module, datamodule=data, verbose=False)
    predictions = gather(module, data.test)
    meta = provenance(trainer) | data.provenance() | data_set(config, data) | dict(about)
    if not trainer.is_global_zero:
        return None
    if config.figures:
        with timing.drawing():
            draw_figures(folder.path, predictions, data, config.pictures)
    content = results(predictions, meta)
    content["meta"]["timing"] = timing.to_dict()
    for logger in loggers:
        logger.log_metrics({k: v for k, v in content.items() if k.startswith("test/")})
        if isinstance(logger, ResultLogger):
            logger.log_results(content, predictions, pictures(data))
        logger.save()
    save_results(folder.path, predictions, content)
    print_results(content, str(folder.path))
    return content


def _load_best(module: ExpressionModule, folder: RunFolder) -> None:
    try:
        load_weights(module.network, folder.best, strict=True)
    except CheckpointError as error:
        raise CheckpointError(
            f"{folder.best}, the weights of the best epoch, cannot be used any more: delete "
            f"{folder.last}, and the same command trains the run again ({error})"
        ) from error
