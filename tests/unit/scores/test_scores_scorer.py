"""All scores together: those reported while training, and what weights mean."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cage_lightning.labels import (
    AFFECTNET_7,
    AFFECTNET_8,
    EMOTIC,
    Batch,
    Prediction,
)
from cage_lightning.metrics import ExpressionMetrics
from cage_lightning.scores import Scorer, point_estimate
from tests.prediction_samples import random_predictions

METRICS = ("mse", "mae", "rmse", "ccc")
CATEGORY = (
    "accuracy",
    *(f"{s}_{a}" for s in ("precision", "recall", "f1") for a in ("weighted", "macro")),
)
SPACES = pytest.mark.parametrize(
    "space", [AFFECTNET_8, AFFECTNET_7, EMOTIC], ids=lambda space: space.name
)


# torchmetrics has the average precision in single precision.
TOLERANCE = defaultdict(lambda: 1e-9, map=1e-6)


@SPACES
@pytest.mark.parametrize("n", [1, 2, 7, 200])
def test_equal_to_the_metrics_of_a_run(space, n):
    p = random_predictions(space, n, seed=n)
    metrics = ExpressionMetrics(space, categories=True, affect=True)
    metrics.update(
        Prediction(torch.tensor(p.probability), torch.tensor(p.affect_pred)),
        Batch(*(torch.tensor(a) for a in (np.zeros(n), p.category, p.affect, np.arange(n)))),
    )
    reported, while_training = point_estimate(p), metrics.compute()
    # The epoch is chosen by a number that is reported: each key of the metrics is shared.
    assert while_training.keys() <= reported.keys()
    for key, value in while_training.items():
        assert reported[key] == pytest.approx(value, abs=TOLERANCE[key]), key
    if n == 200:  # each is defined, and none is by chance the same as another
        assert len(while_training) == len(METRICS) * (len(space.dimensions) + 1) + (
            4 if space.multi_label else 3 + len(CATEGORY)
        )
        several = [value for key, value in while_training.items() if key != "recall_weighted"]
        assert len(set(several)) == len(several)


@SPACES
@given(seed=st.integers(0, 1000), n=st.integers(1, 30))
@settings(max_examples=30, deadline=None)
def test_the_order_of_the_samples_does_not_matter(space, seed, n):
    p = random_predictions(space, n, seed)
    order = np.random.default_rng(seed).permutation(n)
    assert point_estimate(p.select(order)) == pytest.approx(point_estimate(p), abs=1e-9)


@SPACES
@given(seed=st.integers(0, 1000), counts=st.lists(st.integers(0, 3), min_size=1, max_size=30))
@settings(max_examples=30, deadline=None)
def test_a_weight_is_how_often_a_sample_is_there(space, seed, counts):
    p = random_predictions(space, len(counts), seed)
    weighted = {k: v[0] for k, v in Scorer(p)([counts]).items() if not np.isnan(v[0])}
    repeated = point_estimate(p.select(np.repeat(np.arange(len(p)), counts)))
    assert weighted == pytest.approx(repeated, abs=1e-9)


@SPACES
def test_nothing_is_scored_without_samples(space):
    found = Scorer(random_predictions(space))(np.zeros((2, 60)))
    for key, values in found.items():
        np.testing.assert_array_equal(values, 0 if key.startswith("n") else np.nan, key)


def test_neither_torch_nor_scipy_is_loaded_to_begin_with():
    code = "import sys, cage_lightning.scores as s; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert not {"torch", "lightning", "hydra", "scipy"} & set(loaded.decode().split())
