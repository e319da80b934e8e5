"""Altered copies: each planted kind is found, other faces are not, however the work is cut up."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageEnhance, ImageOps

from cage_lightning.data.preparation import altered, coarse
from cage_lightning.data.preparation.altered import (
    DETAIL,
    Alteration,
    detail_thumbnail,
    find_altered,
    level_of,
)
from cage_lightning.data.preparation.coarse import SIZE, Pairs
from cage_lightning.demo.faces import draw_face

FACES, WIDTH = 20, 80
Picture = Image.Image


def zoomed(picture: Picture, left: float, top: float, right: float, bottom: float) -> Picture:
    """Without a share of its width or height at each side, at its old size."""
    edges = (left, top, 1 - right, 1 - bottom)
    box = tuple(round(edge * WIDTH) for edge in edges)
    return picture.crop(box).resize((WIDTH, WIDTH), Image.Resampling.BICUBIC)  # type: ignore[arg-type]


KINDS: dict[str, Callable[[Picture], Picture]] = {
    "mirrored": ImageOps.mirror,
    "turned": lambda picture: picture.rotate(3, Image.Resampling.BICUBIC),
    "lightened": lambda picture: ImageEnhance.Brightness(picture).enhance(1.3),
    "darkened": lambda picture: ImageEnhance.Brightness(picture).enhance(0.6),
    "more contrast": lambda picture: ImageEnhance.Contrast(picture).enhance(1.4),
    "less contrast": lambda picture: ImageEnhance.Contrast(picture).enhance(0.6),
    "a tenth cropped": lambda picture: zoomed(picture, 0.05, 0.05, 0.05, 0.05),
    "cropped on one side": lambda picture: zoomed(picture, 0, 0, 0, 0.1),
    "shifted": lambda picture: zoomed(picture, 0.04, 0, 0, 0.04),
    "several": lambda picture: zoomed(ImageOps.mirror(picture).rotate(2), 0.04, 0.02, 0.04, 0.04),
}


@cache
def faces() -> tuple[Picture, ...]:
    numbers = (i for i in range(FACES + 1) if i != 16)  # who is too much like the next one
    return tuple(Image.fromarray(draw_face(0, "train", i, WIDTH).image) for i in numbers)


def thumbnails(pictures: list[Picture]) -> npt.NDArray[np.uint8]:
    return np.array([np.frombuffer(detail_thumbnail(p), np.uint8) for p in pictures])


def encoded(picture: Picture) -> Picture:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return Image.open(buffer)


def planted(kind: str) -> npt.NDArray[np.uint8]:
    """The faces, then an altered copy of each."""
    copies = [encoded(KINDS[kind](face.copy())) for face in faces()]
    return thumbnails([*faces(), *copies])


def found_in(
    grey: npt.NDArray[np.uint8], group: npt.NDArray[np.int64] | None = None, workers: int = 1
) -> list[Alteration]:
    pairs, level = find_altered(grey, alone(grey) if group is None else group, workers)
    assert level == DETAIL
    return pairs


def alone(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    return np.arange(len(grey))


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_kind_is_found_and_other_faces_are_not(kind: str) -> None:
    grey = planted(kind)
    found = found_in(grey)
    pairs = {(pair.first, pair.second) for pair in found}
    right = {(i, i + FACES) for i in range(FACES)}
    assert pairs <= right
    assert len(pairs) >= FACES - 1  # one drawn face is nearly white when lightened
    assert {pair.mirrored for pair in found} == {kind in ("mirrored", "several")}
    assert all(DETAIL <= pair.detail <= 1.0001 for pair in found)


def test_the_coarse_search_passes_over_no_pair_that_a_close_look_would_find() -> None:
    some = [*range(8), *range(FACES, FACES + 8)]
    grey = np.concatenate([planted("several")[some], planted("shifted")[some[8:]]])
    n = len(grey)
    first, second = np.triu_indices(n, 1)
    every = set()
    for mirrored in (False, True):
        pairs = Pairs(first, second, np.full(len(first), mirrored))
        every |= {p[:2] for p in altered._verified(grey, pairs) if p.detail >= DETAIL}
    assert len(every) >= 2 * 8
    assert {pair[:2] for pair in found_in(grey)} == every


def test_the_result_does_not_depend_on_how_the_work_is_cut_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    grey = planted("several")
    whole = found_in(grey)
    for module, name in ((altered, "ROWS"), (coarse, "ROWS"), (coarse, "_COLUMNS")):
        monkeypatch.setattr(module, name, 7)
    monkeypatch.setattr(altered, "_AT_ONCE", 3)
    parts = found_in(grey, workers=3)
    assert [pair[:2] for pair in parts] == [pair[:2] for pair in whole]
    np.testing.assert_allclose([p.detail for p in parts], [p.detail for p in whole], atol=1e-4)


def test_of_two_groups_the_most_alike_pair_counts_and_inside_a_group_there_is_none() -> None:
    grey = planted("shifted")[[0, 1, FACES, FACES, FACES + 1]]
    noise = np.random.default_rng(0).integers(-5, 6, grey[3].shape)
    grey[3] = (grey[3] + noise).clip(0, 255)
    group = np.array([0, 1, 2, 2, 1])
    [pair] = found_in(grey, group)
    assert (pair.first, pair.second) == (0, 2)
    assert found_in(grey, np.zeros(5, np.int64)) == []


def test_a_long_row_of_frames_is_looked_at_in_proportion_to_its_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wide = Image.fromarray(draw_face(0, "train", 3, 2 * WIDTH).image)
    frames = [wide.crop((i, i, i + 120, i + 120)) for i in range(40)]
    looked_at = []
    verified = altered._verified

    def counting(grey: npt.NDArray[np.uint8], pairs: Pairs) -> list[Alteration]:
        looked_at.append(len(pairs.first))
        return list(verified(grey, pairs))

    monkeypatch.setattr(altered, "_verified", counting)
    grey = thumbnails(frames)
    found = {pair[:2] for pair in found_in(grey)}
    assert sum(looked_at) <= 4 * len(frames)
    assert {(i, i + 1) for i in range(39)} <= found  # and so all are one group


def test_the_level_rises_where_many_pairs_are_just_below_it() -> None:
    copies, alike = np.linspace(0.96, 1, 40), np.linspace(0.8, 0.92, 200)
    assert level_of(copies) == level_of(copies[:0]) == DETAIL
    assert level_of(alike[:3]) == DETAIL
    raised = level_of(np.concatenate([copies, alike]))
    assert 0.92 < raised < 0.96
    assert level_of(alike) > alike.max()
    assert level_of(np.linspace(0.5, 1, 10_000)) >= 1  # no telling at all


def test_pictures_with_nothing_in_them_are_no_copies() -> None:
    rng = np.random.default_rng(0)
    flat = np.full((6, SIZE**2), 90)
    flat[1] = 0
    flat[2:4] += rng.integers(0, 3, (2, SIZE**2))
    flat[4:] = np.linspace(60, 90, SIZE).round().repeat(SIZE) + rng.integers(-2, 3, (2, SIZE**2))
    grey = flat.astype(np.uint8)
    assert found_in(grey) == []
    assert found_in(grey[:0]) == []
    assert found_in(grey[:1]) == []
