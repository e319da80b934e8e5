"""Run folders as a training leaves them behind, made up without one."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from cage_lightning.labels import AFFECTNET_7, AFFECTNET_8
from cage_lightning.predictions.files import write_predictions
from cage_lightning.report.evaluation_figures import draw
from cage_lightning.report.published import Protocol, Row, required, test_samples
from cage_lightning.report.runs import Run
from cage_lightning.scores.results import results_of, write_results
from cage_lightning.system.atomic import write_csv
from tests.conftest import composed
from tests.prediction_samples import random_predictions


def write_run(
    root: Path,
    *overrides: str,
    finished: bool = True,
    log: str = "",
    error: str | None = None,
    figures: Path | None = None,
) -> Path:
    """A run of the settings that the command line would take.

    Without `finished` it has no results. `figures` is a folder of figures it is given.
    """
    config = composed(f"runs={root}", *overrides)
    names = (config.choices.data, config.choices.model, config.choices.loss, f"s{config.seed}")
    folder = root / str(config.group) / "-".join(names + ((config.tag,) if config.tag else ()))
    folder.mkdir(parents=True)
    config.run_dir = str(folder)
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(config, resolve=True))
    (folder / "train.log").write_text(log)
    if error is not None:
        (folder / "error.txt").write_text(error)
    # The run looks as if it was killed after step 400 and resumed from a checkpoint of step 300.
    write_log(folder, 0, range(49, 400, 50))
    write_log(folder, 1, range(349, 1000, 50))
    if figures:
        shutil.copytree(figures, folder / "figures")
    if finished:
        space = AFFECTNET_7 if config.choices.data.endswith("7") else AFFECTNET_8
        model = (config.seed, *config.choices.loss.encode())
        predictions = random_predictions(space, 100, model=model)
        write_predictions(folder / "predictions.parquet", predictions)
        meta = {
            "git_revision": "0123456789abcdef0123456789abcdef01234567+",
            "versions": {"python": "3.11.7", "torch": "2.14.1"},
            "device": {"type": "cuda", "name": "Made-up accelerator 80GB", "count": 1},
            "data": {"test": {"samples": 100, "left_out": {}, "fingerprint": "0f" * 32}},
            "seed": config.seed,
            "selection": {"split": "holdout", "metric": "val/loss", "mode": "min", "value": 1.5},
            "wall_time_s": 5000.0 * (config.seed + 1) + 7,
        }
        results = results_of(predictions, resamples=20)
        write_results(folder / "metrics.json", results | {"meta": results["meta"] | meta})
    return folder


def write_log(folder: Path, start: int, steps: Iterable[int]) -> None:
    """The CSV file that one start of a run leaves: losses falling, scores rising."""
    keys = ("train/loss", "val/loss", "val/accuracy", "val/ccc_valence", "val/ccc_arousal")
    rows: list[Mapping[str, object]] = []
    for step in steps:
        rest = math.exp(-step / 300)
        rows.append({"epoch": step // 100, "step": step, "train/loss": 1 + 2 * rest})
        if step % 100 == 99:
            scores = (1.2 + 2 * rest, 0.65 - rest / 2, 0.75 - rest / 2, 0.6 - rest / 2)
            rows.append(
                {"epoch": step // 100, "step": step} | dict(zip(keys[1:], scores, strict=True))
            )
    path = folder / f"csv/version_{start}/metrics.csv"
    write_csv(path, ("epoch", "step", *keys), rows)


def draw_figures(folder: Path) -> Path:
    """Every figure of a prediction file; its pictures are noise, which compresses worst."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (64, 32, 32, 3), dtype=np.uint8)
    draw(folder, random_predictions(AFFECTNET_8, 500), lambda row: noise[row % 64])
    return folder


def runs_with(
    scores: Mapping[str, float | Sequence[float]],
    row: Row,
    protocol: Protocol,
    seeds: int = 6,
    n: int | None = None,
    root: Path = Path("runs"),
    changed: Mapping[str, object] = MappingProxyType({}),
) -> list[Run]:
    """Finished runs of several seeds in memory, which follow a protocol.

    Args:
        scores: By key without ``test/``: one for each seed, or the same for all of them.
        row: Their data set, network and loss.
        protocol: What they follow.
        seeds: How many there are.
        n: Samples of the test split; None: as many as that of the data set has.
        root: Above their folders.
        changed: Settings that they have otherwise.
    """
    settings = required(protocol, row)
    steps = [{"_target_": f"x.{name}"} for name in settings.pop("augmentation")]
    settings |= changed
    config: dict[str, Any] = {"choices": row._asdict(), "group": protocol, "tag": None}
    config["augment"] = {"steps": steps}
    for key, value in settings.items():
        *above, name = key.split(".")
        inner = config
        for part in above:
            inner = inner.setdefault(part, {})
        inner[name] = value
    n = min(test_samples(row.data)) if n is None else n
    return [
        Run(
            root / protocol / f"{'-'.join(row)}-s{seed}",
            {**config, "seed": seed},
            {"test/n": n, "intervals": {}}
            | {
                f"test/{key}": value if isinstance(value, float | int) else value[seed]
                for key, value in scores.items()
            },
        )
        for seed in range(seeds)
    ]
