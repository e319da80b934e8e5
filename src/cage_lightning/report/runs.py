"""The runs below a folder, read from their files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from cage_lightning.errors import CageError, ConfigError, DataError, first_line
from cage_lightning.predictions.files import read_predictions
from cage_lightning.predictions.table import Predictions
from cage_lightning.report.affect_figures import Source, compared_dimensions
from cage_lightning.report.run_files import (
    end_of_log,
    is_diverged,
    last_error,
    read_scores,
    read_settings,
)
from cage_lightning.runs.folder import FOREIGN, RunFolder
from cage_lightning.runs.identity import network_name
from cage_lightning.runs.pruning import Pruned, read_pruned
from cage_lightning.system.paths import leading_out, leads_out

_DIVERGED = (
    "the outputs on the test split are not finite: the training diverged; delete the folder, and "
    "train the run with a lower optimizer.lr"
)
_DRAWN = ("cage_lightning.data.datasets.DemoFaces", "cage_lightning.data.datasets.DemoEmotic")
_EVALUATIONS = "evaluations/*/metrics.json"


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
        unread: The folders of those of its evaluations that cannot be read.
    """

    folder: Path
    config: Mapping[str, Any]
    metrics: Mapping[str, Any]
    unread: frozenset[Path] = frozenset()

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

        Those that cannot be read are left out, as are links that lead out of the run folder.
        """
        name = self.folder.name
        found = [Evaluation(self, Source(name), self.folder)]
        for scores in sorted(self.folder.glob(_EVALUATIONS)):
            found.append(Evaluation(self, Source(name, scores.parent.name), scores.parent))
        return [one for one in found if not one.leads_out and one.folder not in self.unread]


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
        return self.run.metrics if self.folder == self.run.folder else read_scores(self.folder)

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


def read_runs(root: Path, malformed: dict[Path, str]) -> list[Run]:
    """Every finished run below `root` that is a result, in the order of their paths.

    Args:
        root: The folder.
        malformed: Gets an entry for each folder with a file that cannot be read, which says why.
            Such a run, or evaluation of a run, is left out.

    Raises:
        ConfigError: There is none.
    """
    runs = []
    for file in sorted(root.glob("**/metrics.json")):
        config, folder = file.with_name("config.yaml"), file.parent
        if not config.is_file():
            continue  # an evaluation of a run, not a run
        with _noted(folder, malformed):
            if not is_diverged(folder):
                unread = _unread_evaluations(folder, malformed)
                runs.append(Run(folder, read_settings(config), read_scores(folder), unread))
    if not runs:
        left = next(iter(malformed.values()), "")
        raise ConfigError(
            f"{root} holds no finished run (a metrics.json beside a config.yaml)"
            + f"; left out: {left}" * bool(left)
        )
    return runs


def _unread_evaluations(folder: Path, malformed: dict[Path, str]) -> frozenset[Path]:
    """The evaluations of a run whose scores cannot be read."""
    unread = []
    for file in sorted(folder.glob(_EVALUATIONS)):
        if not leads_out(folder, file):
            try:
                read_scores(file.parent)
            except DataError as error:
                malformed[file.parent] = str(error)
                unread.append(file.parent)
    return frozenset(unread)


def read_unfinished(root: Path, malformed: dict[Path, str]) -> list[UnfinishedRun]:
    """Every run below `root` that has no results, in the order of their paths.

    A run that ended although its model had diverged, as older versions let it, has none either.

    Args:
        root: The folder.
        malformed: As in `read_runs`.
    """
    folders = {file.parent for file in root.glob("**/config.yaml")}
    runs = []
    for folder in sorted(folders):
        # Loggers keep a config.yaml of their own inside a run folder.
        if folder in malformed or not folders.isdisjoint(folder.parents):
            continue
        with _noted(folder, malformed):
            diverged = is_diverged(folder)
            if diverged or not (folder / "metrics.json").is_file():
                run = RunFolder(folder)
                settings = read_settings(folder / "config.yaml")
                error = _DIVERGED if diverged else last_error(run)
                runs.append(
                    UnfinishedRun(folder, settings, end_of_log(run), error, read_pruned(run))
                )
    return runs


@contextmanager
def _noted(folder: Path, malformed: dict[Path, str]) -> Iterator[None]:
    """Note why the files of a run cannot be read, and go on."""
    try:
        yield
    except (DataError, OSError) as error:
        malformed[folder] = first_line(error)


def left_out(runs: Iterable[Run | UnfinishedRun]) -> list[Path]:
    """What the runs are shown without: links that lead out of a run folder, and what is no file."""
    return [path for run in runs for path in leading_out(run.folder, FOREIGN)]


def read_affect(
    evaluations: Iterable[Evaluation], malformed: dict[Path, str]
) -> list[tuple[Evaluation, Predictions]]:
    """The evaluations in which affect can be compared, with what they predict.

    Args:
        evaluations: Those with files that cannot be read are left out.
        malformed: As in `read_runs`.
    """
    found = []
    for evaluation in evaluations:
        try:
            predictions = read_predictions(evaluation.predictions)
        except CageError as error:
            malformed[evaluation.folder] = first_line(error)
            continue
        if compared_dimensions(predictions):
            found.append((evaluation, predictions))
    return found
