"""Score one prediction file, compare two, or sum up several seeds."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig

from cage_lightning.commands.subgroups import Subgroups
from cage_lightning.errors import ConfigError, check_names, check_seed
from cage_lightning.predictions.files import read_predictions
from cage_lightning.predictions.table import Predictions
from cage_lightning.report.subgroups import NAME, print_subgroups, write_subgroups
from cage_lightning.report.summary import print_comparison, print_results, print_seeds
from cage_lightning.scores import compare, point_estimate, summarise
from cage_lightning.scores.circumplex import contradictions
from cage_lightning.scores.results import SCORED, results_of, scoring_settings, write_results
from cage_lightning.system.paths import local_path, refuse_outside, sha256_of
from cage_lightning.system.storage import check_writable, check_writable_file

log = logging.getLogger(__name__)


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
    asked = Subgroups.asked(config)
    if asked.names and (len(files) > 1 or config.over_seeds):
        raise ConfigError("subgroups=... scores one prediction file: name one in predictions=...")
    names = check_names("categories", config.categories)
    predictions = [_read(f, config.label_space, names, asked) for f in files]
    for file, found in zip(files, predictions, strict=True):
        for contradiction in contradictions(found):
            log.warning("%s: %s: are its categories in another order?", file, contradiction)
    settings = {key: config[key] for key in ("resamples", "confidence", "seed")}
    where = {"files": {str(file): sha256_of(file) for file in files}} | asked.origin
    name = "seeds" if config.over_seeds else "comparison" if len(files) == 2 else "metrics"
    output = (
        local_path("output", config.output) if config.output else _beside(files[0], f"{name}.json")
    )
    check_writable_file(output, "output=FILE")
    if config.figures is not None:
        check_writable(local_path("figures", config.figures), "figures=DIR")
    before = _before(output)
    if name == "seeds":
        content, show = _over_seeds(predictions, config.confidence), print_seeds
    elif name == "comparison":
        content, show = _compared(predictions, settings), print_comparison
    else:
        content, show = results_of(predictions[0], **settings, subgroups=asked.names), print_results
        content["meta"][SCORED] = sha256_of(files[0])
    content["meta"]["scores"] |= where
    # The metrics.json of a run also holds where its predictions come from: that stays.
    content["meta"] = before.get("meta", {}) | content["meta"]
    show(content, str(output))  # should writing fail, the numbers are seen
    print_subgroups(content)
    if NAME in content or NAME in before:
        write_subgroups(output.parent, content)
    write_results(output, content)
    if config.figures is not None:
        from cage_lightning.report.evaluation_figures import draw
        from cage_lightning.report.subgroup_figure import draw_subgroups

        draw(figures := local_path("figures", config.figures), predictions[0])
        draw_subgroups(figures, content)
    return content


def _read(
    file: Path, label_space: str | None, categories: Sequence[str] | None, asked: Subgroups
) -> Predictions:
    """A prediction file, with all that is known of its samples."""
    found = read_predictions(file, label_space, categories)
    asked.tell(found.id)
    return replace(found, groups=asked.known(found.id, found.groups))


def _compared(predictions: Sequence[Predictions], settings: dict[str, Any]) -> dict[str, Any]:
    a, b = predictions
    comparison = compare(a, b, **settings)
    return {
        "differences": {f"test/{k}": v._asdict() for k, v in comparison.differences.items()},
        "mcnemar": comparison.mcnemar,
        "meta": {"scores": scoring_settings(**settings)},
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
    """A file beside another one; a link that leads out of the folder is refused."""
    refuse_outside(file.parent, file.with_name(name))
    return file.with_name(name)


def _before(output: Path) -> dict[str, Any]:
    """The file of scores that is there already, with where its predictions come from; or empty."""
    if not output.exists():
        return {}
    try:
        content = dict(json.loads(output.read_text(encoding="utf-8")))
        return content | {"meta": dict(content["meta"])}
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"{output} holds no scores: choose another output=...") from error
