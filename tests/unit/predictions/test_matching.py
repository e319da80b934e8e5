"""Which category of the data each category of a model is, and what its probabilities become."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cage_lightning.errors import ConfigError
from cage_lightning.labels import AFFECTNET_7, AFFECTNET_8, EMOTIC, LabelSpace, own_space
from cage_lightning.predictions.matching import matched, read_mapping
from cage_lightning.predictions.table import Predictions, common_space, predictions_of
from cage_lightning.training_statistics import TrainingStatistics
from tests.present import present

OWN = own_space("mine", ["joy", "calm", "anger", "sad", "bored"], [])


def test_equal_names_and_equal_meanings_match() -> None:
    found = matched(OWN, AFFECTNET_8)
    assert found == {
        "joy": "Happiness",
        "calm": None,
        "anger": "Anger",
        "sad": "Sadness",
        "bored": None,
    }
    assert matched(AFFECTNET_8, EMOTIC)["Happiness"] == "Happiness"
    # Neither of two that mean the same can be told to be it.
    assert matched(own_space("a", ["happy", "joy"], []), AFFECTNET_7) == {
        "happy": None,
        "joy": None,
    }
    two = own_space("b", ["happy", "joy", "sad"], [])
    assert matched(AFFECTNET_7, two)["Happiness"] is None
    assert matched(two, two) == {"happy": "happy", "joy": "joy", "sad": "sad"}


def test_a_mapping_says_the_rest() -> None:
    found = matched(OWN, AFFECTNET_8, {"calm": "neutral", "bored": "Neutral", "Sadness": None})
    assert list(found.values()) == ["Happiness", "Neutral", "Anger", None, "Neutral"]


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"clam": "Neutral"}, r"'clam' is no category of the model \(mine\); it has joy, calm"),
        ({"calm": "Peace"}, r"'Peace' is no category of the data \(affectnet8\); it has Neutral"),
        ({"calm": 3}, "3 is no category of the data"),
        ({0: "Neutral"}, "0 is no category of the model"),
        ({"joy": "Anger", "Happiness": None}, "'Happiness' is joy, which it names twice"),
    ],
)
def test_wrong_names_end_in_one_line(mapping: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        matched(OWN, AFFECTNET_8, mapping)
    assert len(str(error.value).splitlines()) == 1


def test_sigmoids_do_not_add_up() -> None:
    with pytest.raises(ConfigError, match="Pain and Sadness would be Sadness"):
        matched(EMOTIC, AFFECTNET_7, {"Pain": "Sadness"})
    matched(EMOTIC, AFFECTNET_7, {"Pain": "Sadness", "Sadness": None})


def scored(
    model: LabelSpace, data: LabelSpace, logits: np.ndarray, mapping: Any, training: Any = None
) -> Predictions:
    n = len(logits)
    shape = (n, len(data.categories)) if data.multi_label else n
    truth, affect = np.zeros(shape, np.int64), np.zeros((n, len(data.dimensions)))
    ids = np.array([str(i) for i in range(n)])
    return predictions_of(model, logits, None, data, ids, truth, affect, training, mapping=mapping)


def test_probabilities_add_up_and_what_is_left_out_is_not_predicted() -> None:
    logits = np.random.default_rng(0).normal(size=(50, 5))
    mapping = {"calm": "Neutral", "bored": "Neutral", "sad": None}
    found = scored(OWN, AFFECTNET_8, logits, mapping)
    assert found.space.categories == ("Neutral", "Happiness", "Anger")
    assert found.space.name == "mine on affectnet8"
    for row, given in zip(present(found.probability), np.exp(logits), strict=True):
        joy, calm, anger, _, bored = given
        expected = np.array([calm + bored, joy, anger]) / (joy + calm + anger + bored)
        np.testing.assert_allclose(row, expected, rtol=1e-12)
    chosen = present(found.category_pred)
    assert (chosen == present(found.probability).argmax(axis=1)).all()


def test_of_several_categories_the_most_probable_after_adding_up_is_predicted() -> None:
    mapping = {"calm": "Peace", "bored": "Peace", "sad": None}
    # Together calm and bored are more probable than sad, which alone is the most probable one.
    logits = np.log([[0.05, 0.3, 0.05, 0.35, 0.25], [0.05, 0.1, 0.05, 0.7, 0.1]])
    found = scored(OWN, EMOTIC, logits, mapping)
    peace = found.space.categories.index("Peace")
    np.testing.assert_allclose(present(found.probability)[:, peace], [0.55, 0.2])
    assert np.argwhere(present(found.category_pred)).tolist() == [[0, peace]]


def test_the_statistics_of_the_training_follow() -> None:
    means: list[list[float | None]] = [[0.5, None], [0.1, 0.2], [-0.5, 0.5], [0, 0], [0.4, None]]
    training = TrainingStatistics("", 100, [10, 20, 30, 30, 10], [0.0, 0.0], means)
    space = replace(OWN, dimensions=AFFECTNET_8.dimensions)
    mapping = {"calm": "Neutral", "bored": "Neutral"}
    known = present(scored(space, AFFECTNET_8, np.zeros((2, 5)), mapping, training).training)
    assert known.counts == [30, 10, 30, 30]  # Neutral, Happiness, Sadness, Anger
    assert known.affect_by_category[0] == [pytest.approx(0.2), 0.2]
    assert list(known.affect_by_category[1:]) == [means[0], means[3], means[2]]


def test_a_mapping_may_leave_out_what_both_know() -> None:
    space = common_space(AFFECTNET_8, AFFECTNET_8, {"Contempt": None})
    assert space.categories == AFFECTNET_7.categories
    assert common_space(AFFECTNET_8, AFFECTNET_8, {"fear": "Fear"}) is AFFECTNET_8


def test_a_mapping_may_be_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mapping.yaml"
    file.write_text("joy: Happiness\ncalm: null\n")
    assert read_mapping(str(file)) == {"joy": "Happiness", "calm": None}
    assert read_mapping(None) is None
    assert read_mapping({"a": "b"}) == {"a": "b"}
    file.write_text("[joy]")
    with pytest.raises(ConfigError, match="holds no lines like"):
        read_mapping(str(file))
    for wrong in (str(tmp_path / "none.yaml"), 3):
        with pytest.raises(ConfigError, match="mapping="):
            read_mapping(wrong)


@pytest.mark.parametrize("mapping", [{0: "sad", 1: "happy"}, {"0": "sad", "1": "happy"}])
def test_categories_may_be_numbers(mapping: Any) -> None:
    numbers = own_space("a", ["0", "1"], [])
    assert matched(numbers, AFFECTNET_7, mapping) == {"0": "Sadness", "1": "Happiness"}
    assert matched(AFFECTNET_7, numbers, {"Anger": 1})["Anger"] == "1"
