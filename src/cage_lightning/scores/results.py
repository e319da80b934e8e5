"""The content of metrics.json from predictions, and the file itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cage_lightning.predictions.table import Predictions
from cage_lightning.scores.baselines import baselines, chance
from cage_lightning.scores.bootstrap import drawn_whole, intervals
from cage_lightning.scores.contempt import without_contempt
from cage_lightning.scores.headline import lower_is_better
from cage_lightning.scores.scorer import point_estimate
from cage_lightning.scores.subgroups import DEALS, LEAST, subgroup_scores
from cage_lightning.system.atomic import write_atomic

RESAMPLES = 10_000
CONFIDENCE = 0.95
SCORED = "predictions_sha256"  # in `meta`: of the prediction file beside metrics.json
_BASELINE = "baseline_"


def results_of(
    predictions: Predictions,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
    subgroups: Sequence[str] = (),
) -> dict[str, Any]:
    """The scores of one prediction file, and of predictors that do not look at a picture.

    Returns:
        Flat keys: ``test/...`` the scores; ``baseline_<name>/...`` those of `scores.baselines` and
        `scores.chance`; ``contempt_dropped/...`` those of a model for AffectNet-8 on AffectNet-7.
        ``intervals``: [low, high] by the same keys, of the first and the last. Where `subgroups`
        names groups, ``subgroups``: their `subgroup_scores`. ``meta``: how they were computed.
    """
    content: dict[str, Any] = {}
    limits: dict[str, tuple[float, float]] = {}
    scored = {"test": predictions}
    if (seven := without_contempt(predictions)) is not None:
        scored["contempt_dropped"] = seven
    for name, file in scored.items():
        content |= {f"{name}/{key}": value for key, value in point_estimate(file).items()}
        found = intervals(file, resamples, confidence, seed)
        limits |= {f"{name}/{key}": (value.low, value.high) for key, value in found.items()}
    simple = baselines(predictions)
    for name, file in simple.items():
        values = point_estimate(file)
        content |= {f"baseline_{name}/{key}": value for key, value in values.items()}
    content |= {f"baseline_chance/{key}": value for key, value in chance(predictions).items()}
    content["intervals"] = {key: list(interval) for key, interval in limits.items()}
    if subgroups:
        of_groups = subgroup_scores(predictions, subgroups, resamples, confidence, seed)
        content["subgroups"] = of_groups
    knows = next((file.training for file in simple.values()), None)
    content["meta"] = {
        "label_space": predictions.space.to_dict(),
        "scores": scoring_settings(resamples, confidence, seed)
        | {
            "ccc": "unbiased (n - 1), unless the key names another",
            "baselines_know": None if knows is None else knows.source,
        }
        | _whole(predictions)
        | ({"subgroups": {"least": LEAST, "deals": DEALS}} if subgroups else {}),
    }
    return content


def _whole(predictions: Predictions) -> dict[str, Any]:
    """What is drawn as a whole for the intervals, where it is not a sample."""
    name = drawn_whole(predictions)
    return {} if name is None else {"resampled": name}


def best_baseline(content: Mapping[str, Any], metric: str) -> tuple[str, float] | None:
    """Name and value of the baseline that does best in a metric; None where there is none.

    Args:
        content: As `results_of` returns it.
        metric: The key of the metric without its part before the slash.
    """
    values = {
        key.partition("/")[0].removeprefix(_BASELINE).replace("_", " "): value
        for key, value in content.items()
        if key.startswith(_BASELINE) and key.partition("/")[2] == metric
    }
    if not values:
        return None
    best = (min if lower_is_better(metric) else max)(values, key=values.__getitem__)
    return best, values[best]


def write_results(path: Path, content: dict[str, Any]) -> None:
    """Write scores as JSON, atomically."""
    write_atomic(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def scoring_settings(resamples: int, confidence: float, seed: int) -> dict[str, Any]:
    """How scores were computed, as metrics.json records it."""
    return {"resamples": resamples, "confidence": confidence, "seed": seed}
