"""What a training is warned of before it begins."""

from __future__ import annotations

import pytest

from cage_lightning.commands.preflight import fine_tunes_nothing
from tests.conftest import composed


@pytest.mark.parametrize(
    "typed", [["model=timm", "model.name=resnet18", "model.weights=none"], ["model=maxvit_mini"]]
)
def test_random_weights_with_the_values_for_fine_tuning_are_warned_of(typed: list[str]) -> None:
    warning = fine_tunes_nothing(composed("data=demo8", *typed))
    assert warning is not None
    assert warning.startswith(("resnet18 starts from random weights", "maxvit_mini starts from"))
    assert "optimizer.lr=5e-05 and warmup=0" in warning
    for other in ("optimizer.lr=1e-3", "warmup=0.1", "init_from=runs/another"):
        assert fine_tunes_nothing(composed("data=demo8", *typed, other)) is None


@pytest.mark.parametrize("model", ["maxvit", "tiny"])
def test_other_networks_are_not(model: str) -> None:
    assert fine_tunes_nothing(composed("data=demo8", f"model={model}")) is None
