from __future__ import annotations

import math

import pytest
import torch

from cage_lightning.errors import DataError
from cage_lightning.labels import AFFECTNET_7, AFFECTNET_8, EMOTIC, Batch, Prediction
from cage_lightning.metrics import ExpressionMetrics
from tests.present import present

CATEGORY = {"accuracy"} | {
    f"{score}_{average}"
    for score in ("precision", "recall", "f1")
    for average in ("weighted", "macro")
}


def affect_keys(space):
    names = (*space.dimensions, "pooled")
    keys = {f"{score}_{name}" for score in ("mse", "mae", "rmse", "ccc") for name in names}
    return keys | {"ccc_mean"}


def sample(space, n, seed=0):
    g = torch.Generator().manual_seed(seed)
    k, d = len(space.categories), len(space.dimensions)
    category = (
        (torch.rand(n, k, generator=g) < 0.3).float()
        if space.multi_label
        else torch.randint(k, (n,), generator=g)
    )
    affect = torch.rand(n, d, generator=g) * 2 - 1
    affect[torch.rand(n, d, generator=g) < 0.2] = math.nan
    prediction = Prediction(torch.randn(n, k, generator=g), torch.randn(n, d, generator=g))
    return prediction, Batch(torch.empty(n, 0), category, affect, torch.arange(n))


def rows(prediction, batch, index):
    return Prediction(*(v[index] for v in prediction)), Batch(*(v[index] for v in batch))


@pytest.mark.parametrize("space", [AFFECTNET_8, EMOTIC], ids=lambda s: s.name)
@pytest.mark.parametrize("sizes", [[61], [60, 1], [1] * 61, [0, 30, 0, 31]])
def test_batching_and_order_do_not_matter(space, sizes):
    prediction, batch = sample(space, 61)
    whole = ExpressionMetrics(space, categories=True, affect=True)
    whole.update(prediction, batch)
    parts = ExpressionMetrics(space, categories=True, affect=True)
    order = torch.randperm(61, generator=torch.Generator().manual_seed(1))
    for index in order.split(sizes):
        parts.update(*rows(prediction, batch, index))
    assert parts.compute() == pytest.approx(whole.compute(), abs=1e-12)


@pytest.mark.parametrize("space", [AFFECTNET_7, AFFECTNET_8, EMOTIC], ids=lambda s: s.name)
def test_keys(space):
    prediction, batch = sample(space, 40)
    categories = {"map"} if space.multi_label else CATEGORY
    affect = affect_keys(space) | {"n_unlabelled_affect"}
    for with_categories, with_affect in [(True, False), (True, True), (False, True)]:
        metrics = ExpressionMetrics(space, with_categories, with_affect)
        read = Prediction(
            prediction.logits if with_categories else None,
            prediction.affect if with_affect else None,
        )
        metrics.update(read, batch)
        values = metrics.compute()
        expected = {"n"} | (categories if with_categories else set())
        assert values.keys() == expected | (affect if with_affect else set())
        assert all(type(v) in (int, float) for v in values.values())


def test_counts_and_plain_values():
    logits = torch.eye(8)[[0, 1, 1, 2]]
    affect = torch.tensor([[0.5, 0.0], [0.0, 0.0], [0.0, 0.5], [-0.5, 0.0]])
    labels = torch.tensor([[0.5, 0.1], [math.nan, 0.0], [0.2, math.nan], [math.nan, math.nan]])
    metrics = ExpressionMetrics(AFFECTNET_8, categories=True, affect=True)
    category = torch.tensor([0, 1, 2, 2])
    batch = Batch(torch.empty(4, 0), category, labels, torch.arange(4))
    metrics.update(Prediction(logits, affect), batch)
    values = metrics.compute()
    assert (values["n"], values["n_unlabelled_affect"], values["accuracy"]) == (4, 3, 0.75)
    assert values["mae_valence"] == pytest.approx(0.1)
    assert values["mae_pooled"] == pytest.approx(0.3 / 4)


@pytest.mark.parametrize("space", [AFFECTNET_8, EMOTIC], ids=lambda s: s.name)
def test_no_sample_and_no_label_leave_scores_out(space):
    metrics = ExpressionMetrics(space, categories=True, affect=True)
    assert metrics.compute() == {"n": 0, "n_unlabelled_affect": 0}
    prediction, batch = sample(space, 5)
    nothing = torch.zeros_like(batch.category)
    metrics.update(
        prediction, batch._replace(category=nothing, affect=torch.full_like(batch.affect, math.nan))
    )
    values = metrics.compute()
    assert values["n_unlabelled_affect"] == 5
    assert values.keys() - CATEGORY == {"n", "n_unlabelled_affect"}
    metrics.reset()
    assert metrics.compute() == {"n": 0, "n_unlabelled_affect": 0}


@pytest.mark.parametrize("space", [AFFECTNET_8, EMOTIC], ids=lambda s: s.name)
def test_one_sample_gives_finite_scores(space):
    metrics = ExpressionMetrics(space, categories=True, affect=True)
    prediction, batch = sample(space, 1)
    metrics.update(prediction, batch._replace(affect=torch.zeros_like(batch.affect)))
    values = metrics.compute()
    assert all(math.isfinite(v) for v in values.values())
    assert values["ccc_valence"] == 0


def test_half_precision_predictions_and_inference_mode():
    prediction, batch = sample(AFFECTNET_8, 30)
    half = Prediction(*(v.bfloat16() for v in prediction))
    metrics = ExpressionMetrics(AFFECTNET_8, categories=True, affect=True)
    with torch.inference_mode():
        metrics.update(half, batch)
        metrics.reset()
        metrics.update(half, batch)
        metrics.update(half, batch)
        found = metrics.compute()
    expected = ExpressionMetrics(AFFECTNET_8, categories=True, affect=True)
    for _ in range(2):
        expected.update(Prediction(*(present(v).double() for v in half)), batch)
    assert found == pytest.approx(expected.compute(), abs=1e-12)


@pytest.mark.parametrize("category", [-2, 7])
def test_a_category_outside_the_label_space_is_an_error(category):
    prediction, batch = sample(AFFECTNET_7, 20)
    batch.category[3] = category
    metrics = ExpressionMetrics(AFFECTNET_7, categories=True, affect=False)
    with pytest.raises(DataError, match="outside the 7 of affectnet7"):
        metrics.update(prediction, batch)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("space", [AFFECTNET_8, EMOTIC], ids=lambda s: s.name)
def test_cuda_and_cpu_agree(space):
    prediction, batch = sample(space, 200)
    metrics = ExpressionMetrics(space, categories=True, affect=True)
    metrics.update(prediction, batch)
    expected = metrics.compute()
    metrics.reset()
    metrics.cuda()
    metrics.update(Prediction(*(v.cuda() for v in prediction)), Batch(*(v.cuda() for v in batch)))
    assert metrics.compute() == pytest.approx(expected, abs=1e-9)


def test_samples_without_a_category_count_for_none_of_its_scores():
    prediction, batch = sample(AFFECTNET_8, 50)
    some = torch.arange(50) % 3 > 0
    found, expected = (
        ExpressionMetrics(AFFECTNET_8, categories=True, affect=False) for _ in range(2)
    )
    found.update(prediction, batch._replace(category=torch.where(some, batch.category, -1)))
    expected.update(Prediction(*(v[some] for v in prediction)), Batch(*(v[some] for v in batch)))
    assert found.compute() | {"n": 0} == expected.compute() | {"n": 0}
