"""Scores by subgroup, against samples that are really taken apart and really drawn again."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cage_lightning.errors import ConfigError
from cage_lightning.labels import AFFECTNET_8, EMOTIC
from cage_lightning.predictions.table import Predictions
from cage_lightning.scores import Scorer, point_estimate
from cage_lightning.scores.bootstrap import drawn_weights
from cage_lightning.scores.dealing import Dealer
from cage_lightning.scores.headline import main_scores
from cage_lightning.scores.results import results_of
from cage_lightning.scores.subgroups import DEALS, parts_of, subgroup_scores
from tests.prediction_samples import of_affect, of_categories, random_predictions

SPACES = pytest.mark.parametrize("space", [AFFECTNET_8, EMOTIC], ids=lambda space: space.name)


def grouped(predictions: Predictions, **groups: Any) -> Predictions:
    columns = {name: np.array(column, np.str_) for name, column in groups.items()}
    return replace(predictions, groups=columns)


def main_of(predictions: Predictions) -> dict[str, float]:
    scores = point_estimate(predictions)
    return {key: scores[key] for key in main_scores(scores)}


@settings(max_examples=10)
@given(st.lists(st.sampled_from("abc"), min_size=0, max_size=30), st.integers(0, 1000))
def test_the_parts_of_a_whole_recombine(more: list[str], seed: int) -> None:
    ages = [*"abc" * 20, *more]
    file = grouped(random_predictions(AFFECTNET_8, len(ages), seed), age=ages)
    whole = point_estimate(file)
    values = subgroup_scores(file, ["age"], resamples=1, deals=1)["age"]["values"]
    assert {value: found["n"] for value, found in values.items()} == {
        value: ages.count(value) for value in "abc"
    }
    accuracy = sum(found["n"] * found["scores"]["accuracy"] for found in values.values())
    assert accuracy / len(ages) == pytest.approx(whole["accuracy"], abs=1e-12)
    labelled = {value: ~np.isnan(file.affect[file.groups["age"] == value, 0]) for value in "abc"}
    squares = [labelled[v].sum() * values[v]["scores"]["rmse_valence"] ** 2 for v in "abc"]
    n = sum(mask.sum() for mask in labelled.values())
    assert sum(squares) / n == pytest.approx(whole["mse_valence"], abs=1e-12)


@SPACES
def test_a_subgroup_is_the_file_with_no_weight_on_the_others(space) -> None:
    file = grouped(random_predictions(space, 60), gender=["m", "f", "f"] * 20)
    rows = file.groups["gender"] == "f"
    weights = np.random.default_rng(0).integers(0, 3, (4, 60))
    restricted, parts = Scorer(file)(weights * rows), Scorer(file.select(rows))(weights[:, rows])
    for key, values in parts.items():
        np.testing.assert_allclose(values, restricted[key], atol=1e-9, err_msg=key)


@pytest.mark.parametrize(
    ("space", "whole"), [(AFFECTNET_8, False), (EMOTIC, True)], ids=["alone", "pictures"]
)
def test_scores_gaps_and_intervals_are_those_of_drawn_samples(space, whole: bool) -> None:
    names = ["kid"] * 20 + ["teen"] * 25 + ["adult"] * 30
    pictures = {"picture": [f"p{i // 2}" for i in range(75)]} if whole else {}
    file = grouped(random_predictions(space, 75), age=names, **pictures)
    found = subgroup_scores(file, ["age"], resamples=20, confidence=0.8, seed=3, deals=2)["age"]
    rows = {age: np.flatnonzero(file.groups["age"] == age) for age in ("adult", "kid", "teen")}
    (weights,) = drawn_weights([file], 20, seed=3)
    drawn = [
        {age: main_of(file.select(np.repeat(r, w[r].astype(int)))) for age, r in rows.items()}
        for w in weights
    ]
    for age, r in rows.items():
        value = found["values"][age]
        assert value["scores"] == pytest.approx(main_of(file.select(r)))
        assert value["units"] == (len(r) if not whole else len(set(file.groups["picture"][r])))
        for key, limits in value["intervals"].items():
            each = [one[age][key] for one in drawn if key in one[age]]
            assert limits == pytest.approx(np.quantile(each, [0.1, 0.9])), key
    assert found["gaps"].keys() == main_of(file).keys()
    for key, gap in found["gaps"].items():
        scores = {age: value["scores"][key] for age, value in found["values"].items()}
        error = key.split("_")[0] in ("ece", "rmse", "mae")
        assert scores[gap["best"]] == (min if error else max)(scores.values()), key
        assert gap["gap"] == pytest.approx(max(scores.values()) - min(scores.values()))
        every = [[one[key] for one in ages.values() if key in one] for ages in drawn]
        ranges = [max(three) - min(three) for three in every if len(three) == 3]
        assert [gap["low"], gap["high"]] == pytest.approx(np.quantile(ranges, [0.1, 0.9])), key


def right_or_wrong(right: npt.ArrayLike, **groups: Any) -> Predictions:
    """Predictions of Happiness, of which some are right."""
    true = np.where(np.asarray(right), 1, 2)
    return grouped(of_categories(AFFECTNET_8, true, np.ones_like(true)), **groups)


def accuracy_gap(file: Predictions, seed: int = 0, deals: int = DEALS) -> dict[str, Any]:
    found = subgroup_scores(file, ["age"], resamples=2, seed=seed, deals=deals)["age"]
    gap: dict[str, Any] = found["gaps"]["accuracy"]
    return gap


def test_a_gap_is_compared_with_what_chance_gives() -> None:
    ages = ["old"] * 30 + ["young"] * 30
    alike = accuracy_gap(right_or_wrong([True, False] * 30, age=ages))
    assert (alike["gap"], alike["p"]) == (0, 1)
    assert alike["by_chance"] > 0.05  # although no group is better
    apart = accuracy_gap(right_or_wrong([True] * 30 + [False] * 30, age=ages))
    assert (apart["best"], apart["worst"], apart["gap"]) == ("old", "young", 1)
    assert apart["p"] == 1 / (DEALS + 1)


def test_persons_keep_their_value_and_pictures_their_persons() -> None:
    # Of each person all samples are right or none, so that ten samples say as much as one.
    right, ages = np.arange(8) < 4, np.array([*"oooyoyyy"])
    persons = [f"p{i}" for i in range(8) for _ in range(10)]
    frames: dict[str, Any] = {"right": np.repeat(right, 10), "age": np.repeat(ages, 10)}
    alone = accuracy_gap(right_or_wrong(**frames))
    assert alone["p"] < 0.01
    together = accuracy_gap(right_or_wrong(**frames, person=persons))
    # Of the 70 ways to call four of eight persons old, 2 (1 + 16) are as extreme.
    assert together["p"] == pytest.approx(34 / 70, abs=0.05)
    assert together["gap"] == alone["gap"] == 0.5

    unit, label = np.repeat(np.arange(4), [2, 2, 3, 1]), np.array([0, 1, 1, 1, 0, 0, 1, 0])
    (dealt,) = Dealer(label, unit).deals(200, np.random.default_rng(0))
    assert {tuple(row) for row in dealt} == {
        (0, 1, 1, 1, 0, 0, 1, 0),
        (1, 1, 0, 1, 0, 0, 1, 0),
    }


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), min_size=1, max_size=20))
def test_what_is_dealt_is_what_was_there(samples: list[tuple[int, int]]) -> None:
    unit, label = np.array(samples).T
    members = [np.flatnonzero(unit == one) for one in np.unique(unit)]
    whole = all(len({*label[rows].tolist()}) == 1 for rows in members)

    def held(labels: npt.NDArray[np.int64]) -> Counter[tuple[int, ...]]:
        """What the units hold; where they hold one label each, whatever their size."""
        held = [tuple(labels[rows].tolist()) for rows in members]
        return Counter(tuple(sorted(set(one))) if whole else one for one in held)

    (dealt,) = Dealer(label, unit).deals(5, np.random.default_rng(0))
    assert [held(row) for row in dealt] == [held(label)] * 5


@pytest.mark.slow
def test_without_a_difference_p_is_seldom_below_5_percent() -> None:
    rng = np.random.default_rng(0)
    picture = np.repeat(np.arange(40), 4)
    small = {"pictures": 0, "alone": 0}
    for seed in range(200):
        # All persons of a picture are right or none, and most are of one age.
        right = (rng.random(40) < 0.5)[picture]
        old = rng.random(160) < np.where(rng.random(40) < 0.5, 0.1, 0.9)[picture]
        file = right_or_wrong(right, age=np.where(old, "old", "young"), picture=picture)
        small["pictures"] += accuracy_gap(file, seed, 199)["p"] <= 0.05
        alone = grouped(file, age=file.groups["age"])
        small["alone"] += accuracy_gap(alone, seed, 199)["p"] <= 0.05
    assert 0.01 <= small["pictures"] / 200 <= 0.07, small
    assert small["alone"] / 200 > 0.15, small  # had they been taken for independent samples


def test_a_value_of_few_samples_is_named_and_not_scored() -> None:
    ages = ["adult"] * 40 + ["kid"] * 19 + [""]
    file = grouped(random_predictions(AFFECTNET_8, 60), age=ages)
    found = subgroup_scores(file, ["age"], resamples=2, deals=2)["age"]
    assert (found["few"], found["unknown"]) == ({"kid": 19}, 1)
    assert found["values"].keys() == {"adult"}
    assert found["gaps"] == {}


def test_samples_of_one_person_have_no_interval() -> None:
    names = ["a"] * 30 + ["b"] * 30
    file = grouped(random_predictions(AFFECTNET_8, 60), person=names)
    found = subgroup_scores(file, ["person"], resamples=2, deals=2)["person"]
    assert found["values"]["a"]["intervals"] == {}
    assert found["gaps"]["accuracy"]["gap"] > 0
    assert {found["gaps"]["accuracy"][key] for key in ("low", "high", "by_chance", "p")} == {None}


def test_what_one_value_lacks_has_no_gap() -> None:
    true = np.stack([np.linspace(-1, 1, 40), np.r_[np.linspace(-1, 1, 20), [np.nan] * 20]], axis=1)
    file = of_affect(AFFECTNET_8, true + np.linspace(0, 0.3, 40)[:, None], true)
    found = subgroup_scores(
        grouped(file, age=[*"a" * 20, *"b" * 20]), ["age"], resamples=2, deals=2
    )["age"]
    assert found["gaps"].keys() == {f"{s}_{d}" for s in ("ccc", "rmse", "mae") for d in
                                    ("valence", "pooled")}  # fmt: skip
    assert "ccc_mean" not in found["values"]["b"]["scores"]


def test_the_whole_content_can_be_written() -> None:
    file = random_predictions(AFFECTNET_8, 60)
    file = grouped(file, gender=["m", "f"] * 30, picture=[f"{i // 2}" for i in range(60)])
    content = results_of(file, resamples=5, subgroups=["gender"])
    plain = results_of(file, resamples=5)
    assert content["meta"]["scores"].pop("subgroups") == {"least": 20, "deals": DEALS}
    assert content["meta"]["scores"]["resampled"] == "picture"
    assert content.pop("subgroups")["gender"]["values"].keys() == {"f", "m"}
    assert content == plain
    json.dumps(content, allow_nan=False)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({}, "nothing says the age of a sample; known are: none. Give a table with the columns "),
        ({"sex": ["f"] * 30}, "nothing says the age of a sample; known are: sex. Give"),
        ({"age": ["a", "b", "b"] * 10}, ""),
        ({"age": ["a", "b"] * 15}, "no value of age has the 20 samples that .*: 'a' has 15"),
        ({"age": [""] * 30}, "no value of age .*: it is known of no sample; leave age out"),
    ],
)
def test_a_group_that_cannot_be_scored_is_refused(groups: dict[str, Any], message: str) -> None:
    file = grouped(random_predictions(AFFECTNET_8, 30), **groups)
    if not message:
        assert parts_of(file.groups, "age").few == {"a": 10}
        return
    with pytest.raises(ConfigError, match=message):
        subgroup_scores(file, ["age"])
