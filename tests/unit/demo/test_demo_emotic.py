"""Demo EMOTIC: labels as in EMOTIC, scenes that show them, the release's layout and oddities."""

from __future__ import annotations

import csv
import hashlib
import json

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat

from cage_lightning.data.readers.emotic import read_emotic
from cage_lightning.demo.emotic import SIZES, draw_scene, release, write_release
from cage_lightning.demo.emotic.drawing import DRAWING_VERSION, Posture, expression
from cage_lightning.demo.emotic.labels import (
    ANNOTATORS,
    LATENT_MEAN,
    LATENT_SD,
    category_probability,
    draw_person,
)
from cage_lightning.errors import ConfigError, DataError
from cage_lightning.labels import EMOTIC

SPLITS = ("train", "val", "test")


@pytest.fixture(scope="module")
def tiny(demo_persons):
    return demo_persons


@pytest.fixture(scope="module")
def scenes():
    """Four hundred of them, to count and to learn from."""
    return [draw_scene(0, "train", index) for index in range(400)]


@pytest.fixture(scope="module", name="annotations")
def annotations_of_the_release(tiny):
    return loadmat(tiny / "Annotations" / "Annotations.mat", struct_as_record=False)


@pytest.fixture(scope="module")
def crowd():
    """Five thousand persons of a split with one annotator."""
    rng = np.random.default_rng(0)
    return [draw_person(rng, "train") for _ in range(5_000)]


def digest(root):
    paths = sorted(path for path in root.rglob("*") if path.is_file())
    parts = [f"{path.relative_to(root)}".encode() + path.read_bytes() for path in paths]
    return hashlib.sha256(b"".join(parts)).hexdigest()


# --- labels ---------------------------------------------------------------------------------------


def test_latent_affect_has_the_stated_distribution(crowd):
    latent = np.array([person.latent for person in crowd])
    np.testing.assert_allclose(latent.mean(axis=0), [5.9, 5.7, 6.3], atol=0.07)
    np.testing.assert_allclose(latent.std(axis=0), [1.2, 1.5, 1.2], atol=0.05)
    correlation = np.corrcoef(latent.T)[[0, 0, 1], [1, 2, 2]]
    np.testing.assert_allclose(correlation, [0.08, 0.30, 0.30], atol=0.04)


def test_categories_follow_base_rate_and_affect():
    # Test split of EMOTIC: persons of each category among 7,280; average affect 5.82, 5.71, 6.37.
    average = category_probability(np.array([5.82, 5.71, 6.37]))
    for name, persons in (("Affection", 977), ("Engagement", 5631), ("Yearning", 471)):
        assert average[EMOTIC.categories.index(name)] == pytest.approx(persons / 7280)
    change = category_probability(np.array([3.0, 5.71, 6.37])) / average
    assert change[EMOTIC.categories.index("Sadness")] > 4
    assert change[EMOTIC.categories.index("Happiness")] < 0.5


def test_what_an_annotator_says(crowd):
    reports = [report for person in crowd for report in person.reports]
    counts = np.array([len(report.categories) for report in reports])
    assert counts.min() == 1
    assert (counts <= 3).mean() > 0.7  # one annotator names few categories
    affect = np.array([report.affect for report in reports])
    unrated = np.isnan(affect)
    assert (unrated.any(axis=1) == unrated.all(axis=1)).all()
    assert 0.013 < unrated.any(axis=1).mean() < 0.027
    rated = affect[~unrated.any(axis=1)]
    assert set(rated.ravel()) <= set(range(1, 11))
    latent = np.array([person.latent for person in crowd])[~unrated.any(axis=1)]
    for d in range(3):
        assert np.corrcoef(rated[:, d], latent[:, d])[0, 1] > 0.85


@pytest.mark.parametrize("split", SPLITS)
def test_annotators_are_united(split):
    rng = np.random.default_rng(1)
    for _ in range(50):
        person = draw_person(rng, split)
        assert len(person.reports) == {"train": 1, "val": 5, "test": 3}[split]
        assert set(person.categories) == set().union(*(r.categories for r in person.reports))
        means = np.mean([report.affect for report in person.reports], axis=0)
        np.testing.assert_array_equal(person.affect, np.rint(means))
    required = [draw_person(rng, split, required=10) for _ in range(20)]
    assert all(10 in person.reports[0].categories for person in required)


# --- scenes ---------------------------------------------------------------------------------------


def test_a_scene_depends_on_its_number_only():
    alone = draw_scene(3, "val", 17)
    for index in (16, 18):
        draw_scene(3, "val", index)
    again = draw_scene(3, "val", 17)
    np.testing.assert_array_equal(alone.image, again.image)
    assert alone.boxes == again.boxes
    assert alone.persons[0].reports == again.persons[0].reports
    for other in (draw_scene(4, "val", 17), draw_scene(3, "test", 17)):
        assert other.image.shape != alone.image.shape or (other.image != alone.image).any()


def test_an_unknown_split_is_named():
    with pytest.raises(ConfigError, match=r"'valid'.*train"):
        draw_scene(0, "valid", 0)


@pytest.mark.slow
def test_pictures_persons_and_boxes(scenes):
    shapes, counts, overhanging = [], [], 0
    for scene in scenes:
        height, width = scene.image.shape[:2]
        assert scene.image.dtype == np.uint8
        assert len(scene.boxes) == len(scene.persons)
        assert 70 <= scene.jpeg_quality <= 95
        for left, top, right, bottom in scene.boxes:
            overhanging += left < 0 or right > width
            assert min(right, width) - max(left, 0) >= 10
            assert 0 <= top < bottom - 20 <= height - 20
        shapes.append(scene.image.shape)
        counts.append(len(scene.persons))
    shares = np.bincount(counts, minlength=6)[1:] / len(counts)
    np.testing.assert_allclose(shares, [0.62, 0.25, 0.08, 0.03, 0.02], atol=0.06)
    assert 0.002 < overhanging / sum(counts) < 0.025
    assert 0.005 < np.mean([len(shape) == 2 for shape in shapes]) < 0.05  # greyscale
    assert any(shape[0] > shape[1] for shape in shapes)
    assert any(shape[0] < shape[1] for shape in shapes)


def test_affect_shows_in_face_and_body():
    steps = np.linspace(-2.5, 2.5, 11)
    faces = [[expression(z * direction) for z in steps] for direction in np.eye(3)]
    assert (np.diff([face.smile for face in faces[0]]) > 0).all()
    assert (np.diff([face.eye for face in faces[1]]) > 0).all()
    assert (np.diff([face.pitch for face in faces[2]]) > 0).all()
    moved, stood = ([Posture.of(*a) for a in steps[:, None] * axis] for axis in ((1, 0), (0, 1)))
    for name in ("stance", "bend", "strokes"):
        values = [getattr(posture, name) for posture in moved]
        assert (np.diff(values) >= 0).all()
        assert values[-1] > values[0]
    for name in ("shoulder", "hip", "spread"):
        values = [getattr(posture, name) for posture in stood]
        assert (np.diff(values) >= 0).all()
        assert values[-1] > values[0]


@pytest.mark.slow
def test_affect_can_be_learned_from_the_boxes(scenes):
    inputs, targets = [], []
    for scene in scenes:
        picture = Image.fromarray(scene.image).convert("RGB")
        for person, (left, top, right, bottom) in zip(scene.persons, scene.boxes, strict=True):
            box = (max(left, 0), top, min(right, picture.width), bottom)
            pixels = np.asarray(picture.crop(box).resize((12, 12), Image.Resampling.BOX))
            shape = (box[2] - box[0]) / (box[3] - box[1])
            inputs.append([*(pixels.ravel() / 255 - 0.5), shape, 1])
            targets.append((person.latent - LATENT_MEAN) / LATENT_SD)
    x, y = np.array(inputs), np.array(targets)
    half = 2 * len(x) // 3
    weights = np.linalg.solve(
        x[:half].T @ x[:half] + 20 * np.eye(x.shape[1]), x[:half].T @ y[:half]
    )
    predicted = x[half:] @ weights
    learned = [np.corrcoef(predicted[:, d], y[half:, d])[0, 1] for d in range(3)]
    assert min(learned) > 0.35, learned


# --- the release on disk --------------------------------------------------------------------------


def test_the_layout(tiny):
    assert sorted(path.name for path in tiny.iterdir()) == [
        "Annotations",
        "emotic",
        "emotic_pre",
        "release.json",
    ]
    databases = {path.name for path in (tiny / "emotic").iterdir()}
    assert databases == {"mscoco", "framesdb", "emodb_small", "ade20k"}
    assert len(list((tiny / "emotic").rglob("*.jpg"))) == sum(SIZES["tiny"])
    assert {path.name for path in (tiny / "emotic_pre").iterdir()} == {f"{s}.csv" for s in SPLITS}


@pytest.mark.parametrize("split", SPLITS)
def test_structs_have_the_fields_of_the_release_in_their_order(annotations, split):
    pictures = annotations[split]
    assert pictures.shape == (1, getattr(SIZES["tiny"], split))
    own = ["annotations_categories", "annotations_continuous"]
    combined = ["combined_categories", "combined_continuous"]
    labels = own if split == "train" else [own[0], combined[0], own[1], combined[1]]
    for picture in pictures[0]:
        assert picture._fieldnames == [
            "filename",
            "folder",
            "image_size",
            "original_database",
            "person",
        ]
        assert picture.image_size[0, 0]._fieldnames == ["n_col", "n_row"]
        for person in picture.person[0]:
            assert person._fieldnames == ["body_bbox", *labels, "gender", "age"]
            assert person.body_bbox.shape == (1, 4)
            assert person.annotations_continuous.shape == (1, ANNOTATORS[split])


@pytest.mark.parametrize("split", SPLITS)
def test_sizes_are_those_of_the_pictures(tiny, annotations, split):
    for entry in annotations[split][0]:
        with Image.open(tiny / "emotic" / entry.folder[0] / entry.filename[0]) as picture:
            size = entry.image_size[0, 0]
            assert picture.size == (size.n_col[0, 0], size.n_row[0, 0])


@pytest.mark.parametrize("split", SPLITS)
def test_the_csv_is_what_the_converter_makes_of_it(tiny, split):
    with (tiny / "emotic_pre" / f"{split}.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert ",".join(header) == (
        "Index,Folder,Filename,Image Size,BBox,Categorical_Labels,Continuous_Labels,Gender,Age"
    )
    assert [row[0] for row in rows] == [str(i) for i in range(len(rows))]
    tables = [read_emotic(tiny, split, release=name) for name in ("mat", "csv")]
    assert len(tables[0]) == len(rows)
    assert tables[0].id.tolist() == tables[1].id.tolist()
    assert tables[0].fingerprint() == tables[1].fingerprint()
    for name, column in tables[0].extra.items():
        np.testing.assert_array_equal(column, tables[1].extra[name])


def test_the_oddities(tiny):
    train, val, test = (read_emotic(tiny, split) for split in SPLITS)
    assert train.left_out == {"no valence, arousal or dominance": 3}
    assert val.left_out == {}
    assert test.left_out == {"no category": 1}
    everybody = read_emotic(tiny, "train", drop_invalid=False)
    assert len(everybody) == len(train) + 3
    assert np.isnan(everybody.affect).any(axis=1).sum() == 3
    assert train.category.sum(axis=1).mean() < test.category.sum(axis=1).mean()
    assert test.category.sum(axis=1).mean() < val.category.sum(axis=1).mean()


@pytest.mark.parametrize("split", SPLITS)
def test_every_category_occurs_in_every_split(tiny, split):
    assert read_emotic(tiny, split).class_counts().min() >= 1


@pytest.mark.slow
def test_several_processes_write_the_same_bytes_as_one(tiny, tmp_path):
    write_release(tmp_path / "again", "tiny", workers=2)
    assert digest(tmp_path / "again") == digest(tiny)


def test_a_complete_release_is_left_alone_and_another_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(release, "SIZES", {"few": release.Size(train=2, val=1, test=1)})
    write_release(tmp_path / "few", "few")
    monkeypatch.setattr(release, "draw_scene", None)  # drawing again would fail
    write_release(tmp_path / "few", "few")
    written = json.loads((tmp_path / "few" / "release.json").read_text())
    assert written == {"size": "few", "seed": 0, "drawing_version": DRAWING_VERSION}
    with pytest.raises(DataError, match=r"few holds demo EMOTIC .*'seed': 0.* delete it"):
        write_release(tmp_path / "few", "few", seed=1)


def test_an_unknown_size_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"'huge'.*tiny"):
        write_release(tmp_path / "scenes", "huge")
