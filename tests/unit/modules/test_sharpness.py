"""Sharpness-aware steps against the algorithm written out, step by step."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from cage_lightning.errors import ConfigError
from cage_lightning.modules.sharpness import check_sharpness, sharpness_aware

RHO = 0.3


def network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Linear(6, 8, bias=False), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 2)
    )
    layers.append(nn.Linear(2, 1))
    for parameter in layers[-1].parameters():
        parameter.requires_grad_(False)
    return layers.double()


def passes(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor) -> Tensor:
    """Forward and backward, as the loop of Lightning does it for a step."""
    optimizer.zero_grad()
    loss: Tensor = model(x).square().mean() + model(x[:7]).cos().mean()
    loss.backward()
    return loss


def reference_step(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor) -> None:
    """Algorithm 1 of Foret et al. 2021; `epsilon` is its equation 2 for p = 2."""
    state = torch.get_rng_state()
    passes(model, optimizer, x)
    statistics = copy.deepcopy([*model.buffers()])
    trained = [p for p in model.parameters() if p.grad is not None]
    gradient = torch.cat([p.grad.flatten() for p in trained if p.grad is not None])
    epsilon = RHO * gradient / gradient.square().sum().sqrt()
    parts = epsilon.split([p.numel() for p in trained])
    before = [p.detach().clone() for p in trained]
    for p, part in zip(trained, parts, strict=True):
        p.data += part.view_as(p)
    torch.set_rng_state(state)
    passes(model, optimizer, x)
    for p, old in zip(trained, before, strict=True):
        p.data = old
    for buffer, old in zip(model.buffers(), statistics, strict=True):
        buffer.copy_(old)
    optimizer.step()


def test_a_step_is_that_of_the_algorithm() -> None:
    ours, theirs = network(), network()
    optimizers = [torch.optim.AdamW(n.parameters(), lr=0.05) for n in (ours, theirs)]
    for step in range(5):
        x = torch.randn(12, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(step))

        def closure(x: Tensor = x) -> Tensor:
            return passes(ours, optimizers[0], x)

        torch.manual_seed(step)
        optimizers[0].step(sharpness_aware(ours, RHO, closure, closure))
        torch.manual_seed(step)
        reference_step(theirs, optimizers[1], x)
    for (name, found), expected in zip(
        ours.state_dict().items(), theirs.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12, msg=name)
    assert ours[1].num_batches_tracked == 5 * 2, "two forward passes of the closure, once each"


def test_weights_are_put_back_exactly_also_after_an_error() -> None:
    model = network().float()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.randn(12, 6)
    before = copy.deepcopy([*model.parameters()])
    moved: list[bool] = []

    def fails() -> None:
        moved.extend(not torch.equal(a, b) for a, b in zip(model.parameters(), before, strict=True))
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        sharpness_aware(model, RHO, lambda: passes(model, optimizer, x), fails)()
    assert sum(moved) >= 3
    for now, then in zip(model.parameters(), before, strict=True):
        assert torch.equal(now, then)


@pytest.mark.parametrize(
    ("accumulated", "precision", "message"),
    [(2, "32-true", "accumulate_grad_batches=2"), (1, "16-mixed", "precision=16-mixed")],
)
def test_what_two_passes_do_not_work_with_is_refused(
    accumulated: int, precision: str, message: str
) -> None:
    check_sharpness(1, "bf16-mixed")
    with pytest.raises(ConfigError, match=message):
        check_sharpness(accumulated, precision)
