"""From prediction files to scores: of one, of two compared, of several seeds together."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig

from cage_lightning.atomic import write_atomic
from cage_lightning.errors import ConfigError, check_seed
from cage_lightning.inside import local_path, refuse_outside
from cage_lightning.prediction_files import read_predictions
from cage_lightning.predictions import Predictions
from cage_lightning.report.summary import print_comparison, print_results, print_seeds
from cage_lightning.room import check_writable, check_writable_file
from cage_lightning.scores import (
    baselines,
    chance,
    compare,
    intervals,
    point_estimate,
    summarise,
    without_contempt,
)

RESAMPLES = 10_000
CONFIDENCE = 0.95


def score(config: DictConfig) -> dict[str, Any]:
    """Score the prediction files that `config` names, write the scores and print the main ones.

    Returns:
        What was written.

    Raises:
        CageError: What the user can put right.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)
    check_seed(config.seed)
    several = isinstance(config.predictions, ListConfig)
    files = [
        local_path("predictions", str(name))
        for name in (config.predictions if several else [config.predictions])
    ]
    if not files or (len(files) > 2 and not config.over_seeds):
        raise ConfigError(
            f"predictions=... names {len(files)} files: one is scored, two are compared, several "
            "seeds are summed up with over_seeds=true"
        )
    if config.figures is not None and len(files) > 1:
        raise ConfigError("figures=... draws one prediction file: name one in predictions=...")
    predictions = [read_predictions(file, config.label_space) for file in files]
    settings = {key: config[key] for key in ("resamples", "confidence", "seed")}
    where = {"files": {str(file): _digest(file) for file in files}}
    name = "seeds" if config.over_seeds else "comparison" if len(files) == 2 else "metrics"
    output = (
        local_path("output", config.output) if config.output else _beside(files[0], f"{name}.json")
    )
    check_writable_file(output, "output=FILE")
    if config.figures is not None:
        check_writable(local_path("figures", config.figures), "figures=DIR")
    # The metrics.json of a run also says where its predictions come from: that stays.
    origin = _meta(output)
    if name == "seeds":
        content, show = _over_seeds(predictions, config.confidence), print_seeds
    elif name == "comparison":
        content, show = _compared(predictions, settings), print_comparison
    else:
        content, show = results_of(predictions[0], **settings), print_results
    content["meta"]["scores"] |= where
    content["meta"] = origin | content["meta"]
    show(content, str(output))  # should writing fail, the numbers are seen
    write_results(output, content)
    if config.figures is not None:
        from cage_lightning.report.evaluation_figures import draw

        draw(local_path("figures", config.figures), predictions[0])
    return content


def results_of(
    predictions: Predictions,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> dict[str, Any]:
    """The scores of one prediction file, and of predictors that do not look at a picture.

    Returns:
        Flat keys: ``test/...`` the scores; ``baseline_<name>/...`` those of `scores.baselines` and
        `scores.chance`; ``contempt_dropped/...`` those of a model for AffectNet-8 on AffectNet-7.
        ``intervals``: [low, high] by the same keys, of the first and the last. ``meta``: how they
        were made.
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
    knows = next((file.training for file in simple.values()), None)
    content["meta"] = {
        "label_space": predictions.space.to_dict(),
        "scores": _settings(resamples, confidence, seed)
        | {
            "ccc": "unbiased (n - 1), unless the key names another",
            "baselines_know": None if knows is None else knows.source,
        },
    }
    return content


def write_results(path: Path, content: dict[str, Any]) -> None:
    """Write scores as JSON, atomically."""
    write_atomic(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def _compared(predictions: Sequence[Predictions], settings: dict[str, Any]) -> dict[str, Any]:
    a, b = predictions
    comparison = compare(a, b, **settings)
    return {
        "differences": {f"test/{k}": v._asdict() for k, v in comparison.differences.items()},
        "mcnemar": comparison.mcnemar,
        "meta": {"scores": _settings(**settings)},
    }


def _over_seeds(predictions: Sequence[Predictions], confidence: float) -> dict[str, Any]:
    scores = [point_estimate(file) for file in predictions]
    shared = [key for key in scores[0] if all(key in one for one in scores)]
    return {
        "seeds": {
            f"test/{key}": summarise([one[key] for one in scores], confidence)._asdict()
            for key in shared
        },
        "meta": {"scores": {"confidence": confidence}},
    }


def _beside(file: Path, name: str) -> Path:
    """A file beside another one, which may come from anybody: no link that leads elsewhere."""
    refuse_outside(file.parent, file.with_name(name))
    return file.with_name(name)


def _meta(output: Path) -> dict[str, Any]:
    """What a file of scores that is there already says about their origin."""
    if not output.exists():
        return {}
    try:
        return dict(json.loads(output.read_text(encoding="utf-8"))["meta"])
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"{output} holds no scores: choose another output=...") from error


def _settings(resamples: int, confidence: float, seed: int) -> dict[str, Any]:
    return {"resamples": resamples, "confidence": confidence, "seed": seed}


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
