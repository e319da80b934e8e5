"""Two gloo processes with uneven shards must give what one process gives.

The processes run every case once; the tests compare their answers.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.multiprocessing.spawn import start_processes
from torch.nn.parallel import DistributedDataParallel

from cage_lightning.data.class_weights import PAPER_CLASS_WEIGHTS
from cage_lightning.labels import AFFECTNET_8, EMOTIC, Batch, Prediction
from cage_lightning.losses import CombinedLoss, DiscreteLoss, ValenceArousalLoss
from cage_lightning.metrics import ExpressionMetrics
from cage_lightning.system.distributed import global_sum
from tests.present import present

N, FEATURES = 11, 4
SHARDS = [(6, 5), (10, 1), (11, 0), (0, 11)]
SPACES = {"affectnet8": AFFECTNET_8, "emotic": EMOTIC}
LOSSES: dict[str, Callable[[], nn.Module]] = {
    "discrete": partial(DiscreteLoss, PAPER_CLASS_WEIGHTS["affectnet8"]),
    "discrete_unweighted": DiscreteLoss,
    "combined": CombinedLoss,
    "va": ValenceArousalLoss,
}
CASES = [
    (space, loss, shards)
    for space in SPACES
    for loss in LOSSES
    for shards in SHARDS
    if (space, loss) != ("emotic", "discrete")
]


class Network(nn.Module):
    """A linear layer from features to the outputs that the loss reads."""

    def __init__(self, space, loss):
        super().__init__()
        torch.manual_seed(0)
        k = 0 if loss == "va" else len(space.categories)
        d = 0 if loss.startswith("discrete") else len(space.dimensions)
        self.sizes = (k, d)
        self.linear = nn.Linear(FEATURES, k + d)

    def forward(self, x):
        logits, affect = self.linear(x).split(self.sizes, dim=1)
        return Prediction(logits if self.sizes[0] else None, affect if self.sizes[1] else None)


def data(space):
    """Features and labels; the last sample (a shard of its own) has no affect label at all."""
    g = torch.Generator().manual_seed(5)
    k, d = len(space.categories), len(space.dimensions)
    category = (
        (torch.rand(N, k, generator=g) < 0.3).float()
        if space.multi_label
        else torch.randint(k, (N,), generator=g)
    )
    affect = torch.rand(N, d, generator=g) * 2 - 1
    affect[::4, 0] = math.nan
    affect[-1] = math.nan
    features = torch.randn(N, FEATURES, generator=g)
    return features, Batch(torch.empty(N, 0), category, affect, torch.arange(N))


def shard(space, rows):
    features, batch = data(space)
    return features[rows], Batch(*(v[rows] for v in batch))


def train_step(space, loss, rows, wrap=lambda network: network):
    """Loss parts and parameter gradients of one step on some rows of the global batch."""
    features, batch = shard(SPACES[space], rows)
    network = wrap(Network(SPACES[space], loss))
    parts = LOSSES[loss]()(network(features), batch)
    parts["loss"].backward()
    values = {name: value.item() for name, value in parts.items()}
    return values, [p.grad.clone() for p in network.parameters()]


def evaluate(space, rows, batch_size=3):
    """Metrics of some rows, in small batches: a rank may hold more batches than another."""
    metrics = ExpressionMetrics(SPACES[space], categories=True, affect=True)
    with torch.no_grad():
        predicted = Network(SPACES[space], "combined")(data(SPACES[space])[0])
        for start in range(rows.start, rows.stop, batch_size):
            chunk = list(rows)[start - rows.start :][:batch_size]
            prediction = Prediction(*(v[chunk] for v in predicted))
            _, batch = shard(SPACES[space], chunk)
            metrics.update(prediction, batch)
    values = metrics.compute()
    metrics.reset()
    return values, metrics.compute()


def worker(rank, folder):
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    answers: dict[Any, Any] = {}
    for shards in SHARDS:
        rows = range(shards[0]) if rank == 0 else range(shards[0], N)
        for space in SPACES:
            answers["metrics", space, shards] = evaluate(space, rows)
        for space, loss, case_shards in CASES:
            if case_shards == shards:
                answers[space, loss, shards] = train_step(
                    space, loss, list(rows), DistributedDataParallel
                )
    x = torch.tensor([rank + 1.0, 5.0], requires_grad=True)
    total = global_sum(x)
    (total * torch.tensor([1.0, rank + 1.0])).sum().backward()
    answers["global_sum"] = total.tolist(), x.tolist(), present(x.grad).tolist()
    torch.save(answers, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gloo")
    start_processes(worker, args=(str(folder),), nprocs=2, start_method="fork")
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize(("space", "loss", "shards"), CASES)
def test_loss_and_gradient_are_those_of_the_global_batch(ranks, space, loss, shards):
    parts, gradients = train_step(space, loss, list(range(N)))
    for rank in ranks:
        found, found_gradients = rank[space, loss, shards]
        assert found == pytest.approx(parts, rel=1e-6, abs=1e-6)
        torch.testing.assert_close(found_gradients, gradients, rtol=1e-5, atol=1e-6)
    assert ranks[0][space, loss, shards][0] == ranks[1][space, loss, shards][0]


@pytest.mark.slow
@pytest.mark.parametrize("shards", SHARDS)
@pytest.mark.parametrize("space", SPACES)
def test_metrics_are_those_of_the_whole_data_set(ranks, space, shards):
    whole, emptied = evaluate(space, range(N), batch_size=N)
    assert whole["n"] == N
    for rank in ranks:
        found, found_emptied = rank["metrics", space, shards]
        assert found == pytest.approx(whole, abs=1e-9)
        assert found_emptied == emptied == {"n": 0, "n_unlabelled_affect": 0}


@pytest.mark.slow
def test_global_sum_adds_values_forward_and_gradients_backward(ranks):
    for rank, answers in enumerate(ranks):
        total, x, gradient = answers["global_sum"]
        assert total == [3, 10]
        assert x == [rank + 1, 5]  # untouched
        assert gradient == [2, 3]


def test_global_sum_of_one_process_is_its_argument():
    x = torch.ones(2, requires_grad=True)
    assert global_sum(x) is x
