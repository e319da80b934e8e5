"""The runs below a folder, read from their files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from cage_lightning.errors import ConfigError, DataError
from cage_lightning.predictions.files import has_finite_outputs, read_predictions
from cage_lightning.predictions.table import Predictions
from cage_lightning.report.affect_figures import Source, compared_dimensions
from cage_lightning.report.pairs import check_pair
from cage_lightning.runs.folder import FOREIGN, RunFolder
from cage_lightning.runs.identity import network_name, read_config
from cage_lightning.runs.pruning import Pruned, read_pruned
from cage_lightning.system.paths import is_inside, leading_out, leads_out, refuse_outside

_DIVERGED = (
    "the outputs on the test split are not finite: the training diverged; delete the folder, and "
    "train the run with a lower optimizer.lr"
)
_DRAWN = ("cage_lightning.data.datasets.DemoFaces", "cage_lightning.data.datasets.DemoEmotic")
_LOG_LINES, _LOG_BYTES = 20, 8192  # of the end of train.log, at most


class RowName(NamedTuple):
    """What the seeds of one row of a table share.

    Attributes:
        data: The dataset.
        model: The network.
        loss: The loss.
        tag: What else tells the runs apart; empty if nothing does.
    """

    data: str
    model: str
    loss: str
    tag: str

    @property
    def choices(self) -> tuple[str, str, str]:
        """Data, network and loss, which name a row of the paper."""
        return self.data, self.model, self.loss


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
    def row(self) -> RowName:
        """Where the run stands in a table."""
        choices, tag = self.config["choices"], self.config.get("tag")
        return RowName(choices["data"], network_name(self.config), choices["loss"], str(tag or ""))

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return int(self.config["seed"])

    @property
    def drawn(self) -> bool:
        """Whether the pictures it was trained on and tested with are drawn, and show nobody."""
        data = self.config.get("data")
        return isinstance(data, Mapping) and data.get("_target_") in _DRAWN

    @property
    def evaluations(self) -> list[Evaluation]:
        """The evaluation on its own test split, and those on other datasets.

        Those whose files are links that lead out of the run folder are left out.
        """
        name = self.folder.name
        found = [Evaluation(self, Source(name), self.folder)]
        for scores in sorted(self.folder.glob("evaluations/*/metrics.json")):
            found.append(Evaluation(self, Source(name, scores.parent.name), scores.parent))
        return [evaluation for evaluation in found if not evaluation.leads_out]


@dataclass(frozen=True)
class Evaluation:
    """What a run predicted for one test split, and its scores.

    Attributes:
        run: The run.
        source: How its predictions are called beside others.
        folder: Where its files are: the run folder, or one below it.
    """

    run: Run
    source: Source
    folder: Path

    @property
    def predictions(self) -> Path:
        """The prediction file."""
        return self.folder / "predictions.parquet"

    @property
    def metrics(self) -> Mapping[str, Any]:
        """The content of its metrics.json.

        Raises:
            DataError: It cannot be read.
        """
        return self.run.metrics if self.folder == self.run.folder else _metrics(self.folder)

    @property
    def leads_out(self) -> bool:
        """Whether its predictions or its scores are not of this run."""
        files = (self.predictions, self.folder / "metrics.json")
        return any(leads_out(self.run.folder, file) for file in files)


@dataclass(frozen=True)
class UnfinishedRun:
    """A run that has no results: it waits, is running, was stopped, or failed.

    Attributes:
        folder: The run folder.
        config: Its config.yaml.
        log: The last lines of its train.log; empty if it has none.
        error: Why its last start failed; None if it did not.
        pruned: How a search ended it early; None if none did.
    """

    folder: Path
    config: Mapping[str, Any]
    log: str
    error: str | None
    pruned: Pruned | None = None


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
        runs.append(Run(file.parent, _settings(config), _metrics(file.parent)))
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
            pruned=read_pruned(RunFolder(folder)),
        )
        for folder in sorted(folders)
        # Loggers keep a config.yaml of their own inside a run folder.
        if folders.isdisjoint(folder.parents)
        and (not (folder / "metrics.json").is_file() or _diverged(folder))
    ]


def left_out(runs: Iterable[Run | UnfinishedRun]) -> list[Path]:
    """What the runs are shown without: links that lead out of a run folder, and what is no file."""
    return [path for run in runs for path in leading_out(run.folder, FOREIGN)]


def read_affect(evaluations: Iterable[Evaluation]) -> list[tuple[Evaluation, Predictions]]:
    """The evaluations in which affect can be compared, with what they predict.

    Raises:
        ConfigError: A file is missing.
        DataError: A file cannot be read.
    """
    files = [(evaluation, read_predictions(evaluation.predictions)) for evaluation in evaluations]
    return [(evaluation, file) for evaluation, file in files if compared_dimensions(file)]


def _metrics(folder: Path) -> dict[str, Any]:
    """The scores in a folder of results.

    Raises:
        DataError: They cannot be read, are a link that leads out of the folder, or are not those of
            the predictions there.
    """
    run = RunFolder(folder)
    refuse_outside(folder, run.metrics_file)
    try:
        metrics = run.read_metrics()
    except (OSError, ValueError) as error:
        raise DataError(f"{run.metrics_file} is unreadable: {error}") from error
    check_pair(folder, metrics)
    return metrics


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
    """Why the last start failed; None also where a link leads out of the run folder."""
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
