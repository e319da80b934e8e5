"""The losses and class weights against NumPy and SciPy, finite differences and edge cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import expit, log_softmax
from torch import nn

from cage_lightning.affectnet_statistics import AFFECTNET_TRAINING
from cage_lightning.data.class_weights import (
    PAPER_CLASS_WEIGHTS,
    inverse_frequency,
    positive_weights,
)
from cage_lightning.errors import ConfigError, DataError
from cage_lightning.labels import Batch, Prediction
from cage_lightning.losses import CombinedLoss, DiscreteLoss, ValenceArousalLoss
from tests.present import present

WEIGHTS = PAPER_CLASS_WEIGHTS["affectnet8"]
# AffectNet without contempt.
TRAIN_COUNTS = [row.samples for row in AFFECTNET_TRAINING.values()][:7]


def sample(n=37, k=8, d=2, multi_label=False, missing=0.2, dtype=torch.float32, seed=0):
    """A prediction that wants gradients, and a batch."""
    g = torch.Generator().manual_seed(seed)
    category = (
        (torch.rand(n, k, generator=g) < 0.3).to(dtype)
        if multi_label
        else torch.randint(k, (n,), generator=g)
    )
    affect = torch.rand(n, d, generator=g).to(dtype) * 2 - 1
    affect[torch.rand(n, d, generator=g) < missing] = math.nan
    logits = 3 * torch.randn(n, k, generator=g)
    values = 0.5 * affect.nan_to_num() + 0.3 * torch.randn(n, d, generator=g).to(dtype)
    prediction = Prediction(logits.to(dtype).requires_grad_(), values.requires_grad_())
    return prediction, Batch(torch.empty(n, 0), category, affect, torch.arange(n))


def plain(tensor):
    return tensor.detach().double().numpy()


def reference_category(prediction, batch, weights):
    logits, target = plain(prediction.logits), batch.category.numpy()
    weights = np.ones(logits.shape[1]) if weights is None else np.array(weights)
    if target.ndim == 1:
        ce = -log_softmax(logits, axis=1)[np.arange(len(target)), target]
        return (weights[target] * ce).sum() / weights[target].sum()
    p = expit(logits)
    return -np.mean(weights * target * np.log(p) + (1 - target) * np.log(1 - p))


def reference_ccc(x, y):
    (xx, xy), (_, yy) = np.cov(x, y, ddof=1)
    return 2 * xy / (xx + yy + (x.mean() - y.mean()) ** 2)


def by_dimension(prediction, batch):
    x, y = plain(prediction.affect), plain(batch.affect)
    return [(x[keep, d], y[keep, d]) for d, keep in enumerate(~np.isnan(y).T)]


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_discrete_loss(multi_label, weights):
    prediction, batch = sample(multi_label=multi_label)
    parts = DiscreteLoss(weights)(prediction, batch)
    expected = reference_category(prediction, batch, weights)
    assert parts["loss"].item() == pytest.approx(expected, rel=1e-6)
    assert parts.keys() == {"loss", "bce" if multi_label else "cross_entropy"}


@pytest.mark.parametrize("missing", [0.0, 0.4])
@pytest.mark.parametrize(("multi_label", "d"), [(False, 2), (True, 3)])
def test_combined_loss(multi_label, d, missing):
    prediction, batch = sample(multi_label=multi_label, d=d, missing=missing)
    parts = CombinedLoss(WEIGHTS, alpha=5)(prediction, batch)
    category = reference_category(prediction, batch, WEIGHTS)
    x, y = (np.concatenate(v) for v in zip(*by_dimension(prediction, batch), strict=True))
    mse = np.mean((x - y) ** 2)
    assert parts["mse"].item() == pytest.approx(mse, rel=1e-6)
    assert parts["bce" if multi_label else "cross_entropy"].item() == pytest.approx(category, 1e-6)
    assert parts["loss"].item() == pytest.approx(category + 5 * mse, rel=1e-6)


@pytest.mark.parametrize("missing", [0.0, 0.4])
@pytest.mark.parametrize("d", [2, 3])
def test_valence_arousal_loss(d, missing):
    prediction, batch = sample(d=d, missing=missing)
    parts = ValenceArousalLoss(beta=3)(prediction, batch)
    pairs = by_dimension(prediction, batch)
    mse = [np.mean((x - y) ** 2) for x, y in pairs]
    ccc = [reference_ccc(x, y) for x, y in pairs]
    assert parts["loss"].item() == pytest.approx(3 * sum(mse) - sum(ccc), abs=1e-6)
    assert parts["mse"].item() == pytest.approx(np.mean(mse), abs=1e-6)
    assert parts["ccc"].item() == pytest.approx(np.mean(ccc), abs=1e-6)


def test_minimum_is_minus_the_number_of_dimensions():
    _, batch = sample(missing=0)
    parts = ValenceArousalLoss()(Prediction(None, batch.affect), batch)
    assert parts["loss"].item() == pytest.approx(-2, abs=1e-6)


def test_the_squared_error_alone_or_the_ccc_alone():
    prediction, batch = sample()
    parts = ValenceArousalLoss(beta=3, gamma=0)(prediction, batch)
    d = batch.affect.shape[1]
    assert parts["loss"].item() == pytest.approx(d * 3 * parts["mse"].item(), rel=1e-6)
    parts = ValenceArousalLoss(beta=0, gamma=2)(prediction, batch)
    assert parts["loss"].item() == pytest.approx(-2 * d * parts["ccc"].item(), rel=1e-6)


def test_ccc_is_unbiased():
    x, y = torch.tensor([[3, -0.5, 2, 7]]).T, torch.tensor([[2.5, 0, 2, 8]]).T
    batch = Batch(torch.empty(4, 0), torch.zeros(4, dtype=torch.int64), y, torch.arange(4))
    assert ValenceArousalLoss()(Prediction(None, x), batch)["ccc"].item() == pytest.approx(
        0.9777348, abs=1e-7
    )


def test_ccc_keeps_its_digits_far_from_zero():
    prediction, batch = sample(n=128, missing=0)
    far = batch._replace(affect=batch.affect * 1e-3 + 1)
    near = Prediction(None, prediction.affect * 1e-3 + 1)
    expected = np.mean([reference_ccc(x, y) for x, y in by_dimension(near, far)])
    assert ValenceArousalLoss()(near, far)["ccc"].item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("missing", [0.0, 0.4])
@pytest.mark.parametrize("loss", [ValenceArousalLoss(), CombinedLoss(WEIGHTS)])
def test_gradients_agree_with_finite_differences(loss, missing):
    prediction, batch = sample(n=9, missing=missing, dtype=torch.float64)

    def value(logits, affect):
        return loss(Prediction(logits, affect), batch)["loss"]

    assert torch.autograd.gradcheck(value, tuple(prediction))


@pytest.mark.parametrize(
    "loss", [ValenceArousalLoss(), CombinedLoss(WEIGHTS)], ids=["va", "combined"]
)
def test_unlabelled_values_have_no_influence(loss):
    prediction, batch = sample(missing=0.4)
    unlabelled = batch.affect.isnan()
    with torch.no_grad():
        prediction.affect[unlabelled] = torch.tensor([math.nan, math.inf, 1e30])[
            torch.arange(int(unlabelled.sum())) % 3
        ]
    parts = loss(prediction, batch)
    parts["loss"].backward()
    assert parts["loss"].isfinite()
    assert (prediction.affect.grad[unlabelled] == 0).all()
    assert (prediction.affect.grad[~unlabelled] != 0).all()
    assert prediction.affect.grad.isfinite().all()


def test_no_label_at_all_gives_zero_with_zero_gradient():
    prediction, batch = sample(missing=1)
    va = ValenceArousalLoss()(prediction, batch)
    mse = CombinedLoss()(prediction, batch)["mse"]
    assert [v.item() for v in (*va.values(), mse)] == [0] * 4
    (va["loss"] + mse).backward()
    assert (prediction.affect.grad == 0).all()


def test_one_dimension_without_labels_leaves_the_other():
    prediction, batch = sample(missing=0)
    batch.affect[:, 1] = math.nan
    (x, y), _ = by_dimension(prediction, batch)
    loss = ValenceArousalLoss(beta=3)(prediction, batch)["loss"]
    expected = 3 * np.mean((x - y) ** 2) - reference_ccc(x, y)
    assert loss.item() == pytest.approx(expected, abs=1e-6)
    loss.backward()
    assert (prediction.affect.grad[:, 1] == 0).all()


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("loss", [DiscreteLoss(WEIGHTS), CombinedLoss(WEIGHTS)])
def test_an_empty_batch_gives_zero(loss, multi_label):
    prediction, batch = sample(n=0, multi_label=multi_label)
    value = loss(prediction, batch)["loss"]
    value.backward()
    assert value.item() == 0


@pytest.mark.parametrize(
    ("x", "y", "ccc"),
    [
        ([0.5], [0.2], 0),
        ([0.5], [0.5], 1),
        ([0.0], [1e-25], 1),  # closer than float32 can square
        ([0.3] * 5, [0.1, 0.2, 0.3, 0.4, 0.5], 0),
        ([0.1, 0.2, 0.3, 0.4, 0.5], [0.3] * 5, 0),
        ([0.1] * 3, [0.2] * 3, 0),
        ([0.1] * 3, [0.1] * 3, 1),
    ],
)
def test_without_spread_the_loss_and_its_gradient_are_finite(x, y, ccc):
    x = torch.tensor(x)[:, None].requires_grad_()
    y = torch.tensor(y)[:, None]
    batch = Batch(torch.empty(len(y), 0), torch.zeros(len(y)), y, torch.arange(len(y)))
    parts = ValenceArousalLoss()(Prediction(None, x), batch)
    parts["loss"].backward()
    assert parts["ccc"].item() == pytest.approx(ccc, abs=1e-6)
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("multi_label", [False, True])
def test_half_precision_outputs_are_scored_in_float32(multi_label):
    prediction, batch = sample(n=128, multi_label=multi_label)
    half = Prediction(*(v.detach().bfloat16() for v in prediction))
    exact = Prediction(*(present(v).float() for v in half))
    for loss in (DiscreteLoss(WEIGHTS), CombinedLoss(WEIGHTS), ValenceArousalLoss()):
        with torch.autocast("cpu", torch.bfloat16):
            found = loss(half, batch)
        expected = loss(exact, batch)
        for name, value in expected.items():
            assert found[name].dtype == torch.float32
            assert found[name].item() == value.item()


def test_class_weights_are_no_model_state():
    assert nn.Sequential(DiscreteLoss(WEIGHTS), CombinedLoss(WEIGHTS)).state_dict() == {}


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_wrong_number_of_class_weights_is_an_error(multi_label):
    prediction, batch = sample(multi_label=multi_label)
    with pytest.raises(ConfigError, match="7 class weights for 8 categories"):
        DiscreteLoss(WEIGHTS[:7])(prediction, batch)


def test_published_weights_are_inverse_frequencies():
    computed = inverse_frequency(TRAIN_COUNTS)
    assert computed == pytest.approx(PAPER_CLASS_WEIGHTS["affectnet7"], abs=1e-6)
    assert sum(computed) == pytest.approx(1)
    assert sum(WEIGHTS) == pytest.approx(1, abs=2e-6)


def test_positive_weights():
    assert positive_weights([1, 5, 10], 10) == (9, 1, 0)


@pytest.mark.parametrize(
    "weights", [lambda: inverse_frequency([3, 0]), lambda: positive_weights([3, 0], 9)]
)
def test_a_category_without_samples_has_no_weight(weights):
    with pytest.raises(DataError, match=r"category \[1\]"):
        weights()


def test_more_positives_than_samples_is_an_error():
    with pytest.raises(DataError, match="10 samples of 9"):
        positive_weights([3, 10], 9)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("multi_label", [False, True])
def test_cuda_and_cpu_agree(multi_label):
    prediction, batch = sample(n=128, multi_label=multi_label)
    for loss in (CombinedLoss(WEIGHTS), ValenceArousalLoss()):
        expected = loss(prediction, batch)
        found = loss.cuda()(
            Prediction(*(v.cuda() for v in prediction)), Batch(*(v.cuda() for v in batch))
        )
        for name, value in expected.items():
            assert found[name].item() == pytest.approx(value.item(), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_shares_of_the_categories(weights):
    prediction, batch = sample()
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(8), 37)
    shares[3] = 0  # not annotated
    loss = DiscreteLoss(weights, soft_labels=True)
    found = loss(prediction, batch._replace(category=torch.tensor(shares, dtype=torch.float32)))
    w = np.ones(8) if weights is None else np.array(weights)
    weighted = w * shares
    expected = -(weighted * log_softmax(plain(prediction.logits), axis=1)).sum() / weighted.sum()
    assert found["cross_entropy"].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_shares_of_one_category_are_that_category(weights):
    prediction, batch = sample(dtype=torch.float64)
    certain = nn.functional.one_hot(batch.category, 8).double()
    hard = DiscreteLoss(weights)(prediction, batch)["loss"]
    soft = DiscreteLoss(weights, soft_labels=True)(prediction, batch._replace(category=certain))
    torch.testing.assert_close(soft["loss"], hard)


@pytest.mark.parametrize("loss", [DiscreteLoss(WEIGHTS), CombinedLoss(WEIGHTS)])
def test_samples_without_a_category_count_for_nothing(loss):
    prediction, batch = sample(dtype=torch.float64)
    some = torch.arange(37) % 3 > 0
    batch = batch._replace(category=torch.where(some, batch.category, -1))
    known = batch._replace(category=batch.category[some], affect=batch.affect[some])
    expected = loss(Prediction(*(v[some] for v in prediction)), known)["cross_entropy"]
    found = loss(prediction, batch)["cross_entropy"]
    torch.testing.assert_close(found, expected)
    nothing = DiscreteLoss(WEIGHTS)(prediction, batch._replace(category=torch.full((37,), -1)))
    assert nothing["loss"] == 0
    nothing["loss"].backward()
    assert not prediction.logits.grad.any()


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_label_smoothing_is_that_of_pytorch(weights):
    prediction, batch = sample(dtype=torch.float64)
    batch = batch._replace(category=torch.where(torch.arange(37) % 5 > 0, batch.category, -1))
    w = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    reference = nn.CrossEntropyLoss(weight=w, ignore_index=-1, label_smoothing=0.3)
    expected = reference(prediction.logits, batch.category)
    hard = DiscreteLoss(weights, label_smoothing=0.3)
    torch.testing.assert_close(hard(prediction, batch)["loss"], expected, check_dtype=False)
    torch.testing.assert_close(
        CombinedLoss(weights, alpha=0, label_smoothing=0.3)(prediction, batch)["loss"],
        expected,
        check_dtype=False,
    )
    shares = nn.functional.one_hot(batch.category.clamp(min=0), 8) * (batch.category[:, None] >= 0)
    soft = DiscreteLoss(weights, soft_labels=True, label_smoothing=0.3)
    found = soft(prediction, batch._replace(category=shares.double()))["loss"]
    torch.testing.assert_close(found, expected, check_dtype=False)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_label_smoothing_of_several_categories_spreads_over_the_two_outcomes(weights):
    prediction, batch = sample(multi_label=True)
    smoothed = batch._replace(category=batch.category * 0.7 + 0.15)
    expected = reference_category(prediction, smoothed, weights)
    found = DiscreteLoss(weights, label_smoothing=0.3)(prediction, batch)["bce"]
    assert found.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", ["one", "several", "shares"])
def test_a_validation_smooths_no_labels(kind):
    prediction, batch = sample(multi_label=kind != "one")
    loss = DiscreteLoss(WEIGHTS, soft_labels=kind == "shares", label_smoothing=0.3)
    plain_loss = DiscreteLoss(WEIGHTS, soft_labels=kind == "shares")
    assert loss(prediction, batch)["loss"] != plain_loss(prediction, batch)["loss"]
    assert loss.eval()(prediction, batch)["loss"] == plain_loss(prediction, batch)["loss"]


def test_label_smoothing_beyond_the_whole_label_is_an_error():
    with pytest.raises(ConfigError, match=r"loss.label_smoothing=1.5 is not between 0 and 1"):
        CombinedLoss(label_smoothing=1.5)
