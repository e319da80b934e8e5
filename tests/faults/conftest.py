"""How often faults are tried, and the table of what survived them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cage_lightning.data.preparation import checking
from tests.faults.commands import RUN, Name, case
from tests.faults.harness import Bench, NewBench
from tests.faults.record import NewRow, Row, page

_NAME = "fault"
_TRIES = 20
_rows: list[list[str]] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults")
    group.addoption(
        "--tries", type=int, default=_TRIES, help="tries of each killing fault, over all commands"
    )
    group.addoption("--table", help="file for the table of all faults")


@pytest.fixture
def tries(request: pytest.FixtureRequest) -> int:
    """How often each killing fault is tried, over all commands."""
    return int(request.config.getoption("tries", _TRIES))


@pytest.fixture
def new_bench(
    tmp_path: Path, few_faces: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> NewBench:
    """Make a bench for a command, as `NewBench` says."""
    monkeypatch.setattr(checking, "PART", 8)  # ten parts
    monkeypatch.setattr("cage_lightning.commands.predict._PART_S", 0.0)

    def made(
        name: Name, *settings: str, data: Path = few_faces, run: str = RUN, **how: Any
    ) -> Bench:
        return Bench(case(name, data, trained, settings, run), tmp_path / "tries", data, **how)

    return made


@pytest.fixture
def new_row(record_property: Callable[[str, object], None]) -> NewRow:
    """Begin a row of the table: fault, command, and what is true after each try that survives.

    At its end it fails, if a try has not survived.
    """

    @contextmanager
    def begun(fault: str, command: str, afterwards: str) -> Iterator[Row]:
        row = Row(fault, command, afterwards)
        try:
            yield row
        finally:
            if row.tries:
                record_property(_NAME, row.texts())
        assert not row.lost, "\n".join(row.lost)

    return begun


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call":
        _rows.extend(value for name, value in report.user_properties if name == _NAME)  # type: ignore[misc]


def pytest_sessionfinish(session: pytest.Session) -> None:
    table = session.config.getoption("table", None)
    if table and not hasattr(session.config, "workerinput"):  # not in a worker of xdist
        file = Path(table)
        earlier = file.read_text(encoding="utf-8") if file.exists() else ""
        file.write_text(page(_rows, earlier), encoding="utf-8")
