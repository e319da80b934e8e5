"""Demo faces: labels as in AffectNet, pictures that show them, determinism."""

from __future__ import annotations

import numpy as np
import pytest

from cage_lightning.affectnet_statistics import AFFECTNET_TRAINING
from cage_lightning.demo.faces import SIZES, draw_face
from cage_lightning.demo.faces.geometry import Identity, Pose, lips
from cage_lightning.demo.faces.labels import (
    ActionUnits,
    draw_action_units,
    draw_affect,
    draw_label,
    sample_generator,
)
from cage_lightning.errors import ConfigError

# AffectNet, training split: standard deviation of valence and arousal per category.
DEVIATIONS = np.array(
    [
        [0.1853, 0.1484],
        [0.1622, 0.1656],
        [0.2211, 0.1419],
        [0.1741, 0.1573],
        [0.0710, 0.1366],
        [0.1519, 0.1109],
        [0.1740, 0.1980],
        [0.1893, 0.1237],
    ]
)
SAMPLES, *MEANS = np.array(list(AFFECTNET_TRAINING.values())).T


@pytest.fixture(scope="module", params=["train", "val"])
def sampled(request):
    """Split, labels [N, 3] and action units [N, 15] of a split's first samples."""
    labels, units = [], []
    for index in range(8_000):
        rng = sample_generator(0, request.param, index)
        label = draw_label(rng, request.param, index)
        labels.append(label)
        units.append(draw_action_units(rng, label))
    return request.param, np.array(labels), np.array(units)


@pytest.mark.parametrize("category", range(8))
def test_affect_of_a_category_has_affectnets_mean_and_deviation(category):
    rng = np.random.default_rng(0)
    drawn = np.array([draw_affect(rng, category) for _ in range(5_000)])
    np.testing.assert_allclose(drawn.mean(axis=0), np.array(MEANS)[:, category], atol=0.02)
    np.testing.assert_allclose(drawn.std(axis=0), DEVIATIONS[category], atol=0.02)
    assert np.hypot(*drawn.T).max() <= 1


def test_shares_of_the_categories(sampled):
    split, labels, _ = sampled
    shares = np.bincount(labels[:, 0].astype(int), minlength=8) / len(labels)
    if split == "train":
        np.testing.assert_allclose(shares, SAMPLES / SAMPLES.sum(), atol=0.02)
    else:
        np.testing.assert_array_equal(shares, 1 / 8)


def test_an_oracle_of_the_category_leaves_the_known_error(sampled):
    split, labels, _ = sampled
    category, affect = labels[:, 0].astype(int), labels[:, 1:]
    means = np.stack([affect[category == k].mean(axis=0) for k in range(8)])
    rmse = np.sqrt(((affect - means[category]) ** 2).mean(axis=0))
    expected = {"train": (0.174, 0.159), "val": (0.168, 0.148)}[split]
    np.testing.assert_allclose(rmse, expected, atol=0.006)


def test_action_units_follow_valence_and_arousal(sampled):
    split, labels, units = sampled
    units = ActionUnits(*units.T)
    _, valence, arousal = labels.T
    expected = {"train": (0.97, 0.75, 0.66, 0.83), "val": (0.89, 0.62, 0.60, 0.33)}[split]
    pairs = ((units.smile, valence), (units.eye, arousal), (units.open, arousal))
    got = [np.corrcoef(a, b)[0, 1] for a, b in (*pairs, (units.cheek, valence))]
    assert got[0] > 0.6
    assert got[1] > 0.4
    np.testing.assert_allclose(got, expected, atol=0.03)


def test_a_sample_depends_on_its_number_only():
    alone = draw_face(3, "train", 17, 32)
    for index in (16, 17, 18):
        draw_face(3, "train", index, 64)
    again = draw_face(3, "train", 17, 32)
    np.testing.assert_array_equal(alone.image, again.image)
    np.testing.assert_array_equal(alone.landmarks, again.landmarks)
    others = [draw_face(4, "train", 17, 32), draw_face(3, "val", 17, 32)]
    assert all((alone.image != other.image).any() for other in others)


def test_the_label_does_not_depend_on_size_or_nuisance():
    labels = {draw_face(0, "val", 5, p, h)[1:4] for p, h in ((32, 0), (32, 1), (112, 0.5))}
    assert len(labels) == 1


@pytest.mark.parametrize("pixels", sorted({size.pixels for size in SIZES.values()}))
def test_what_a_face_holds(pixels):
    for index in range(24):
        face = draw_face(0, "val", index, pixels)
        assert face.image.shape == (pixels, pixels, 3)
        assert face.image.dtype == np.uint8
        assert face.category == index % 8
        assert np.hypot(face.valence, face.arousal) <= 1
        assert 60 <= face.jpeg_quality <= 95


def test_landmarks_lie_in_the_picture_however_hard():
    for index in range(200):
        face = draw_face(1, "train", index, 32)
        assert face.landmarks.shape == (68, 2)
        assert face.landmarks.min() > 0
        assert face.landmarks.max() < 32


def test_landmarks_come_in_ibug_order():
    for index in range(32):
        x, y = draw_face(2, "val", index, 128, hard=0).landmarks.T
        for ascending in (x[0:17], x[17:22], x[22:27], y[27:31], x[31:36], x[48:55], x[60:65]):
            assert (np.diff(ascending) > 0).all()
        for descending in (x[54:60], x[64:68]):
            assert (np.diff(descending) < 0).all()
        assert y[8] == y.max()  # chin
        for corner in (36, 42):  # corner, two above, corner, two below
            upper, lower = y[[corner + 1, corner + 2]], y[[corner + 4, corner + 5]]
            assert x[corner] < x[corner + 3]
            assert upper.max() < y[corner] < lower.min()
        assert x[39] < x[27] < x[42]
        assert (y[61:64] <= y[[67, 66, 65]]).all()


def test_landmarks_match_the_picture():
    """Half way between the inner lips of an open mouth without teeth lies the dark cavity."""
    seen = 0
    for index in range(3, 400, 8):  # surprise
        face = draw_face(0, "val", index, 128, hard=0)
        upper, lower = face.landmarks[62], face.landmarks[66]
        if lower[1] - upper[1] > 10:
            x, y = (0.25 * upper + 0.75 * lower).round().astype(int)
            np.testing.assert_allclose(face.image[y, x], (70, 15, 20), atol=2)
            seen += 1
    assert seen > 20


def test_without_nuisance_the_background_is_plain_and_the_head_upright():
    for index in range(16):
        face = draw_face(0, "train", index, 64, hard=0)
        np.testing.assert_array_equal(face.image[[0, 0, -1, -1], [0, -1, 0, -1]], 128)
        left, right = face.landmarks[:17], face.landmarks[16::-1]
        np.testing.assert_allclose(left[:, 0] + right[:, 0], 64, atol=1e-9)


@pytest.mark.parametrize("smirk_side", [-1, 1])
def test_action_units_move_the_corners_of_the_mouth(smirk_side):
    person = Identity(80, 100, 30, 13, 5, 28, 25, smirk_side)
    calm = ActionUnits(*[0.0] * len(ActionUnits._fields))
    ends = np.array([-1.0, 0.0, 1.0])
    left, middle, right = lips(person, calm._replace(smile=0.8), ends).upper[:, 1]
    assert left == right < middle  # y points down
    left, middle, right = lips(person, calm._replace(asym=0.8), ends).upper[:, 1]
    assert (left < right) == (smirk_side == -1)
    assert min(left, right) < middle == max(left, right)
    opened = lips(person, calm._replace(open=1.0), ends)
    np.testing.assert_allclose((opened.lower - opened.upper)[:, 1], [0, 26 + 9, 0])


def test_a_frontal_head_is_rotated_scaled_and_shifted():
    pose = Pose(0.0, 0.0, roll=0.3, scale=1.1, shift=(5.0, -2.0), head_width=80, head_height=100)
    points = np.random.default_rng(0).uniform(-80, 80, (20, 2))
    expected = (points @ (1, 1j)) * 1.1 * np.exp(0.3j) + (133 + 126j)
    np.testing.assert_allclose(pose.place(points) @ (1, 1j), expected)


def test_a_turned_head_moves_its_middle_more_than_its_rim():
    pose = Pose(0.5, 0.2, roll=0.0, scale=1.0, shift=(0.0, 0.0), head_width=80, head_height=100)
    middle, rim, chin = pose.place(np.array([[0.0, 0.0], [80.0, 0.0], [0.0, 100.0]])) - 128
    np.testing.assert_allclose(middle, [17, -6])
    np.testing.assert_allclose(rim, [80 * np.cos(0.45) + 17 * 0.4, -6])
    np.testing.assert_allclose(chin, [17, 100 - 3])


@pytest.mark.parametrize(
    ("split", "hard", "message"), [("test", 1.0, "test"), ("val", 1.5, "hard=1.5")]
)
def test_wrong_arguments_are_named(split, hard, message):
    with pytest.raises(ConfigError, match=message):
        draw_face(0, split, 0, 32, hard)
