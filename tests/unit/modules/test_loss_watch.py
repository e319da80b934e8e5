"""What is said of a training that diverges."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cage_lightning.errors import ConfigError, DivergedError
from cage_lightning.modules.divergence import LossWatch, check_skipping

NAN = torch.tensor(float("nan"))


def test_all_that_is_known_is_said(caplog: pytest.LogCaptureFixture) -> None:
    network = nn.Linear(1, 1, bias=False)
    watch = LossWatch(network, samples=10)
    for loss in (9.0, 5.0, 4.0, 3.0, 2.0, 1.25):
        assert watch.of_step(torch.tensor(loss), "step", torch.arange(3)) == loss
    (3 * network(torch.ones(1, 1))).sum().backward()
    with pytest.raises(DivergedError) as raised:
        watch.of_step(NAN, "train/loss of step 7, in epoch 1", torch.arange(5, 25))
    assert (
        "train/loss of step 7, in epoch 1, is nan (the losses before it: 5, 4, 3, 2, 1.25; rows of "
        "the training split: 5, 6, 7, 8, 9, 0, 1, 2, ...; norm of the last gradient: 3). Nothing"
    ) in str(raised.value)
    assert f"rows {[*range(5, 10), *range(10), *range(5)]} of the" in caplog.text


def test_of_a_split_nothing_may_be_known() -> None:
    watch = LossWatch(nn.Linear(1, 1))
    watch.of_split(torch.tensor(1.0), "val/loss")
    with pytest.raises(DivergedError, match=r"diverged: val/loss, is inf\. Nothing was saved"):
        watch.of_split(torch.tensor(float("inf")), "val/loss")


def test_a_step_that_is_left_out_changes_no_statistics() -> None:
    network = nn.BatchNorm1d(2)
    watch = LossWatch(network, most_skipped=1)
    before = [buffer.clone() for buffer in network.buffers()]
    watch.before_step()
    network(torch.full((3, 2), float("inf")))
    assert watch.of_step(NAN, "train/loss", torch.arange(3)) is None
    assert all(map(torch.equal, network.buffers(), before))
    with pytest.raises(DivergedError, match="steps left out before it: 1"):
        watch.of_step(NAN, "train/loss", torch.arange(3))


@pytest.mark.parametrize(
    ("world_size", "sam", "says"),
    [(2, 0.0, "skip_not_finite on 2 devices"), (1, 0.1, "skip_not_finite with sam=0.1")],
)
def test_where_no_step_can_be_left_out_none_is_asked_for(
    world_size: int, sam: float, says: str
) -> None:
    check_skipping(1, 0.0)
    with pytest.raises(ConfigError, match=says):
        check_skipping(world_size, sam)
