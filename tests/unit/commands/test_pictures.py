"""Pictures of samples are drawn only where they are asked for, or show nobody."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cage_lightning.commands import results
from cage_lightning.commands.preflight import check_pictures
from cage_lightning.errors import ConfigError
from cage_lightning.labels import AFFECTNET_8
from tests.prediction_samples import random_predictions


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("drawn", [False, True])
def test_photographs_need_to_be_asked_for(
    monkeypatch: pytest.MonkeyPatch, drawn: bool, asked: bool
) -> None:
    given = []
    monkeypatch.setattr(results, "draw", lambda *arguments: given.append(arguments))
    monkeypatch.setattr(results, "pictures", lambda data: "pictures")
    data: Any = SimpleNamespace(source=SimpleNamespace(drawn=drawn))
    predictions = random_predictions(AFFECTNET_8, 4)
    results.draw_figures(Path("run"), predictions, data, asked)
    [(folder, _, picture, reason)] = given
    assert folder == Path("run/figures")
    assert picture == ("pictures" if drawn or asked else None)
    assert "pictures=true" in reason


def test_pictures_without_figures_are_refused() -> None:
    check_pictures(True, True)
    check_pictures(False, False)
    with pytest.raises(ConfigError, match=r"figures=true"):
        check_pictures(False, True)
