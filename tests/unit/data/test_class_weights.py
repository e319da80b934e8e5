"""data.class_weights, the one place for the weights of the categories in a loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import DictConfig, open_dict

from cage_lightning.app.build import _loss, build_data
from cage_lightning.commands.train import _class_weights as weights_of
from cage_lightning.data.annotations import Annotations
from cage_lightning.data.class_weights import PAPER_CLASS_WEIGHTS
from cage_lightning.data.module import ExpressionData
from cage_lightning.data.weighting import class_weights, weighting
from cage_lightning.demo.faces.labels import TRAIN_COUNTS
from cage_lightning.errors import ConfigError, DataError
from cage_lightning.labels import AFFECTNET_7, AFFECTNET_8, EMOTIC, LabelSpace, own_space
from cage_lightning.runs.folder import RunFolder
from tests.conftest import composed

SEVEN = (1, 2.5, 3, 4, 5, 6, 0.007)
# Training photographs of FER2013, in the order of AFFECTNET_7.
FER2013 = (4965, 7215, 4830, 3171, 4097, 436, 3995)


@cache
def labelled(counts: tuple[int, ...], unknown: int = 0) -> Annotations:
    """So many samples of each category of AFFECTNET_7, and some that nobody labelled."""
    category = np.repeat(np.arange(-1, 7), [unknown, *counts])
    names, affect = np.arange(len(category)).astype(str), np.zeros((len(category), 2), np.float32)
    return Annotations(AFFECTNET_7, Path(), names, names, category, affect)


def loaded(config: DictConfig, counts: Sequence[int] = FER2013, unknown: int = 0) -> ExpressionData:
    """The data of a config with samples to train on that are on no disk."""
    data = build_data(config)
    data.splits["train"] = labelled(tuple(counts), unknown)
    return data


@pytest.mark.parametrize("space", [AFFECTNET_7, AFFECTNET_8, EMOTIC], ids=lambda space: space.name)
def test_names_that_a_data_set_can_follow(space: LabelSpace) -> None:
    own = "positive" if space.multi_label else "paper"
    for name in (own, "inverse_frequency", "inverse_sqrt", "effective_number", "none"):
        assert weighting(name, space) == name
    other_space = "paper" if space.multi_label else "positive"
    for other in (other_space, "", "none ", None, 3, True, dict[str, float]()):
        with pytest.raises(ConfigError, match=r"data.class_weights=.*: choose one of .* numbers$"):
            weighting(other, space)


def test_a_label_space_that_table_4_does_not_have() -> None:
    space = replace(AFFECTNET_7, name="mine")
    assert weighting("inverse_frequency", space) == "inverse_frequency"
    names = "inverse_frequency, inverse_sqrt, effective_number, none, or a list of 7"
    for other in (space, replace(AFFECTNET_7, categories=AFFECTNET_7.categories[::-1])):
        with pytest.raises(ConfigError, match=f"choose one of {names}"):
            weighting("paper", other)


@pytest.mark.parametrize("wrong", [0, -1, math.nan, math.inf, True, "2", None, [1]])
def test_a_list_is_a_positive_number_for_each_category(wrong: object) -> None:
    assert weighting(list(SEVEN), AFFECTNET_7) == SEVEN
    with pytest.raises(ConfigError, match=r"the weight of Sadness, .*, is not a positive number"):
        weighting([1, 1, wrong, 1, 1, 1, 1], AFFECTNET_7)
    with pytest.raises(ConfigError, match="has 7 numbers, and affectnet8 8 categories: Neutral"):
        weighting(list(SEVEN), AFFECTNET_8)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("paper", PAPER_CLASS_WEIGHTS["affectnet7"]),
        ("none", None),
        (f"[{','.join(map(str, SEVEN))}]", SEVEN),
    ],
)
@pytest.mark.parametrize("loss", ["discrete", "combined", "va"])
def test_what_the_loss_gets(loss: str, setting: str, expected: tuple[float, ...] | None) -> None:
    config = composed(
        "data=affectnet7", "model=tiny", f"loss={loss}", f"data.class_weights={setting}"
    )
    assert "class_weights" not in config.loss
    built = _loss(config, loaded(config))
    if loss != "va":
        weights: Any = getattr(built, "discrete", built).class_weights
        assert weights is None if expected is None else weights.tolist() == pytest.approx(expected)
    # Older configs repeat data.class_weights in the loss; any other value there is refused.
    with open_dict(config):
        config.loss.class_weights = config.data.class_weights
        if loss != "va":
            _loss(config, loaded(config))
        config.loss.class_weights = "inverse_frequency"
    with pytest.raises(ConfigError, match=r"^loss.class_weights .*: set data.class_weights$"):
        _loss(config, loaded(config))


def test_a_run_that_repeated_the_setting_is_the_same_run(tmp_path: Path) -> None:
    config = composed("data=demo8", "model=tiny", f"runs={tmp_path}")
    config.run_dir = "run"
    folder = RunFolder.of(config)
    with open_dict(older := config.copy()):
        older.loss.class_weights = "paper"
    folder.claim(older)
    folder.last.parent.mkdir()
    folder.last.touch()
    folder.claim(config)
    config.data.class_weights = [1, 1, 1, 1, 1, 1, 1, 2]
    with pytest.raises(ConfigError, match=r"data.class_weights is \[1, .*\] here and 'paper'"):
        folder.claim(config)


def test_tempered_weights_lie_between_equal_ones_and_inverse_frequencies() -> None:
    # The weight of the rarest category over that of the commonest one.
    ratios = {}
    for name in ("inverse_frequency", "inverse_sqrt", "effective_number"):
        values = class_weights(name, AFFECTNET_7, FER2013, sum(FER2013)).values
        assert values is not None
        assert sum(values) == pytest.approx(1)
        assert [*np.argsort(values)] == [*np.argsort(FER2013)[::-1]]
        ratios[name] = values[5] / values[1]
    assert ratios["inverse_frequency"] == pytest.approx(7215 / 436)
    assert ratios["inverse_sqrt"] == pytest.approx(math.sqrt(7215 / 436))
    # (1 - 0.999^7215) / (1 - 0.999^436)
    assert ratios["effective_number"] == pytest.approx(2.827, abs=1e-3)


def test_few_samples_have_their_full_number_and_many_a_thousand() -> None:
    values = class_weights("effective_number", own_space("x", ["a", "b"], []), (1, 10**6), 1).values
    assert values is not None
    assert values[0] / values[1] == pytest.approx(1000)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("positive", (9.0, 1.0)),
        ("inverse_frequency", (10.0, 2.0)),
        ("inverse_sqrt", (math.sqrt(10), math.sqrt(2))),
        ("effective_number", (9.955, 1.996)),
    ],
)
def test_weights_of_labels_of_which_several_may_apply(
    name: str, expected: tuple[float, ...]
) -> None:
    space = own_space("x", ["a", "b"], [], multi_label=True)
    assert class_weights(name, space, (1, 5), 10).values == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("name", ["inverse_frequency", "inverse_sqrt", "effective_number"])
def test_what_is_not_annotated_does_not_count(name: str) -> None:
    config = composed("data=affectnet7", f"data.class_weights={name}")
    assert loaded(config, FER2013, unknown=999).class_weights() == loaded(config).class_weights()


def test_a_category_without_samples_is_named_with_what_is_possible() -> None:
    counts = (*FER2013, 0)
    with pytest.raises(DataError, match="no sample of Contempt: leave it out with") as caught:
        class_weights("inverse_frequency", AFFECTNET_8, counts, 9)
    assert "data.label_space=affectnet7, set data.class_weights=none, or" in str(caught.value)
    with pytest.raises(DataError, match=r"no sample of Disgust: set data.class_weights=none, or "):
        class_weights("inverse_sqrt", AFFECTNET_7, (1, 1, 1, 1, 1, 0, 1), 6)
    with pytest.raises(DataError, match=r"no sample of b, c: leave it out of data.categories, set"):
        class_weights("effective_number", own_space("x", ["a", "b", "c"], []), (5, 0, 0), 5)
    for name in ("none", "paper"):
        class_weights(name, AFFECTNET_8, counts, 9)


def test_log_and_results_say_which_weights_and_from_what() -> None:
    weights = loaded(composed("data=affectnet7", "data.class_weights=inverse_sqrt")).weighted()
    line = "class weights inverse_sqrt (from the counts of the training split; "
    assert str(weights).startswith(line)
    assert "Happiness 0.08565 (7,215)" in str(weights)
    said = weights.to_dict()
    assert (said["setting"], said["counts"]["Disgust"]) == ("inverse_sqrt", 436)
    assert said["weights"]["Disgust"] == pytest.approx(0.3484, abs=1e-4)
    paper = class_weights("paper", AFFECTNET_7, FER2013, sum(FER2013))
    assert paper.to_dict()["from"] == "Table 4 of the paper, from the counts of AffectNet"
    nothing = class_weights("none", AFFECTNET_7, FER2013, sum(FER2013))
    assert nothing.to_dict()["weights"] is None
    assert "Disgust 1 (436)" in str(nothing)
    assert class_weights(SEVEN, AFFECTNET_7, FER2013, 1).to_dict()["setting"] == "list"


def test_weights_of_affectnet_on_photographs_of_another_data_set_are_warned_of() -> None:
    warning = class_weights("paper", AFFECTNET_7, FER2013, sum(FER2013)).warning()
    assert warning is not None
    assert "Fear has 6.4 times the share" in warning
    assert "data.class_weights to inverse_frequency, inverse_sqrt" in warning
    assert "data=folders or data=fer2013" in warning
    for name in ("none", "inverse_frequency"):
        assert class_weights(name, AFFECTNET_7, FER2013, sum(FER2013)).warning() is None
    for space in (AFFECTNET_7, AFFECTNET_8):
        counts = TRAIN_COUNTS[: len(space.categories)].tolist()
        assert class_weights("paper", space, counts, sum(counts)).warning() is None
    # A category that is not there is not what differs.
    without = (*TRAIN_COUNTS[:5].tolist(), 0, int(TRAIN_COUNTS[6]))
    assert class_weights("paper", AFFECTNET_7, without, sum(without)).warning() is None
    # Nor is chance: 200 drawn faces.
    few = [49, 100, 22, 6, 8, 1, 14]
    assert class_weights("paper", AFFECTNET_7, few, sum(few)).warning() is None
    assert class_weights("paper", AFFECTNET_7, [0] * 7, 0).warning() is None
    equal = class_weights("paper", AFFECTNET_7, [500] * 7, 3500).warning()
    assert equal is not None
    assert "Disgust has 11 times the share" in equal


def test_a_loss_without_categories_weighs_none() -> None:
    config = composed("data=affectnet7", "loss=va")
    assert weights_of(config, loaded(config)) is None
    config = composed("data=affectnet7", "loss=combined")
    assert weights_of(config, loaded(config)) is not None
