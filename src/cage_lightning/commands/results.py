"""The files that a result consists of, from a pass over the test split."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from omegaconf import DictConfig

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.face_dataset import FaceDataset
from cage_lightning.data.module import ExpressionData
from cage_lightning.errors import ConfigError
from cage_lightning.modules import ExpressionModule
from cage_lightning.predictions.files import write_predictions
from cage_lightning.predictions.table import Predictions, predictions_of
from cage_lightning.report.evaluation_figures import NAMES, draw
from cage_lightning.report.figures import FORMATS
from cage_lightning.report.worst_samples import Picture
from cage_lightning.scores.results import SCORED, results_of, write_results

log = logging.getLogger(__name__)

FIGURES = "figures"


def gather(
    module: ExpressionModule,
    table: Annotations,
    clip: bool = False,
    mapping: Mapping[Any, Any] | None = None,
) -> Predictions:
    """What all ranks predicted in the last test, next to the truth.

    Args:
        module: After a test on the split of `table`.
        table: The annotations of the split: the truth.
        clip: Clip affect to [-1, 1], where the labels lie.
        mapping: See `predictions_of`.
    """
    parts: list[tuple[Any, ...]] = [
        (*(None if values is None else values.cpu() for values in prediction), index)
        for prediction, index in module.tested
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
        rows.groups,
        mapping,
    )


def results(
    predictions: Predictions, meta: dict[str, Any], subgroups: Sequence[str] = ()
) -> dict[str, Any]:
    """The content of metrics.json.

    Args:
        predictions: What is scored.
        meta: Where the result comes from.
        subgroups: The groups whose values are scored, too.
    """
    content = results_of(predictions, subgroups=subgroups)
    content["meta"] = meta | content["meta"]
    return content


def save_results(folder: Path, predictions: Predictions, content: dict[str, Any]) -> None:
    """Write predictions.parquet, then metrics.json: the mark that all is there.

    A kill in between leaves the scores of earlier predictions, if there were any: so the scores say
    by its SHA-256 which file they are of. `report.runs` compares it.
    """
    digest = write_predictions(folder / "predictions.parquet", predictions)
    content["meta"][SCORED] = digest
    write_results(folder / "metrics.json", content)


def data_set(config: DictConfig, data: ExpressionData) -> dict[str, Any]:
    """Which data set a result is of, as metrics.json records it: its name, and where it lies."""
    place = str(data.source.root.resolve())
    return {"data_set": {"name": str(config.choices.data), "root": place}}


def refuse_to_replace(folder: Path, config: DictConfig, data: ExpressionData) -> None:
    """Refuse to put results into a folder that has those of another data set.

    Args:
        folder: Where they would go.
        config: Of the evaluation.
        data: After `setup` of the test split.

    Raises:
        ConfigError: The metrics.json there names another root, or other annotations.
    """
    known = _recorded(folder / "metrics.json")
    ours = data_set(config, data)["data_set"]
    theirs = {"name": "another data set", **known.get("data_set", {})}
    before = known.get("data", {}).get("test", {}).get("fingerprint")
    moved = theirs.get("root") not in (None, ours["root"])
    if moved or before not in (None, data.test.fingerprint()):
        where = f" in {theirs['root']}" if moved else ""
        raise ConfigError(
            f"{folder} has results of other annotations ({theirs['name']}{where}) than these "
            f"({ours['name']} in {ours['root']}): set output=DIR, or delete that folder"
        )


def _recorded(file: Path) -> dict[str, Any]:
    """The `meta` of a metrics.json; empty where there is none that can be read."""
    try:
        meta = json.loads(file.read_bytes())["meta"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    found = {key: meta.get(key) for key in ("data", "data_set")} if isinstance(meta, dict) else {}
    return {key: value for key, value in found.items() if isinstance(value, dict)}


def pictures(data: ExpressionData) -> Picture:
    """The pictures of the test split, by row."""
    samples = FaceDataset(data.test, data.image_size, data.margin)

    def picture(row: int) -> npt.NDArray[np.uint8]:
        return samples[row].image.permute(1, 2, 0).numpy()

    return picture


def draw_figures(
    folder: Path, predictions: Predictions, data: ExpressionData, photographs: bool
) -> list[str]:
    """Draw the figures of a test split into ``folder/figures``.

    Args:
        folder: The folder of the results.
        predictions: The predictions for the test split of `data`, in its order.
        data: The data, for the pictures of the worst samples.
        photographs: Show these pictures also where they are not drawn.

    Returns:
        Their names.
    """
    shown = pictures(data) if photographs or data.source.drawn else None
    reason = "pictures=true shows photographs: mind the licence"
    return draw(folder / FIGURES, predictions, shown, reason)


def remove_figures(folder: Path, kept: Collection[str]) -> None:
    """Remove the figures of an earlier evaluation from ``folder/figures``, but not other files.

    Args:
        folder: The folder of the results.
        kept: The names of those that are drawn now.
    """
    for name in set(NAMES) - set(kept):
        for ending in (*FORMATS, "csv"):
            (folder / FIGURES / f"{name}.{ending}").unlink(missing_ok=True)
    with suppress(OSError):  # it is not there, or has other files
        (folder / FIGURES).rmdir()
