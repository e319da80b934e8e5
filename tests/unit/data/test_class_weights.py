"""data.class_weights, the one place for the weights of the categories in a loss."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from omegaconf import open_dict

from cage_lightning.app.build import _loss, build_data
from cage_lightning.data.class_weights import PAPER_CLASS_WEIGHTS, weighting
from cage_lightning.errors import ConfigError
from cage_lightning.labels import AFFECTNET_7, AFFECTNET_8, EMOTIC, LabelSpace
from cage_lightning.runs.folder import RunFolder
from tests.conftest import composed

SEVEN = (1, 2.5, 3, 4, 5, 6, 0.007)


@pytest.mark.parametrize("space", [AFFECTNET_7, AFFECTNET_8, EMOTIC], ids=lambda space: space.name)
def test_names_that_a_data_set_can_follow(space: LabelSpace) -> None:
    for name in ("positive" if space.multi_label else "paper", "inverse_frequency", "none"):
        assert weighting(name, space) == name
    other_space = "paper" if space.multi_label else "positive"
    for other in (other_space, "", "none ", None, 3, True, dict[str, float]()):
        with pytest.raises(ConfigError, match=r"data.class_weights=.*: choose one of .* numbers$"):
            weighting(other, space)


def test_a_label_space_that_table_4_does_not_have() -> None:
    space = replace(AFFECTNET_7, name="mine")
    assert weighting("inverse_frequency", space) == "inverse_frequency"
    with pytest.raises(ConfigError, match="choose one of inverse_frequency, none, or a list of 7"):
        weighting("paper", space)


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
    built = _loss(config, build_data(config))
    if loss != "va":
        weights: Any = getattr(built, "discrete", built).class_weights
        assert weights is None if expected is None else weights.tolist() == pytest.approx(expected)
    # Older configs repeat data.class_weights in the loss; any other value there is refused.
    with open_dict(config):
        config.loss.class_weights = config.data.class_weights
        if loss != "va":
            _loss(config, build_data(config))
        config.loss.class_weights = "inverse_frequency"
    with pytest.raises(ConfigError, match=r"^loss.class_weights .*: set data.class_weights$"):
        _loss(config, build_data(config))


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
