"""Nothing is profiled unless somebody asks for it."""

from __future__ import annotations

import pytest
from lightning.pytorch.profilers import SimpleProfiler

from cage_lightning.app.build import build_trainer
from cage_lightning.callbacks import Unprofiled
from tests.conftest import composed


@pytest.mark.parametrize(
    ("asked", "expected"), [((), Unprofiled), (("+trainer.profiler=simple",), SimpleProfiler)]
)
def test_a_trainer_has_it_where_nothing_else_is_asked_for(asked, expected) -> None:
    trainer = build_trainer(composed("trainer=cpu", *asked), logger=False)
    assert type(trainer.profiler) is expected  # type: ignore[attr-defined]


def test_blocks_within_blocks_run_and_errors_come_out() -> None:
    profiler, done = Unprofiled(), []

    def work() -> None:
        with profiler.profile("outer"):
            with profiler.profile("inner"):
                done.append(1)
            done.append(1 // 0)

    with pytest.raises(ZeroDivisionError):
        work()
    assert done == [1]
