from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from cage_lightning.data import duplicates
from cage_lightning.data.demo_faces import draw_face
from cage_lightning.data.duplicates import (
    GREY_LEVELS,
    GREY_SIZE,
    HASH_BITS,
    Pair,
    find_duplicates,
    grey_thumbnails,
    groups_of,
)

SAME_GREY = np.zeros(GREY_SIZE**2, np.uint8)


def near(hashes, grey=None):
    """The near pairs of pictures that are all different; with the same grey picture by default."""
    n = len(hashes)
    grey = np.tile(SAME_GREY, (n, 1)) if grey is None else grey
    names = np.array([hashlib.sha256(bytes([*i.to_bytes(4, "big")])).digest() for i in range(n)])
    found = find_duplicates(names, names, np.asarray(hashes, np.uint64), grey)
    assert {pair.kind for pair in found} <= {"near"}
    return [(pair.first, pair.second) for pair in found]


def by_brute_force(hashes):
    values = [int(value) for value in hashes]
    return [
        (i, j)
        for i in range(len(values))
        for j in range(i + 1, len(values))
        if (values[i] ^ values[j]).bit_count() <= HASH_BITS
    ]


def clustered(n, seed):
    """Different hashes, many of them close to each other."""
    rng = np.random.default_rng(seed)
    hashes = rng.choice(rng.integers(0, 2**64, 1 + n // 8, dtype=np.uint64), n)
    for _ in range(HASH_BITS + 2):
        hashes ^= np.uint64(1) << rng.integers(0, 64, n).astype(np.uint64)
    return rng.permutation(np.unique(hashes))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 120), st.integers(0, 2**32), st.sampled_from([4, 16, 1_024]))
def test_near_hashes_are_those_of_a_comparison_of_all(n, seed, directly):
    hashes = clustered(n, seed) if n else np.empty(0, np.uint64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "_DIRECTLY", directly)
        assert near(hashes) == by_brute_force(hashes)


def test_many_pictures_with_a_part_of_the_hash_in_common(monkeypatch):
    monkeypatch.setattr(duplicates, "_DIRECTLY", 16)
    monkeypatch.setattr(duplicates, "_AT_ONCE", 64)
    rng = np.random.default_rng(0)
    hashes = rng.permutation(np.unique(rng.integers(0, 2**20, 700, dtype=np.uint64)))
    assert near(hashes) == by_brute_force(hashes)


def test_the_number_of_comparisons_does_not_grow_with_the_square(monkeypatch):
    compared = []
    bitwise_count = np.bitwise_count

    def count(values):
        compared.append(values.size)
        return bitwise_count(values)

    monkeypatch.setattr(np, "bitwise_count", count)
    n = 20_000
    hashes = np.random.default_rng(0).integers(0, 2**64, n, dtype=np.uint64)
    near(hashes)
    assert sum(compared) < n**2 / 50


def test_close_hashes_of_pictures_that_differ_are_no_duplicates():
    grey = np.tile(SAME_GREY, (3, 1))
    grey[1] += 80  # only brighter
    grey[2, ::2] += round(3 * GREY_LEVELS)
    assert near([1, 3, 7], grey) == [(0, 1)]


def test_of_pictures_with_one_hash_all_that_look_alike_are_found():
    looks = np.array([0, 1, 1, 0, 2, 1])
    grey = np.zeros((6, GREY_SIZE**2), np.uint8)
    grey[:, ::2] = 60 * looks[:, None]
    assert near([5] * 6, grey) == [(0, 3), (1, 2), (1, 5)]
    # And the second of them is still compared with others.
    assert near([5, 5, 7], grey[[0, 1, 2]]) == [(1, 2)]


def test_kinds_and_the_first_of_several_copies():
    content = np.array([b"a", b"b", b"a", b"c", b"a", b"d"])
    pixels = np.array([b"A", b"B", b"A", b"A", b"A", b"D"])
    hashes = np.array([0, 2**60 - 1, 0, 0, 0, 1], np.uint64)
    found = find_duplicates(content, pixels, hashes, np.tile(SAME_GREY, (6, 1)))
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


def face(index):
    return Image.fromarray(draw_face(0, "train", index, 128).image)


def altered(picture, how):
    buffer = io.BytesIO()
    if how == "smaller":
        picture = picture.resize((80, 80), Image.Resampling.BICUBIC)
    if how == "brighter":
        picture = picture.point(lambda v: min(255, v + 12))
    if how == "written on":
        ImageDraw.Draw(picture).text((4, 116), "(c) 2021", fill=(255, 255, 255))
    picture.save(buffer, "JPEG", quality=60)
    return Image.open(buffer)


@pytest.mark.parametrize("how", ["encoded again", "smaller", "brighter", "written on"])
def test_altered_copies_are_found_and_other_faces_are_not(how):
    faces = [face(i) for i in range(24)]
    copies = [altered(face(i), how) for i in range(24)]
    thumbnails = [grey_thumbnails(picture) for picture in (*faces, *copies)]
    hashes = [value for value, _ in thumbnails]
    grey = np.array([np.frombuffer(picture, np.uint8) for _, picture in thumbnails])
    found = near(hashes, grey)
    assert set(found) <= {(i, i + 24) for i in range(24)}
    assert len(found) >= (16 if how == "written on" else 23)


def test_the_difference_hash_is_that_of_its_definition():
    picture = face(3)
    small = picture.convert("L").resize((9, 8), Image.Resampling.BILINEAR)
    bits = "".join(
        "1" if small.getpixel((x + 1, y)) > small.getpixel((x, y)) else "0"
        for y in range(8)
        for x in range(8)
    )
    value, grey = grey_thumbnails(picture)
    assert value == int(bits, 2)
    assert len(grey) == GREY_SIZE**2
