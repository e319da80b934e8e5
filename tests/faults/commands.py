"""Commands to be disturbed: how each is typed, and what it leaves if it is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from cage_lightning.runs.folder import RunFolder
from tests.integration.test_exact_resume import state

RUN = "runs/default/demo8-tiny-combined-s0"
Name = Literal["train", "prepare", "collect", "export", "predict", "evaluate", "score"]
NAMES: tuple[Name, ...] = ("train", "prepare", "collect", "export", "predict", "evaluate", "score")


@dataclass(frozen=True)
class Case:
    """A command.

    Attributes:
        name: What is typed after `cage_lightning.`
        arguments: What follows; places of results are relative to the folder it works in.
        left: From that folder, what it has left there, without times.
        equal: What is equal if `left` returns the same twice.
        made_once: What is there as a whole or not at all, and is not made again.
    """

    name: Name
    arguments: tuple[str, ...]
    left: Callable[[Path], Any]
    equal: str = "files equal, byte for byte"
    made_once: str = ""

    def whole(self, folder: Path) -> bool:
        """Whether the command has nothing more to do there."""
        return bool(self.made_once) and (folder / self.made_once).exists()


def case(
    name: Name, data: Path, trained: Path, more: tuple[str, ...] = (), run_folder: str = RUN
) -> Case:
    """The command on a small release, or on the run of `trained`.

    Args:
        name: Of the command.
        data: The release.
        trained: A folder with a run.
        more: Further settings.
        run_folder: Of a training.
    """
    few = ("data=demo8", "data.size=tiny", f"data.root={data}")
    run = trained / RUN
    short = (*few, "trainer=cpu", "data.num_workers=0", "figures=false")
    cases = {
        "train": Case(
            "train",
            (
                *(*short, "model=tiny", "model.image_size=32", "trainer.max_epochs=2"),
                *("data.batch_size=16", "callbacks.last.every_n_steps=1"),
            ),
            _of_a_run(run_folder),
            "weights, metrics and predictions equal",
        ),
        "prepare": Case("prepare", (*few, "data.store=store", "workers=1"), _files("store/*/*")),
        "collect": Case(
            "collect",
            ("table=runs", f"runs={trained}/runs", "output=out"),
            _files("out/results.*"),
        ),
        "export": Case(
            "export",
            (f"checkpoint={run}", *few, "data.num_workers=0", "output=out"),
            _files("out/*.safetensors"),
            made_once="out",
        ),
        "predict": Case(
            "predict",
            (
                *(f"checkpoint={run}", f"source={data}/val_set/images", "faces=none"),
                *("device=cpu", "batch_size=2", "output=out.parquet"),
            ),
            _files("out.parquet"),
        ),
        "evaluate": Case(
            "evaluate",
            (f"checkpoint={run}", *short, "output=out"),
            _of_scores,
            "scores and predictions equal",
        ),
        "score": Case(
            "score",
            (f"predictions={run}/predictions.parquet", "output=out/metrics.json"),
            _of_scores,
            "scores equal",
        ),
    }
    found = cases[name]
    return replace(found, arguments=(*found.arguments, *more))


def _of_a_run(run: str) -> Callable[[Path], Any]:
    def left(folder: Path) -> dict[str, Any]:
        found = RunFolder(folder / run)
        predictions = (found.path / "predictions.parquet").read_bytes()
        return state(found) | {"predictions": predictions}

    return left


def _of_scores(folder: Path) -> dict[str, Any]:
    metrics = json.loads((folder / "out/metrics.json").read_text(encoding="utf-8"))
    scores = {name: value for name, value in metrics.items() if name != "meta"}
    return scores | _files("out/*.parquet")(folder)


def _files(pattern: str) -> Callable[[Path], dict[str, bytes]]:
    def left(folder: Path) -> dict[str, bytes]:
        files = [file for file in folder.glob(pattern) if file.is_file()]
        return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}

    return left
