"""Times as arithmetic on made-up rates."""

from __future__ import annotations

from typing import Any

import pytest

from cage_lightning.runs.estimate import Extent, extent_of, limited, seconds
from cage_lightning.runs.rates import Rates

SAMPLES = {"train": 1_000, "val": 100, "test": 300}
RATES = Rates(train=100.0, evaluation=200.0, start_s=5.0, results_s=2.0, figures_s=3.0)


def settings(**trainer: Any) -> dict[str, Any]:
    return {"data": {"batch_size": 64}, "trainer": {"max_epochs": 4} | trainer, "figures": False}


def test_a_run_takes_its_start_its_epochs_its_test_and_its_scores() -> None:
    extent = extent_of(settings(), SAMPLES)
    assert extent == Extent(steps=64, train=4_000, val=400, test=300, figures=False)
    assert seconds(extent, RATES) == pytest.approx(5 + 40 + 2 + 1.5 + 2)
    drawn = extent_of(settings() | {"figures": True}, SAMPLES)
    assert seconds(drawn, RATES) == pytest.approx(5 + 40 + 2 + 1.5 + 2 + 3)


def test_of_a_half_trained_run_only_the_rest_of_the_training_counts() -> None:
    extent = extent_of(settings(), SAMPLES).after(48)
    assert seconds(extent, RATES) == pytest.approx(5 + 10 + 0.5 + 1.5 + 2)
    assert seconds(extent.after(64), RATES) == pytest.approx(5 + 1.5 + 2)


def test_rates_that_contain_the_validations_do_not_count_them_twice() -> None:
    assert seconds(extent_of(settings(), SAMPLES), Rates(100.0)) == pytest.approx(40 + 3)


@pytest.mark.parametrize(
    ("trainer", "changed"),
    [
        ({"max_steps": 8}, {"steps": 8, "train": 500, "val": 50}),
        ({"max_steps": 1_000}, {}),
        ({"limit_train_batches": 2}, {"steps": 8, "train": 512}),
        ({"limit_train_batches": 0.5}, {"steps": 32, "train": 2_048}),
        ({"limit_val_batches": 1}, {"val": 256}),
        ({"limit_test_batches": 0.5}, {"test": 128}),
        ({"accumulate_grad_batches": 4}, {"steps": 16}),
        ({"val_check_interval": 0.25}, {"val": 1_600}),
        ({"check_val_every_n_epoch": 2}, {"val": 200}),
    ],
    ids=str,
)
def test_settings_of_lightning_that_shorten_a_training_are_counted(
    trainer: dict[str, Any], changed: dict[str, int]
) -> None:
    expected = Extent(64, 4_000, 400, 300, figures=False).__dict__ | changed
    assert extent_of(settings(**trainer), SAMPLES).__dict__ == expected


def test_a_limit_is_a_number_or_a_share_of_the_batches() -> None:
    assert [limited(300, 64, limit) for limit in (None, 2, 9, 0.5, 1.0)] == [
        300, 128, 300, 128, 300,
    ]  # fmt: skip
