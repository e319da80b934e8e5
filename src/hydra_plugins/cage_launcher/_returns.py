"""What a launcher hands back to the sweeper, for every job of a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from hydra.core.utils import JobReturn, JobStatus

from cage_lightning.errors import CageError
from cage_lightning.runs.objective import objective
from hydra_plugins.cage_launcher._plan import Planned


class Failed(JobReturn):
    """A job that failed: to read its value raises the report of the whole sweep.

    Hydra's own class would print the settings of the job besides.
    """

    @property
    def return_value(self) -> NoReturn:
        """Raise the report."""
        raise self._return_value

    @return_value.setter
    def return_value(self, value: Any) -> None:
        self._return_value = value


def returns(planned: Sequence[Planned], failures: Mapping[int, str]) -> list[JobReturn]:
    """The objective of every training that is finished, in the order of the sweep.

    Args:
        planned: The jobs, which have ended.
        failures: For each that failed, by its number: why, and where to read on.

    Raises:
        ConfigError: The objective is no number of the results.
    """
    reports = "".join(failures[job.number] for job in planned if job.number in failures)
    error = CageError(f"{len(failures)} of {len(planned)} jobs failed{reports}")
    return [
        _failed(job, error) if job.number in failures else _completed(job)
        for job in sorted(planned, key=lambda job: job.number)
    ]


def _failed(job: Planned, error: CageError) -> JobReturn:
    return Failed(overrides=job.overrides, status=JobStatus.FAILED, _return_value=error)


def _completed(job: Planned) -> JobReturn:
    if job.folder is None:
        return JobReturn(overrides=job.overrides, status=JobStatus.COMPLETED)
    return JobReturn(
        overrides=job.overrides,
        working_dir=str(job.folder.path),
        status=JobStatus.COMPLETED,
        _return_value=objective(job.task, job.folder.read_metrics()),
    )
