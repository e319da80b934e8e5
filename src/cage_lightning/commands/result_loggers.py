"""Loggers that also keep the results of a run, such as that of W&B, without importing its client.

A run without W&B does not spend the time that this import takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

from lightning.pytorch.loggers import Logger

from cage_lightning.predictions.table import Predictions
from cage_lightning.report.worst_samples import Picture
from cage_lightning.runs.log import first_process


@runtime_checkable
class ResultLogger(Protocol):
    """What a logger of Lightning has in addition to keep results; see `ExpressionWandbLogger`."""

    def log_results(
        self, content: Mapping[str, Any], predictions: Predictions, picture: Picture
    ) -> None:
        """Log the final scores and what illustrates them."""

    def log_finished(self, content: Mapping[str, Any]) -> None:
        """Log the scores of a run that was finished before."""

    def end(self, error: BaseException | None) -> None:
        """End the record of the run as finished, or as failed and why."""


@contextmanager
def ended_likewise(loggers: Sequence[Logger]) -> Iterator[None]:
    """End the record of the run in `loggers` as the block ends."""
    ours = [one for one in loggers if isinstance(one, ResultLogger) and first_process()]
    try:
        yield
    except BaseException as error:
        for logger in ours:
            logger.end(error)
        raise
    for logger in ours:
        logger.end(None)


def tell_agent(loggers: Sequence[Logger], content: Mapping[str, Any]) -> None:
    """Tell `wandb agent` of a run that it chose and that was finished before.

    Args:
        loggers: Those of the run.
        content: The content of metrics.json.
    """
    with ended_likewise(loggers):
        for logger in loggers:
            if isinstance(logger, ResultLogger) and first_process():
                logger.log_finished(content)
