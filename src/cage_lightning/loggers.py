"""The Weights & Biases logger, set up so that it never waits for a login or a network."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import wandb
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from PIL import Image
from wandb.sdk.mailbox import MailboxClosedError

from cage_lightning.errors import first_line
from cage_lightning.predictions.table import Predictions
from cage_lightning.report.affect_figures import CIRCUMPLEX, compared_dimensions
from cage_lightning.report.worst_samples import Picture, described
from cage_lightning.runs.log import first_process
from cage_lightning.runs.wandb_agent import run_id
from cage_lightning.runs.wandb_settings import check_settings_of_folder
from cage_lightning.system.credentials import without_credentials

log = logging.getLogger(__name__)

_SECONDS_TO_CONNECT = 20.0
_SECONDS_TO_FINISH = 300.0  # the rest of the upload; `wandb sync` brings what is left
_SAMPLES = 100  # in the table
_POINTS = 2000  # in the scatter
_ROW = ("data", "model", "loss", "tag")
_LONGEST_TAG = 64  # characters, of W&B


class ExpressionWandbLogger(WandbLogger):
    """Lightning's logger, and what only this suite has to log: the results of a run.

    Args:
        pictures: Show the pictures of the samples in the table.
        arguments: Arguments of `WandbLogger`.
    """

    def __init__(self, pictures: bool, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._pictures = pictures
        self._complained = False

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log numbers of one step."""
        with self._service_may_be_gone():
            super().log_metrics(metrics, step)

    def log_results(
        self, content: Mapping[str, Any], predictions: Predictions, picture: Picture
    ) -> None:
        """Log the final scores as summary, a table of samples, and charts of the test split.

        Args:
            content: The content of metrics.json.
            predictions: The predictions for the test split.
            picture: The picture of a row of the predictions.
        """
        with self._service_may_be_gone():
            self.experiment.summary.update(_numbers(content))
            self.experiment.log(self._charts(predictions, picture))

    def log_finished(self, content: Mapping[str, Any]) -> None:
        """Log the scores of a run that was finished before, with what chose its epoch."""
        selection = content["meta"]["selection"]
        with self._service_may_be_gone():
            self.experiment.summary.update({selection["metric"]: selection["value"]})
            self.experiment.summary.update(_numbers(content))

    def finalize(self, status: str) -> None:
        """Upload the checkpoint, where that is asked for."""
        with self._service_may_be_gone():
            super().finalize(status)

    def end(self, error: BaseException | None) -> None:
        """End the W&B run as finished, or as failed and why.

        One that SIGTERM stops is only marked: there is no time to wait for the upload. W&B ends it
        with the process.
        """
        with self._service_may_be_gone():
            if isinstance(error, SIGTERMException):
                self.experiment.mark_preempting()
                return
            if isinstance(error, Exception):
                self.experiment.summary["error"] = without_credentials(str(error))
            elif self.experiment.summary.get("error"):
                self.experiment.summary["error"] = None  # that of an earlier start
            self.experiment.finish(exit_code=0 if error is None else 1)

    @contextmanager
    def _service_may_be_gone(self) -> Iterator[None]:
        """Go on where W&B does not answer: that costs what is logged, not the run."""
        try:
            yield
        except (wandb.Error, MailboxClosedError, OSError) as error:
            if not self._complained:
                log.warning("W&B does not answer (%s): not all is logged", first_line(error))
            self._complained = True

    def _charts(self, predictions: Predictions, picture: Picture) -> dict[str, Any]:
        charts: dict[str, Any] = {"test/samples": self._samples(predictions, picture)}
        true, predicted = predictions.category, predictions.category_pred
        if true is not None and predicted is not None and not predictions.space.multi_label:
            known = true >= 0
            charts["test/confusion_matrix"] = wandb.plot.confusion_matrix(
                y_true=true[known].tolist(),
                preds=predicted[known].tolist(),
                class_names=list(predictions.space.categories),
                title="Confusion matrix",
            )
        compared = compared_dimensions(predictions)
        if set(CIRCUMPLEX) <= set(compared) and predictions.affect_pred is not None:
            columns = [compared[dimension] for dimension in CIRCUMPLEX]
            rows = _evenly(len(predictions), _POINTS)
            table = wandb.Table(
                columns=[f"{name}_{side}" for side in ("pred", "true") for name in CIRCUMPLEX],
                data=np.hstack(
                    [v[rows][:, columns] for v in (predictions.affect_pred, predictions.affect)]
                ).tolist(),
            )
            x, y = (f"{name}_pred" for name in CIRCUMPLEX)
            charts["test/circumplex"] = wandb.plot.scatter(table, x, y, "Predicted affect")
        return charts

    def _samples(self, predictions: Predictions, picture: Picture) -> wandb.Table:
        rows = [dict(row) for row in described(predictions, _evenly(len(predictions), _SAMPLES))]
        for row in rows:
            number = row.pop("row")
            if self._pictures:
                row["picture"] = wandb.Image(_as_image(picture(number)))
        return wandb.Table(columns=list(rows[0]), data=[list(row.values()) for row in rows])


def wandb_logger(
    run_dir: str,
    project: str,
    group: str,
    tags: Mapping[str, str | int | None],
    log_model: bool,
    pictures: bool,
    entity: str | None = None,
) -> ExpressionWandbLogger:
    """One W&B run for one run folder, the same one when the run is taken up again.

    Under `wandb agent` it is the run that the agent waits for.

    Offline unless WANDB_MODE says otherwise or this machine is logged in; a server that does not
    answer within 20 s turns it offline too.

    Args:
        run_dir: The run folder; its name is the run's name.
        project: W&B project.
        group: W&B group: the runs of one experiment.
        tags: W&B tags, by axis: ``{"model": "tiny"}`` is ``model:tiny``. Those of `_ROW` together
            are the job type: the runs of one row of a table.
        log_model: Upload the best checkpoint as an artifact.
        pictures: Upload the pictures of the samples in the table.
        entity: The user or team that owns the project; None: the default one of the login.
    """
    folder = Path(run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    settings: dict[str, object] = {
        "name": folder.name,
        "id": run_id()
        or hashlib.sha256(f"{project}/{group}/{folder.name}".encode()).hexdigest()[:16],
        "entity": entity,
        "project": project,
        "group": group,
        "job_type": "-".join(str(tags[axis]) for axis in _ROW if tags.get(axis) is not None),
        "tags": [f"{axis}:{tag}"[:_LONGEST_TAG] for axis, tag in tags.items() if tag is not None],
        "dir": run_dir,
        "resume": "allow",
    }
    # Other ranks own no W&B run; Lightning never touches theirs.
    experiment = _start(settings) if first_process() else None
    return ExpressionWandbLogger(
        pictures, save_dir=run_dir, project=project, log_model=log_model, experiment=experiment
    )


def _numbers(content: Mapping[str, Any]) -> dict[str, float]:
    return {key: value for key, value in content.items() if isinstance(value, int | float)}


def _start(settings: dict[str, object]) -> wandb.Run:
    check_settings_of_folder()
    mode = os.environ.get("WANDB_MODE") or ("online" if _logged_in() else "offline")
    limits = wandb.Settings(
        init_timeout=_SECONDS_TO_CONNECT,
        finish_timeout=_SECONDS_TO_FINISH,
        finish_timeout_raises=False,
        silent=True,
    )
    try:
        run = wandb.init(**settings, mode=mode, settings=limits)  # type: ignore[arg-type]
    except wandb.Error as error:
        log.warning("W&B does not answer (%s): logging offline", first_line(error))
        wandb.teardown()  # it still holds the id
        mode = "offline"
        run = wandb.init(**settings, mode=mode, settings=limits)  # type: ignore[arg-type]
    # A resumed offline run counts its steps anew: plot over the optimisation step.
    run.define_metric("trainer/global_step")
    run.define_metric("*", step_metric="trainer/global_step")
    if mode == "offline":
        log.info("W&B is offline; upload later with: wandb sync %s", Path(run.dir).parent)
    return run


def _logged_in() -> bool:
    return wandb.login(prompt=False, verify=False)


def _evenly(count: int, most: int) -> npt.NDArray[np.int64]:
    """At most `most` of `count` rows, at equal distances."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)


def _as_image(picture: Image.Image | npt.NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
