"""Resamples and intervals, and that the intervals hold what they promise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cage_lightning.errors import ConfigError
from cage_lightning.labels import AFFECTNET_8, EMOTIC
from cage_lightning.predictions.table import Predictions
from cage_lightning.scores import COUNTS, intervals, point_estimate
from cage_lightning.scores.bootstrap import (
    bootstrap,
    drawn_whole,
    percentile_interval,
    resample_weights,
)
from tests.prediction_samples import of_affect, random_predictions
from tests.present import present


def weights(n, strata, resamples, seed=0):
    return np.concatenate(list(resample_weights(n, strata, resamples, np.random.default_rng(seed))))


def test_a_resample_keeps_the_size_of_each_stratum():
    strata = np.array([5, 0, 5, 5, 2, 0])
    found = weights(6, strata, 2000)
    assert found.shape == (2000, 6)
    for stratum in (0, 2, 5):
        assert (found[:, strata == stratum].sum(axis=1) == (strata == stratum).sum()).all()
    # Multinomial weights have mean 1 and variance 1 - 1/n in a stratum; strata are independent.
    np.testing.assert_allclose(found.mean(axis=0), 1, atol=0.1)
    np.testing.assert_allclose(found.var(axis=0), 1 - 1 / np.array([3, 2, 3, 3, 1, 2]), atol=0.1)
    correlation = np.corrcoef(found[:, 1], found[:, 0])[0, 1]
    assert correlation == pytest.approx(0, abs=0.1)


def test_one_stratum_and_several_chunks():
    n = 3000
    found = weights(n, None, 1000)
    assert found.shape == (1000, n)
    assert (found.sum(axis=1) == n).all()
    assert (found[:-1] != found[1:]).any(axis=1).all()
    assert np.bincount(found.astype(int).ravel())[:4] / found.size == pytest.approx(
        np.exp(-1) / np.array([1, 1, 2, 6]), abs=0.005
    )


@pytest.mark.parametrize(
    "space", [AFFECTNET_8, pytest.param(EMOTIC, marks=pytest.mark.slow)], ids=lambda s: s.name
)
def test_intervals_are_those_of_drawn_samples(space):
    p = random_predictions(space, 60)
    found = intervals(p, resamples=200, confidence=0.9, seed=3)
    strata = None if space.multi_label else p.category
    resampled = [
        point_estimate(p.select(np.repeat(np.arange(60), w.astype(int))))
        for w in weights(60, strata, 200, seed=3)
    ]
    assert set(found) == set(point_estimate(p)) - set(COUNTS)
    for key, interval in found.items():
        values = [scores[key] for scores in resampled if key in scores]
        assert interval[:2] == pytest.approx(np.quantile(values, [0.05, 0.95]), abs=1e-9), key
        assert interval.undefined == pytest.approx(1 - len(values) / 200)


def test_the_seed_decides():
    p = random_predictions(AFFECTNET_8)
    assert intervals(p, 50, seed=1) == intervals(p, 50, seed=1) != intervals(p, 50, seed=2)


def test_what_few_samples_define_is_undefined_in_some_resamples():
    one = replace(AFFECTNET_8, dimensions=("valence",))
    p = of_affect(one, [0.1, 0.2, 0.3, 0.4], [0.3, np.nan, 0.2, np.nan])
    found = intervals(p, 4000)
    assert found["mse_valence"].undefined == pytest.approx(1 / 2**4, abs=0.02)
    both = 1 - 2 * (3 / 4) ** 4 + 1 / 2**4
    assert found["pearson_valence"].undefined == pytest.approx(1 - both, abs=0.03)
    assert percentile_interval(np.array([np.nan]), 0.95) is None


def test_out_of_range():
    p = random_predictions(AFFECTNET_8)
    with pytest.raises(ConfigError, match="resamples=0"):
        intervals(p, 0)
    with pytest.raises(ConfigError, match="confidence=95"):
        intervals(p, 10, confidence=95)


PER_CATEGORY = 75
MEANS = np.random.default_rng(5).uniform(-0.7, 0.7, (8, 2))  # of the truth
OFFSETS = np.random.default_rng(6).normal(0, 0.15, (8, 2))  # of the prediction from it
SD_TRUE, SD_PRED, CORRELATION = 0.25, 0.2, 0.6
RECALL = np.linspace(0.4, 0.9, 8)


def drawn(rng: np.random.Generator) -> Predictions:
    """Categories of fixed size, in each one Gaussian affect and a fixed chance to be right."""
    category = np.repeat(np.arange(8), PER_CATEGORY)
    n = len(category)
    common, own = rng.normal(size=(2, n, 2))
    affect = MEANS[category] + SD_TRUE * common
    noise = CORRELATION * common + np.sqrt(1 - CORRELATION**2) * own
    right = rng.random(n) < RECALL[category]
    return Predictions(
        space=AFFECTNET_8,
        id=np.arange(n).astype(str),
        category=category,
        affect=affect,
        category_pred=np.where(right, category, (category + rng.integers(1, 8, n)) % 8),
        probability=None,
        affect_pred=MEANS[category] + OFFSETS[category] + SD_PRED * noise,
    )


def truth() -> dict[str, float]:
    """The scores of the whole population, by the moments of a mixture."""
    found = {"accuracy": RECALL.mean()}
    means = MEANS + OFFSETS
    columns = {
        "valence": (means[:, 0], MEANS[:, 0]),
        "arousal": (means[:, 1], MEANS[:, 1]),
        "pooled": (means.ravel(), MEANS.ravel()),
    }
    for name, (x, y) in columns.items():
        xy = np.cov(x, y, ddof=0)[0, 1] + CORRELATION * SD_TRUE * SD_PRED
        spread = x.var() + SD_PRED**2 + y.var() + SD_TRUE**2 + (x.mean() - y.mean()) ** 2
        found[f"ccc_{name}"] = 2 * xy / spread
        within = SD_PRED**2 + SD_TRUE**2 - 2 * CORRELATION * SD_TRUE * SD_PRED
        found[f"rmse_{name}"] = np.sqrt(((x - y) ** 2).mean() + within)
    confusion = np.diag(RECALL) + (1 - RECALL[:, None]) / 7 * (1 - np.eye(8))
    found["f1_macro"] = np.mean(2 * RECALL / (1 + confusion.sum(axis=0)))
    return found


@pytest.mark.slow
def test_an_interval_of_95_percent_contains_the_truth_in_95_percent_of_all_samples():
    # A share of 400 scatters by 0.011. benchmarks/coverage.py has the study of thousands.
    repetitions = 400
    rng = np.random.default_rng(0)
    expected = truth()
    inside = dict.fromkeys(expected, 0)
    for seed in range(repetitions):
        found = intervals(drawn(rng), resamples=300, seed=seed)
        for key, value in expected.items():
            inside[key] += found[key].low <= value <= found[key].high
    coverage = {key: hits / repetitions for key, hits in inside.items()}
    print(coverage)
    assert all(0.92 <= share <= 0.98 for share in coverage.values()), coverage


def test_the_population_is_what_a_large_sample_shows():
    rng = np.random.default_rng(1)
    samples = [point_estimate(drawn(rng)) for _ in range(300)]
    for key, value in truth().items():
        scores = [s[key] for s in samples]
        standard_error = np.std(scores) / np.sqrt(300)
        # A finite sample is a little biased, so 5 standard errors.
        assert np.mean(scores) == pytest.approx(value, abs=5 * standard_error), key


def test_two_files_share_their_resamples():
    p = random_predictions(AFFECTNET_8)
    (alone,) = bootstrap([p], 20, seed=0)
    affect = replace(p, category=None, category_pred=None, probability=None)
    beside, _ = bootstrap([affect, p], 20, seed=0)  # which knows the strata
    np.testing.assert_allclose(beside["mse_valence"], alone["mse_valence"])
    a, b = bootstrap([p, replace(p, affect_pred=present(p.affect_pred) + 1)], 20, seed=0)
    np.testing.assert_array_equal(a["accuracy"], b["accuracy"])
    np.testing.assert_allclose(a["pearson_valence"], b["pearson_valence"])
    assert (a["mse_valence"] != b["mse_valence"]).all()


def accuracies(file: Predictions) -> np.ndarray:
    (scores,) = bootstrap([file], 300, 0)
    return scores["accuracy"]


@pytest.mark.parametrize("name", ["person", "video", "picture"])
def test_whole_persons_are_drawn_where_the_file_names_them(name):
    file = random_predictions(AFFECTNET_8, 40, seed=1)
    file = replace(file, groups={name: np.arange(40).astype(str)})
    frames = file.select(np.repeat(np.arange(40), 3))  # of each person, all alike
    np.testing.assert_allclose(accuracies(frames), accuracies(file))
    assert accuracies(replace(frames, groups={})).std() < 0.8 * accuracies(frames).std()
    older, newer = bootstrap([replace(frames, groups={}), frames], 300, 0)
    np.testing.assert_array_equal(older["accuracy"], newer["accuracy"])


def test_without_a_name_samples_are_drawn_alone():
    file = random_predictions(AFFECTNET_8, 40, seed=1)
    named = np.array(["a", "b", *["c"] * 38])
    assert drawn_whole(replace(file, groups={"person": named})) == "person"
    nameless = replace(file, groups={"person": np.where(named == "c", "", named)})
    assert 0.5 < accuracies(nameless).std() / accuracies(file).std() < 2
    one = np.full(40, "a")
    assert drawn_whole(replace(file, groups={"person": one, "video": named})) == "video"
    assert drawn_whole(replace(file, groups={"person": one})) is None
