from __future__ import annotations

import hashlib
import io
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from cage_lightning.data.preparation.duplicates import (
    GREY_LEVELS,
    GREY_SIZE,
    Pair,
    _candidates,
    find_duplicates,
    grey_thumbnail,
    groups_of,
)
from cage_lightning.demo.faces import draw_face

CELLS = GREY_SIZE**2


def near(grey):
    """The near pairs of pictures that all have other bytes and pixels."""
    names = np.array(
        [hashlib.sha256(bytes([*i.to_bytes(4, "big")])).digest() for i in range(len(grey))]
    )
    found = find_duplicates(names, names, grey)
    assert {pair.kind for pair in found} <= {"near"}
    return [(pair.first, pair.second, pair.difference) for pair in found]


def by_brute_force(grey):
    """All pairs, in whole numbers: CELLS² times the variance of the difference."""
    values = grey.astype(np.int64)
    found = []
    for i, j in itertools.combinations(range(len(grey)), 2):
        difference = values[i] - values[j]
        variance = int(CELLS * (difference**2).sum() - difference.sum() ** 2)
        if variance <= (GREY_LEVELS * CELLS) ** 2:
            found.append((i, j, math.sqrt(variance) / CELLS))
    return found


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 60), st.integers(0, 2**32), st.sampled_from([2.5, 2.8, 12.0]))
def test_near_pictures_are_those_of_a_comparison_of_all(n, seed, spread):
    # Each of a few pictures occurs many times: with noise at the limit, and brighter or darker.
    rng = np.random.default_rng(seed)
    base = rng.integers(60, 190, (1 + n // 8, CELLS))[rng.integers(0, 1 + n // 8, n)]
    noise = rng.normal(0, spread, (n, CELLS)) + rng.integers(-20, 20, (n, 1))
    grey = np.unique(np.rint(base + noise).astype(np.uint8), axis=0)
    assert near(grey) == by_brute_force(grey)


def test_the_limit_belongs_to_it():
    grey = np.full((3, CELLS), 100, np.uint8)
    grey[1, ::2] += 2 * round(GREY_LEVELS)
    grey[2, ::2] += 2 * round(GREY_LEVELS) + 1
    assert near(grey) == [(0, 1, GREY_LEVELS), (1, 2, 0.5)]


def test_a_difference_that_is_all_in_one_low_frequency():
    wave = np.cos(np.pi * (np.arange(GREY_SIZE) + 0.5) / GREY_SIZE)
    grey = np.full((2, CELLS), 100)
    grey[1] += np.tile(np.rint(0.95 * GREY_LEVELS * math.sqrt(2) * wave).astype(int), GREY_SIZE)
    [(_, _, difference)] = near(grey.astype(np.uint8))
    assert 0.9 * GREY_LEVELS < difference <= GREY_LEVELS


@pytest.mark.slow
def test_the_number_of_comparisons_does_not_grow_with_the_square():
    n = 20_000
    coarse = np.random.default_rng(0).integers(0, 256, (n, 4, 4), dtype=np.uint8)
    pictures = coarse.repeat(4, axis=1).repeat(4, axis=2).reshape(n, CELLS)
    assert len(_candidates(pictures)) < n


def test_of_pictures_that_look_the_same_each_is_paired_with_the_first():
    grey = np.zeros((6, CELLS), np.uint8)
    grey[[1, 2, 5], ::2] = 60
    grey[4, ::2] = 120
    assert near(grey) == [(0, 3, 0), (1, 2, 0), (1, 5, 0)]


def test_kinds_and_the_first_of_several_copies():
    content = np.array([b"a", b"b", b"a", b"c", b"a", b"d"])
    pixels = np.array([b"A", b"B", b"A", b"A", b"A", b"D"])
    grey = np.zeros((6, CELLS), np.uint8)
    grey[1, ::2] = 60
    grey[5, ::2] = 2
    found = find_duplicates(content, pixels, grey)
    assert found == [
        Pair("bytes", 0, 2, 0),
        Pair("bytes", 0, 4, 0),
        Pair("pixels", 0, 3, 0),
        Pair("near", 0, 5, 1),
    ]
    assert groups_of(found, 6).tolist() == [0, 1, 0, 0, 0, 0]


def test_groups_join_chains():
    pairs = [Pair("near", 3, 4, 1), Pair("near", 0, 5, 1), Pair("near", 4, 5, 1)]
    assert groups_of(pairs, 7).tolist() == [0, 1, 2, 0, 0, 0, 6]
    assert groups_of([], 2).tolist() == [0, 1]


def altered(picture, how):
    buffer = io.BytesIO()
    if how == "smaller":
        picture = picture.resize((80, 80), Image.Resampling.BICUBIC)
    if how == "brighter":
        picture = picture.point(lambda v: min(255, v + 12))
    if how == "written on":
        ImageDraw.Draw(picture).text((4, 212), "(c) 2021", fill=(255, 255, 255))
    picture.save(buffer, "JPEG", quality=20 if how == "encoded again" else 60)
    return Image.open(buffer)


@pytest.mark.parametrize("how", ["encoded again", "smaller", "brighter", "written on"])
def test_altered_copies_are_found_and_other_faces_are_not(how):
    faces = [Image.fromarray(draw_face(0, "train", i, 224).image) for i in range(24)]
    copies = [altered(face.copy(), how) for face in faces]
    thumbnails = [grey_thumbnail(picture) for picture in (*faces, *copies)]
    found = near(np.array([np.frombuffer(thumbnail, np.uint8) for thumbnail in thumbnails]))
    assert {(a, b) for a, b, _ in found} == {(i, i + 24) for i in range(24)}
