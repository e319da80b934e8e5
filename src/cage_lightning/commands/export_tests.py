"""The tests of an export on the test split, and what is fitted on other splits."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.face_dataset import FaceDataset
from cage_lightning.data.module import ExpressionData
from cage_lightning.deploy import calibration
from cage_lightning.deploy.calibration import Calibration
from cage_lightning.deploy.description import Description
from cage_lightning.deploy.forms import FORMS, FormName
from cage_lightning.deploy.loading import Loaded
from cage_lightning.deploy.networks import Predictor, combine
from cage_lightning.deploy.preprocessing import Preprocessing
from cage_lightning.predictions.table import Predictions, predictions_of
from cage_lightning.scores import Difference, compare
from cage_lightning.scores.results import results_of

log = logging.getLogger(__name__)

Outputs = npt.NDArray[np.float32]  # [M, N, width]

# Of forms that compute in float32, as PyTorch does: rounding stays far below.
MOST_IN_FLOAT32 = 1e-3
_BOUND = ("accuracy", "map", "ccc_")  # what max_loss bounds: the larger, the better
_SHOWN = ("accuracy", "f1_macro", "map", "ece", "ccc_", "rmse_")
_EVERY_SECONDS = 10.0


@dataclass(frozen=True)
class FormTest:
    """What a form does on the test split, beside PyTorch.

    Attributes:
        largest: The largest difference of an output: logit or affect.
        differences: Those of the main scores, form minus PyTorch, with paired intervals.
        loss: In words, why the form is not good enough; empty where it is.
    """

    largest: float
    differences: Mapping[str, Difference]
    loss: str

    def to_dict(self) -> dict[str, Any]:
        """What config.json says of it."""
        return {
            "largest_difference": self.largest,
            "against_pytorch": as_dicts(self.differences),
            "beyond_limit": self.loss,
        }


@dataclass(frozen=True)
class Tests:
    """What was measured on the test split.

    Attributes:
        content: The scores as in metrics.json, of the PyTorch model; ``calibration``, where one was
            fitted: the change of the main scores by it.
        forms: What each form does.
    """

    content: dict[str, Any]
    forms: Mapping[FormName, FormTest]


def measure_forms(
    loaded: Loaded,
    forms: Mapping[FormName, Predictor],
    before: Predictor | None,
    data: ExpressionData,
    max_loss: float,
) -> Tests:
    """Run a model and its forms on the test split, and score them against each other.

    Args:
        loaded: The model, of networks of PyTorch.
        forms: The same in other forms.
        before: The model before a calibration was fitted; None without one.
        data: Set up for test.
        max_loss: See `FormTest.loss`.
    """
    description = loaded.description
    rivals: dict[str, Predictor] = {"PyTorch": loaded.predictor}
    rivals.update(forms.items())
    if before is not None:
        rivals["before"] = before
    outputs = outputs_of(rivals, description.preprocessing, data.test, data)
    files = {name: _predictions(found, description, data.test) for name, found in outputs.items()}
    content = results_of(files["PyTorch"])
    if before is not None:
        content["calibration"] = as_dicts(_main(files["before"], files["PyTorch"]))
    tests = {}
    for name in forms:
        largest = float(np.abs(outputs[name] - outputs["PyTorch"][-len(outputs[name]) :]).max())
        differences = _main(files["PyTorch"], files[name])
        tests[name] = FormTest(largest, differences, _loss(name, largest, differences, max_loss))
        log.info("%s: largest difference of an output %.2g", name, largest)
    return Tests(content, tests)


def fitted(loaded: Loaded, data: ExpressionData) -> Calibration:
    """A calibration of a model, fitted on the selection split.

    Args:
        loaded: The model, without a calibration.
        data: Set up for fit.
    """
    description, table = loaded.description, data.val
    outputs = outputs_of({"": loaded.predictor}, description.preprocessing, table, data)[""]
    return calibration.fit(
        description.layout, outputs.astype(np.float64), table.category, table.affect.astype(float)
    )


def some_pictures(data: ExpressionData, preprocessing: Preprocessing, number: int) -> Tensor:
    """Pictures of the training split as the network takes them, float32 ``[N, 3, S, S]``.

    Args:
        data: Set up for fit.
        preprocessing: The model's.
        number: N; all of a smaller split.
    """
    rows = np.random.default_rng(0).permutation(len(data.train))[:number]
    samples = Subset(FaceDataset(data.train, data.image_size, data.margin), rows.tolist())
    loader = DataLoader(samples, batch_size=data.batch_size, num_workers=data.num_workers)
    return torch.cat([preprocessing.normalise(batch.image) for batch in loader])


@torch.inference_mode()
def outputs_of(
    predictors: Mapping[str, Predictor],
    preprocessing: Preprocessing,
    table: Annotations,
    data: ExpressionData,
) -> dict[str, Outputs]:
    """The outputs of several models for all samples of a split, which is read once.

    Args:
        predictors: The models, by any name.
        preprocessing: What they have in common.
        table: The split.
        data: How it is loaded.

    Returns:
        ``[M, N, width]`` by name, in the order of the split.
    """
    found: dict[str, list[Tensor]] = {name: [] for name in predictors}
    for image in _reported(_batches(table, data), len(table)):
        normalised = preprocessing.normalise(image)
        for name, predictor in predictors.items():
            found[name].append(predictor.each(normalised).float())
    return {name: torch.cat(parts, dim=1).numpy() for name, parts in found.items()}


def _batches(table: Annotations, data: ExpressionData) -> Iterator[Tensor]:
    loader = DataLoader(
        FaceDataset(table, data.image_size, data.margin),
        batch_size=data.batch_size,
        num_workers=data.num_workers,
    )
    return (batch.image for batch in loader)


def _reported(batches: Iterator[Tensor], total: int) -> Iterator[Tensor]:
    """The same batches, with a line in the log from time to time."""
    done, written = 0, time.monotonic()
    for batch in batches:
        yield batch
        done += len(batch)
        if done == total or time.monotonic() - written >= _EVERY_SECONDS:
            written = time.monotonic()
            log.info("%d of %d pictures", done, total)


def _predictions(outputs: Outputs, description: Description, table: Annotations) -> Predictions:
    layout = description.layout
    prediction = layout.read(combine(torch.from_numpy(outputs), layout).numpy())
    return predictions_of(
        layout.space,
        prediction.logits,  # type: ignore[arg-type]
        prediction.affect,  # type: ignore[arg-type]
        table.space,
        table.id,
        table.category,
        table.affect,
        description.training,
    )


def _main(a: Predictions, b: Predictions) -> dict[str, Difference]:
    """The changes of the main scores from `a` to `b`."""
    found = compare(a, b).differences
    return {key: d for key, d in found.items() if _is_one(key, _SHOWN)}


def _is_one(key: str, names: tuple[str, ...]) -> bool:
    """Whether a score is one of the names, or of one dimension where a name ends in ``_``."""
    return any(
        key == name or (name.endswith("_") and key.startswith(name) and key.count("_") == 1)
        for name in names
    )


def _loss(
    name: FormName, largest: float, differences: Mapping[str, Difference], max_loss: float
) -> str:
    """Why a form is not good enough, or nothing."""
    if not math.isfinite(largest):
        return "gives outputs that are not finite"
    if FORMS[name].precision == "float32" and largest > MOST_IN_FLOAT32:
        return (
            f"differs from PyTorch by {largest:.2g} in an output, which rounding does not explain"
        )
    lost = [
        f"{-d.difference:.4f} of {key} (interval {-d.high:.4f} to {-d.low:.4f})"
        for key, d in differences.items()
        if _is_one(key, _BOUND) and -d.difference > max_loss
    ]
    return f"loses {' and '.join(lost)}, more than max_loss={max_loss}" if lost else ""


def as_dicts(differences: Mapping[str, Difference]) -> dict[str, dict[str, float]]:
    """As JSON holds them."""
    return {key: d._asdict() for key, d in differences.items()}
