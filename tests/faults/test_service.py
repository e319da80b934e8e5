"""W&B that cannot be reached, refuses, fails, is slow or falls silent: the run is what counts."""

from __future__ import annotations

from typing import Any

import pytest

from cage_lightning import loggers
from tests.faults.harness import NewBench
from tests.faults.record import NewRow
from tests.wandb_service import Service

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

FAULTS: dict[str, dict[str, Any]] = {
    "refuses the key": {"status": 401},
    "refuses the project": {"status": 403},
    "fails": {"status": 500},
    "answers after a second": {"delay_s": 1.0},
    "falls silent": {"goes_dark": True},
}


def check(new_bench: NewBench, new_row: NewRow, fault: str, service: dict[str, str]) -> None:
    bench = new_bench("train", "logger=wandb")  # without a login, and so offline
    bench.environment = service
    with new_row(f"W&B {fault}", "train", bench.case.equal) as row:
        place = bench.place()
        with row.one(fault):
            bench.left_alone(place).check(0)
            bench.typed_again(place)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run waits seconds for W&B, not minutes."""
    monkeypatch.setattr(loggers, "_SECONDS_TO_CONNECT", 5.0)
    monkeypatch.setattr(loggers, "_SECONDS_TO_FINISH", 5.0)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_service_with_a_fault(fault: str, new_bench: NewBench, new_row: NewRow) -> None:
    with Service.running(**FAULTS[fault]) as service:
        check(new_bench, new_row, fault, service)


def test_no_service(new_bench: NewBench, new_row: NewRow) -> None:
    nowhere = {"WANDB_API_KEY": "a" * 40, "WANDB_BASE_URL": "http://127.0.0.1:9"}
    check(new_bench, new_row, "cannot be reached", nowhere)
