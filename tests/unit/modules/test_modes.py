"""What the modes make of the outputs of a network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from cage_lightning import modules
from cage_lightning.labels import AFFECTNET_8, EMOTIC, Batch, LabelSpace, Prediction
from cage_lightning.modules import MODES, ExpressionModule

WIDTHS = {
    "DiscreteModule": {"affectnet8": 8, "emotic": 26},
    "ValenceArousalModule": {"affectnet8": 2, "emotic": 3},
    "CombinedModule": {"affectnet8": 10, "emotic": 29},
}


@pytest.mark.parametrize("space", [AFFECTNET_8, EMOTIC], ids=lambda space: space.name)
@pytest.mark.parametrize("mode", [m for m in MODES if m.read is ExpressionModule.read])
def test_a_mode_reads_logits_first_and_affect_last(
    mode: type[ExpressionModule], space: LabelSpace
) -> None:
    width = mode.num_outputs(space)
    assert width == WIDTHS[mode.__name__][space.name]
    outputs = torch.arange(2.0 * width).view(2, width)
    prediction = mode(nn.Identity(), space)(outputs)
    parts = [part for part in prediction if part is not None]
    torch.testing.assert_close(torch.cat(parts, dim=1), outputs)
    shapes = {
        "logits": None if prediction.logits is None else prediction.logits.shape[1],
        "affect": None if prediction.affect is None else prediction.affect.shape[1],
    }
    assert shapes == {
        "logits": len(space.categories) if mode.predicts_categories else None,
        "affect": len(space.dimensions) if mode.predicts_affect else None,
    }


def test_every_mode_is_one_that_a_checkpoint_may_name() -> None:
    exported = {getattr(modules, name) for name in modules.__all__ if name.endswith("Module")}
    assert exported - {ExpressionModule} == set(MODES)


def test_a_checkpoint_says_nothing_of_the_machine() -> None:
    config = {
        "local": {"data": "/home/someone/data", "account": "theirs"},
        "data": {"root": "/home/someone/data/faces", "parts": ["~/a", "file:///home/someone/b"]},
        "init_from": "runs/first",
    }
    checkpoint: dict[str, Any] = {}
    modules.CombinedModule(nn.Identity(), AFFECTNET_8, config=config).on_save_checkpoint(checkpoint)
    assert checkpoint["config"] == {
        "data": {"root": "faces", "parts": ["a", "b"]},
        "init_from": "runs/first",
    }


def test_a_test_keeps_what_is_predicted_and_of_which_rows() -> None:
    module = modules.CombinedModule(nn.Identity(), AFFECTNET_8)
    module.tested = [(Prediction(None, None), torch.arange(2))]
    module.on_test_epoch_start()
    images = torch.randn(3, 10)
    # The labels may be those of any label space: they are not looked at.
    module.test_step(Batch(images, torch.zeros(0), torch.zeros(0), torch.arange(3)), 0)
    ((prediction, rows),) = module.tested
    assert rows.tolist() == [0, 1, 2]
    assert prediction.logits is not None
    assert prediction.affect is not None
    torch.testing.assert_close(torch.cat([prediction.logits, prediction.affect], dim=1), images)


class Given(nn.Module):
    """A loss of given values."""

    def __init__(self, *values: float) -> None:
        super().__init__()
        self.values = iter(values)

    def forward(self, prediction: Prediction, batch: Batch) -> dict[str, torch.Tensor]:
        return {"loss": torch.tensor(next(self.values))}


def test_the_loss_of_an_epoch_is_the_mean_over_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    module = modules.DiscreteModule(nn.Identity(), AFFECTNET_8, Given(4, 1, 1, 7))
    for method in ("log", "log_dict"):
        monkeypatch.setattr(module, method, lambda *_, **__: None)
    batch: Any = Batch(torch.zeros(1, 8), *[torch.zeros(1)] * 3)
    assert module.epoch_loss is None
    for mean in (4.0, 2.5, 2.0):
        module.training_step(batch, 0)
        assert module.epoch_loss == mean
    monkeypatch.setattr(modules.DiscreteModule, "current_epoch", 1)
    module.training_step(batch, 0)
    assert module.epoch_loss == 7.0
