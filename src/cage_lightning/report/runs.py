"""The runs below a folder, as what their files say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cage_lightning.errors import ConfigError, DataError
from cage_lightning.predictions.files import has_finite_outputs, read_predictions
from cage_lightning.predictions.table import Predictions
from cage_lightning.report.affect_figures import compared_dimensions
from cage_lightning.runs.folder import FOREIGN, RunFolder
from cage_lightning.runs.identity import network_name, read_config
from cage_lightning.system.paths import is_inside, leading_out, leads_out, refuse_outside

_DIVERGED = (
    "the outputs on the test split are not finite: the training diverged; delete the folder, and "
    "train the run with a lower optimizer.lr"
)
_LOG_LINES, _LOG_BYTES = 20, 8192  # of the end of train.log, at most


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: The run folder.
        config: Its config.yaml.
        metrics: Its metrics.json.
    """

    folder: Path
    config: Mapping[str, Any]
    metrics: Mapping[str, Any]

    @property
    def row(self) -> tuple[str, str, str, str]:
        """What the seeds of one row of a table share: data, model, loss and tag."""
        choices = self.config["choices"]
        model = network_name(self.config)
        return choices["data"], model, choices["loss"], self.config.get("tag") or ""

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return int(self.config["seed"])

    @property
    def predictions(self) -> dict[str, Path]:
        """Its prediction file, and those of the datasets it was evaluated on, by a name."""
        files = {self.folder.name: self.folder / "predictions.parquet"}
        for scores in sorted(self.folder.glob("evaluations/*/metrics.json")):
            label = f"{self.folder.name} on {scores.parent.name}"
            files[label] = scores.with_name("predictions.parquet")
        return {label: file for label, file in files.items() if not self._leads_out(file)}

    def _leads_out(self, predictions: Path) -> bool:
        """Whether a prediction file, or the scores beside it, are not of this run."""
        scores = predictions.with_name("metrics.json")
        return any(leads_out(self.folder, file) for file in (predictions, scores))


@dataclass(frozen=True)
class UnfinishedRun:
    """A run that has no results: it waits, is running, was stopped, or failed.

    Attributes:
        folder: The run folder.
        config: Its config.yaml.
        log: The last lines of its train.log; empty if it has none.
        error: Why its last start failed; None if it did not.
    """

    folder: Path
    config: Mapping[str, Any]
    log: str
    error: str | None


def read_runs(root: Path) -> list[Run]:
    """Every finished run below `root` that is a result, in the order of their paths.

    Raises:
        ConfigError: There is none.
        DataError: A file of a run cannot be read.
    """
    runs = []
    for file in sorted(root.glob("**/metrics.json")):
        config = file.with_name("config.yaml")
        if not config.is_file():
            continue  # an evaluation of a run, not a run
        if _diverged(file.parent):
            continue
        try:
            refuse_outside(file.parent, file)
            metrics = RunFolder(file.parent).read_metrics()
        except (OSError, ValueError) as error:
            raise DataError(f"{file} is unreadable: {error}") from error
        runs.append(Run(file.parent, _settings(config), metrics))
    if not runs:
        raise ConfigError(f"{root} holds no finished run (a metrics.json beside a config.yaml)")
    return runs


def read_unfinished(root: Path) -> list[UnfinishedRun]:
    """Every run below `root` that has no results, in the order of their paths.

    A run that ended although its model had diverged, as older versions let it, has none either.

    Raises:
        DataError: A file of a run cannot be read.
    """
    folders = {file.parent for file in root.glob("**/config.yaml")}
    return [
        UnfinishedRun(
            folder=folder,
            config=_settings(folder / "config.yaml"),
            log=_end(RunFolder(folder)),
            error=_DIVERGED if _diverged(folder) else _text(RunFolder(folder)),
        )
        for folder in sorted(folders)
        # Loggers keep a config.yaml of their own inside a run folder.
        if folders.isdisjoint(folder.parents)
        and (not (folder / "metrics.json").is_file() or _diverged(folder))
    ]


def left_out(runs: Iterable[Run | UnfinishedRun]) -> list[Path]:
    """What the runs are shown without: links that lead out of a run folder, and what is no file."""
    return [path for run in runs for path in leading_out(run.folder, FOREIGN)]


def read_affect(paths: Mapping[str, Path]) -> dict[str, Predictions]:
    """The prediction files in which affect can be compared, by name; others are left out.

    Raises:
        ConfigError: A file is missing.
        DataError: A file cannot be read.
    """
    files = {label: read_predictions(path) for label, path in paths.items()}
    return {label: file for label, file in files.items() if compared_dimensions(file)}


def _settings(file: Path) -> dict[str, Any]:
    """The config.yaml of a run, with what the rows of a table are named by."""
    settings = read_config(file)
    choices = settings.get("choices")
    if not isinstance(choices, dict) or not {"data", "model", "loss"} <= choices.keys():
        raise DataError(f"{file} is no config of a run: it lacks choices.data, .model or .loss")
    if not isinstance(settings.get("seed"), int):
        raise DataError(f"{file} is no config of a run: it lacks a seed")
    return settings


def _diverged(folder: Path) -> bool:
    """Whether the outputs of a run are not finite.

    Raises:
        DataError: They cannot be read.
    """
    predictions = folder / "predictions.parquet"
    if not is_inside(folder, predictions):
        return False
    try:
        return not has_finite_outputs(predictions)
    except (OSError, ValueError) as error:
        raise DataError(f"{predictions} is unreadable: {error}") from error


def _text(run: RunFolder) -> str | None:
    """Why the last start failed; what a link leads to is nothing that it said."""
    file = run.error_file
    if not is_inside(run.path, file):
        return None
    return file.read_text(encoding="utf-8", errors="replace").strip()


def _end(run: RunFolder) -> str:
    """The last lines of the log, which may be long and in the middle of a write."""
    log = run.log_file
    if not is_inside(run.path, log):
        return ""
    lines = log.read_bytes()[-_LOG_BYTES:].decode(errors="replace").splitlines()
    return "\n".join(lines[-_LOG_LINES:])
