"""What is drawn: inside the picture, in proportion to the face, seen on light and on dark."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from cage_lightning.faces.drawing import Mark, draw_marks, mark_of
from cage_lightning.labels import AFFECTNET_8, EMOTIC


def row(**values: Any) -> dict[str, Any]:
    probabilities = {f"prob_{name}": 0.0 for name in AFFECTNET_8.categories}
    box = {"left": 40.0, "top": 60.0, "right": 104.0, "bottom": 124.0}
    return box | probabilities | {"track": None} | values


def test_what_is_written_for_a_face() -> None:
    mark = mark_of(row(prob_Fear=0.7, valence=-0.5, arousal=0.25, track=3), AFFECTNET_8)
    assert mark.lines == ("#3 Fear 70%", "V -0.50  A +0.25")
    assert mark.point == (-0.5, 0.25)
    smoothed = mark_of(row(valence=-0.5, arousal=0.0, valence_smoothed=0.5), AFFECTNET_8)
    assert smoothed.point == (0.5, 0.0)


def test_a_model_of_affect_alone_and_one_of_categories_alone() -> None:
    box = {key: value for key, value in row().items() if "prob" not in key}
    affect = mark_of(box | {"valence": 0.5, "arousal": 0.5, "dominance": -1.0}, EMOTIC)
    assert affect.lines == ("V +0.50  A +0.50  D -1.00",)
    assert mark_of(row(prob_Anger=1.0), AFFECTNET_8).point is None


def test_several_categories_of_which_the_most_probable_are_written() -> None:
    probabilities = dict(zip(EMOTIC.categories, [0.6, 0.9, 0.7, 0.8] + 22 * [0.1], strict=True))
    values = {f"prob_{name}": value for name, value in probabilities.items()}
    names = [line.rpartition(" ")[0] for line in mark_of(row() | values, EMOTIC).lines]
    assert names == ["Anger", "Anticipation", "Annoyance"]
    none = {f"prob_{name}": 0.01 * n for n, name in enumerate(EMOTIC.categories)}
    assert len(mark_of(row() | none, EMOTIC).lines) == 1


@pytest.mark.parametrize("grey", [0, 255])
@pytest.mark.parametrize("corner", [(0, 0), (336, 236), (150, 120)])
def test_text_and_box_are_seen_on_light_and_on_dark(grey: int, corner: tuple[int, int]) -> None:
    picture = Image.new("RGB", (400, 300), (grey, grey, grey))
    x, y = corner
    mark = Mark((x, y, x + 64, y + 64), ("Happiness 87%", "V +0.50"), (160, 0, 0), (0.5, 0.5))
    drawn = np.asarray(draw_marks(picture, [mark]).convert("L")).astype(int)
    assert grey or (drawn > 160).sum() > 250  # the text is light
    if grey:
        assert (drawn < 90).sum() > 1500  # its plate is dark
    assert np.asarray(picture).min() == grey  # the picture itself stays


def test_sizes_follow_the_face() -> None:
    def drawn_rows(side: int) -> int:
        picture = Image.new("RGB", (1400, 1400), "white")
        mark = Mark((200, 380, 200 + side, 380 + side), ("Fear 87%",), (255, 0, 0), (0, 0))
        drawn = np.asarray(draw_marks(picture, [mark]))
        return int((drawn != 255).any(axis=(1, 2))[:379].sum())  # above the face

    assert 30 < drawn_rows(64) < 60
    assert 100 < drawn_rows(1000) < 220
