"""What a model says in one label space, scored in another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import special

from cage_lightning.errors import ConfigError
from cage_lightning.labels import AFFECTNET_7, AFFECTNET_8, EMOTIC
from cage_lightning.predictions.table import common_space, predictions_of
from cage_lightning.training_statistics import TrainingStatistics
from tests.present import present

SHARED = ("Anger", "Fear", "Happiness", "Sadness", "Surprise")  # in EMOTIC's order


def softmax(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(x) / np.exp(x).sum(axis=1, keepdims=True))


def test_the_same_label_space_changes_nothing() -> None:
    assert common_space(EMOTIC, EMOTIC) is EMOTIC
    logits = np.array([[0.0, 1, 2, 3, 4, 5, 6, 7], [9, 0, 0, 0, 0, 0, 0, 0]])
    predictions = predictions_of(
        AFFECTNET_8,
        logits,
        np.array([[0.5, -2], [0, 0]]),
        AFFECTNET_8,
        np.array(["a", "b"]),
        np.array([0, 7]),
        np.array([[0.1, np.nan], [0, 0]]),
    )
    np.testing.assert_allclose(present(predictions.probability), softmax(logits), rtol=1e-12)
    assert present(predictions.category_pred).tolist() == [7, 0]
    assert present(predictions.category).tolist() == [0, 7]
    assert present(predictions.affect_pred)[0, 1] == -2  # not clipped


def test_eight_categories_on_seven() -> None:
    logits = np.zeros((2, 8))
    logits[:, 7], logits[:, 2] = 5, 1  # Contempt before Sadness
    training = TrainingStatistics("", 80, list(range(8)), [0, 0], [[k, -k] for k in range(8)])
    predictions = predictions_of(
        AFFECTNET_8,
        logits,
        None,
        AFFECTNET_7,
        np.array(["a", "b"]),
        np.array([2, 6]),
        np.zeros((2, 2)),
        training,
    )
    assert predictions.space.categories == AFFECTNET_7.categories
    assert predictions.space.name == "affectnet8 on affectnet7"
    assert present(predictions.category_pred).tolist() == [2, 2]
    np.testing.assert_allclose(present(predictions.probability), softmax(logits[:, :7]), rtol=1e-12)
    assert predictions.training == replace(
        training,
        counts=list(range(7)),
        affect_by_category=[[k, -k] for k in range(7)],
    )


def test_probabilities_stay_the_same_to_the_last_bit() -> None:
    logits = np.random.default_rng(0).normal(size=(200, 8))
    truth = np.zeros(200, int), np.zeros((200, 2))
    ids = np.arange(200).astype(str)
    found = predictions_of(AFFECTNET_8, logits, None, AFFECTNET_8, ids, *truth)
    # Outputs taken as columns: the order in which eight of them are added up depends on that.
    taken = special.log_softmax(logits, axis=1)[:, list(range(8))]
    np.testing.assert_array_equal(present(found.probability), special.softmax(taken, axis=1))


def test_seven_categories_on_eight() -> None:
    predictions = predictions_of(
        AFFECTNET_7,
        np.eye(7)[[6, 6]],
        np.zeros((2, 2)),
        AFFECTNET_8,
        np.array(["a", "b"]),
        np.array([6, 7]),
        np.zeros((2, 2)),
    )
    assert present(predictions.category).tolist() == [6, -1]  # Contempt cannot be right or wrong


def test_one_category_on_several() -> None:
    logits = np.zeros((3, 8))
    logits[0, AFFECTNET_8.categories.index("Fear")] = 4
    logits[1, 0] = 4  # Neutral, which EMOTIC does not know
    logits[2, 1] = 0.1  # Happiness, hardly
    truth = np.zeros((3, 26), np.float32)
    truth[0, EMOTIC.categories.index("Fear")] = 1
    truth[0, EMOTIC.categories.index("Pain")] = 1
    predictions = predictions_of(
        AFFECTNET_8,
        logits,
        np.array([[0.1, 0.2], [0, 0], [0, 0]]),
        EMOTIC,
        np.array(["a", "b", "c"]),
        truth,
        np.array([[0.3, 0.4, 0.5]] * 3),
    )
    space = predictions.space
    assert (space.categories, space.multi_label) == (SHARED, True)
    assert space.dimensions == ("valence", "arousal")
    assert np.argwhere(present(predictions.category)).tolist() == [[0, 1]]
    assert np.argwhere(present(predictions.category_pred)).tolist() == [[0, 1], [2, 2]]
    columns = [AFFECTNET_8.categories.index(name) for name in SHARED]
    probability = present(predictions.probability)
    np.testing.assert_allclose(probability, softmax(logits)[:, columns], rtol=1e-12)
    assert predictions.affect[0].tolist() == [0.3, 0.4]


def test_several_categories_on_one() -> None:
    logits = np.full((2, 26), -3.0)
    logits[:, EMOTIC.categories.index("Sadness")] = -1
    logits[:, EMOTIC.categories.index("Pain")] = 3
    predictions = predictions_of(
        EMOTIC,
        logits,
        np.zeros((2, 3)),
        AFFECTNET_8,
        np.array(["a", "b"]),
        np.array([0, 2]),  # Neutral, Sadness
        np.zeros((2, 2)),
    )
    # In AffectNet's order: Happiness, Sadness, Surprise, Fear, Anger.
    assert set(predictions.space.categories) == set(SHARED)
    assert present(predictions.category).tolist() == [-1, 1]
    assert present(predictions.category_pred).tolist() == [1, 1]
    sigmoid = 1 / (1 + np.exp([3, 1, 3, 3, 3]))
    probability = present(predictions.probability)
    np.testing.assert_allclose(probability[0], sigmoid / sigmoid.sum(), rtol=1e-12)


def test_nothing_in_common() -> None:
    other = replace(EMOTIC, name="other", categories=("A",), dimensions=("b",))
    with pytest.raises(ConfigError, match="emotic and other"):
        common_space(EMOTIC, other)


def test_a_truth_that_is_not_annotated_stays_so():
    space, seven = AFFECTNET_8, AFFECTNET_7
    logits = np.eye(3, 7)
    found = predictions_of(
        seven,
        logits,
        None,
        space,
        np.array(["a", "b", "c"]),
        np.array([-1, 1, 7]),
        np.zeros((3, 2)),
    )
    assert present(found.category).tolist() == [-1, 1, -1]
