"""A network whose outputs are in another order than they are read in is noticed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cage_lightning.labels import AFFECTNET_8, EMOTIC
from cage_lightning.predictions.table import Predictions, predictions_of
from cage_lightning.scores.circumplex import contradictions
from tests.prediction_samples import of_categories, random_predictions

VALENCE = (0.0, 0.8, -0.7, 0.1, -0.3, -0.6, -0.5, -0.5)
ALPHABETICAL = [AFFECTNET_8.categories.index(name) for name in sorted(AFFECTNET_8.categories)]


def predicted(order: list[int], n: int = 200, accuracy: float = 0.6) -> Predictions:
    """A network that is right with this probability, and its outputs in an order of categories."""
    rng = np.random.default_rng(0)
    true = np.arange(n) % 8
    chosen = np.where(rng.random(n) < accuracy, true, rng.integers(0, 8, n))
    affect = np.stack([np.array(VALENCE)[true] + rng.normal(0, 0.1, n), np.zeros(n)], axis=1)
    affect[::7] = np.nan
    logits = np.eye(8)[chosen][:, order]
    return predictions_of(
        AFFECTNET_8, logits, None, AFFECTNET_8, np.arange(n).astype(str), true, affect
    )


def test_a_network_in_the_right_order_contradicts_nothing() -> None:
    assert contradictions(predicted(list(range(8)))) == []


def test_a_network_in_alphabetical_order_does() -> None:
    happiness, *_ = contradictions(predicted(ALPHABETICAL))
    assert happiness.startswith("the 2")
    assert "samples predicted as Happiness have a mean true valence of -0." in happiness


def test_so_do_labels_in_another_order() -> None:
    p = predicted(list(range(8)))
    assert p.category is not None
    found = contradictions(replace(p, category=np.array(ALPHABETICAL)[p.category]))
    [sentence] = found
    assert "samples labelled as Happiness have a mean true valence of -0.2" in sentence


def test_few_or_random_or_unlabelled_samples_tell_nothing() -> None:
    assert contradictions(predicted(ALPHABETICAL, n=56)) == []
    assert contradictions(random_predictions(AFFECTNET_8)) == []
    assert contradictions(random_predictions(EMOTIC)) == []
    assert contradictions(of_categories(AFFECTNET_8, [1] * 50, [1] * 50)) == []


def test_several_categories() -> None:
    p = random_predictions(EMOTIC, 400)
    assert p.category is not None
    affect = p.affect.copy()
    affect[:, 0] = np.where(p.category[:, EMOTIC.categories.index("Happiness")], -0.5, -0.1)
    [sentence] = [s for s in contradictions(replace(p, affect=affect)) if "labelled" in s]
    assert "as Happiness have a mean true valence of -0.50" in sentence
