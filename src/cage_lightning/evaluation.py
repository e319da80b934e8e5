"""From a pass over the test split to the files a result consists of."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import seed_everything
from omegaconf import DictConfig, open_dict

from cage_lightning import build
from cage_lightning.atomic import write_atomic
from cage_lightning.data.annotations import Annotations
from cage_lightning.errors import CheckpointError, ConfigError
from cage_lightning.labels import LABEL_SPACES, Batch, Prediction
from cage_lightning.models import read_state_dict
from cage_lightning.modules import ExpressionModule
from cage_lightning.prediction_files import write_predictions
from cage_lightning.predictions import predictions_of
from cage_lightning.provenance import provenance
from cage_lightning.terminal import print_results, start_logging

log = logging.getLogger(__name__)


def gather(module: ExpressionModule) -> tuple[Prediction, Batch]:
    """What all ranks saw in the last pass, on the CPU, in the order of the annotations."""
    prediction, batch = module.seen_as_one()
    shares: list[Any] = [tuple(None if t is None else t.cpu() for t in (*prediction, *batch))]
    if torch.distributed.is_initialized():
        everyone: list[Any] = [None] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(everyone, shares[0])
        shares = everyone
    order = torch.cat([share[-1] for share in shares]).argsort()
    columns = [
        None if column[0] is None else torch.cat(column)[order]
        for column in zip(*shares, strict=True)
    ]
    return Prediction(*columns[:2]), Batch(*columns[2:])  # type: ignore[arg-type]


def save_results(
    folder: Path,
    table: Annotations,
    seen: tuple[Prediction, Batch],
    results: dict[str, float],
    meta: dict[str, Any],
) -> None:
    """Write predictions.parquet, then metrics.json: the mark that all is there.

    Args:
        folder: Where they go.
        table: The annotations of the split.
        seen: What `gather` returned.
        results: Flat metric keys, ``test/...``.
        meta: Where the result comes from.
    """
    prediction, batch = seen
    predictions = predictions_of(
        table.space,
        table.id[batch.index.numpy()].tolist(),
        batch.category.numpy(),
        batch.affect.numpy(),
        None if prediction.logits is None else prediction.logits.numpy(),
        None if prediction.affect is None else prediction.affect.numpy(),
    )
    write_predictions(folder / "predictions.parquet", predictions)
    content = json.dumps(results | {"meta": meta}, indent=2, allow_nan=False)
    write_atomic(folder / "metrics.json", content + "\n")


def evaluate(config: DictConfig) -> dict[str, Any]:
    """Evaluate a checkpoint on the test split of a dataset.

    Returns:
        The content of the metrics.json that it wrote.

    Raises:
        CageError: What the user can put right.
    """
    seed_everything(config.seed, workers=True, verbose=False)
    start_logging(None)
    file = build.checkpoint_of(config.checkpoint)
    module, image_size = _module(config, file)
    with open_dict(config):
        config.data.image_size = image_size
    data = build.build_data(config)
    if data.label_space != module.label_space:
        raise ConfigError(
            f"{file} was trained on {module.label_space.name} and data={config.choices.data} is "
            f"{data.label_space.name}: choose data of the same label space"
        )
    data.setup("test")
    trainer = build.build_trainer(
        config, logger=False, enable_checkpointing=False, enable_model_summary=False
    )
    trainer.test(module, datamodule=data, verbose=False)
    seen = gather(module)
    meta = provenance(trainer, data) | {"checkpoint": str(file)}
    folder = Path(config.output or _default_output(file, str(config.choices.data)))
    if trainer.is_global_zero:
        save_results(folder, data.test, seen, module.results, meta)
        print_results(module.results, str(folder))
    return module.results | {"meta": meta}


def _module(config: DictConfig, file: Path) -> tuple[ExpressionModule, int]:
    """The module, and the image size it was made for."""
    if config.model is None and config.module is None:
        module = build.load_module(file)
        assert module.config is not None
        return module, module.config["model"]["image_size"]
    if config.model is None or config.module is None:
        raise CheckpointError("a plain state_dict needs both model=... and loss=...")
    if "head_dropout" in config.model and "classifier.6.weight" in read_state_dict(file):
        config.model.head_dropout = 0.3  # a published valence-arousal model
    space = LABEL_SPACES[config.data.label_space]
    return build.module_for_weights(config, space, file), config.model.image_size


def _default_output(file: Path, data: str) -> Path:
    if file.parent.name == "checkpoints":  # of a run folder
        return file.parents[1] / "evaluations" / data
    return file.with_name(f"{file.stem}-{data}")
