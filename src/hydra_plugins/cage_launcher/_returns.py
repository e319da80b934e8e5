"""What a launcher hands back to the sweeper, for every job of a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

from hydra.core.utils import JobReturn, JobStatus

from cage_lightning.errors import CageError
from cage_lightning.runs.objective import returned
from hydra_plugins.cage_launcher._plan import Planned


class Failure(NamedTuple):
    """Why a job failed, and where to read on; `killed`: from outside, which says nothing of it."""

    report: str
    killed: bool


@dataclass
class Failed(JobReturn):
    """A job that failed: to read its value raises the report of the whole sweep.

    Hydra's own class would print the settings of the job besides.

    Attributes:
        killed: It was killed, or got lost, and has not failed by itself.
    """

    killed: bool = False

    @property
    def return_value(self) -> NoReturn:
        """Raise the report."""
        raise self._return_value

    @return_value.setter
    def return_value(self, value: Any) -> None:
        self._return_value = value


def returns(planned: Sequence[Planned], failures: Mapping[int, Failure]) -> list[JobReturn]:
    """What came of every training, as `runs.objective.returned`, in the order of the sweep.

    Args:
        planned: The jobs, which have ended.
        failures: Of those that failed, by their numbers.

    Raises:
        ConfigError: The objective is no number of the results.
    """
    reports = "".join(failures[job.number].report for job in planned if job.number in failures)
    told = f"{len(failures)} of {len(planned)} jobs failed{reports}"
    error = CageError(*told.splitlines())
    return [
        _failed(job, error, failures[job.number].killed)
        if job.number in failures
        else _completed(job)
        for job in sorted(planned, key=lambda job: job.number)
    ]


def _failed(job: Planned, error: CageError, killed: bool) -> JobReturn:
    return Failed(
        overrides=job.overrides,
        working_dir=None if job.folder is None else str(job.folder.path),
        status=JobStatus.FAILED,
        _return_value=error,
        killed=killed,
    )


def _completed(job: Planned) -> JobReturn:
    if job.folder is None:
        return JobReturn(overrides=job.overrides, status=JobStatus.COMPLETED)
    return JobReturn(
        overrides=job.overrides,
        working_dir=str(job.folder.path),
        status=JobStatus.COMPLETED,
        _return_value=returned(
            job.task, job.folder.read_metrics() if job.folder.finished else None
        ),
    )
