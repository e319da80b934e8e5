"""Demo faces on disk: AffectNet's layout with its oddities, written once and completely."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import threading

import numpy as np
import pytest
from PIL import Image

from cage_lightning.demo.faces import draw_face, release, write_release
from cage_lightning.demo.faces.drawing import DRAWING_VERSION
from cage_lightning.errors import ConfigError, DataError
from tests.conftest import locked_elsewhere

COUNTS = {"train": 256, "val": 63}


@pytest.fixture(scope="module")
def tiny(demo_root):
    return demo_root / "demo_faces" / "tiny"


@pytest.fixture
def few(monkeypatch):
    """A size that is drawn in no time."""
    monkeypatch.setattr(release, "SIZES", {"few": release.Size(train=4, val=8, pixels=32)})
    return "few"


def table(root, split):
    path = root / "affectnet_annotations" / f"{split}_set_annotation_without_lnd.csv"
    return np.genfromtxt(path, delimiter=",", names=True)


def digest(root):
    paths = sorted(path for path in root.rglob("*") if path.is_file())
    parts = [f"{path.relative_to(root)}".encode() + path.read_bytes() for path in paths]
    return hashlib.sha256(b"".join(parts)).hexdigest()


@pytest.mark.parametrize("split", COUNTS)
def test_every_row_has_a_picture_and_four_arrays(tiny, split):
    rows = table(tiny, split)
    assert rows.dtype.names == ("number", "exp", "val", "aro")
    assert len(rows) == COUNTS[split]
    numbers = {str(int(number)) for number in rows["number"]}
    folder = tiny / f"{split}_set"
    assert {path.name for path in (folder / "images").iterdir()} == {f"{n}.jpg" for n in numbers}
    names = {f"{n}_{kind}.npy" for n in numbers for kind in ("exp", "val", "aro", "lnd")}
    assert {path.name for path in (folder / "annotations").iterdir()} == names


@pytest.mark.parametrize("split", COUNTS)
def test_both_sources_give_the_same_labels(tiny, split):
    rows = table(tiny, split)
    for kind in ("exp", "val", "aro"):
        arrays = [
            np.load(tiny / f"{split}_set" / "annotations" / f"{int(number)}_{kind}.npy")
            for number in rows["number"]
        ]
        assert {(array.shape, array.dtype.kind) for array in arrays} == {((), "U")}
        np.testing.assert_array_equal([float(array) for array in arrays], rows[kind])


def test_ids_have_gaps_and_repeat_between_the_splits(tiny):
    ids = {split: table(tiny, split)["number"] for split in COUNTS}
    for numbers in ids.values():
        assert numbers[0] == 0
        assert (np.diff(numbers) >= 1).all()
        assert (np.diff(numbers) > 1).any()
    assert len(np.intersect1d(ids["train"], ids["val"])) > 10


def test_one_contempt_is_missing_in_val(tiny):
    counts = np.bincount(table(tiny, "val")["exp"].astype(int), minlength=8)
    assert counts.tolist() == [8] * 7 + [7]


@pytest.mark.parametrize("split", COUNTS)
def test_a_row_is_the_drawn_face(tiny, split):
    rows = table(tiny, split)
    for index in (0, 1, len(rows) - 1):
        face = draw_face(0, split, index, 32)
        assert rows[index].tolist()[1:] == (face.category, face.valence, face.arousal)
        number, folder = int(rows["number"][index]), tiny / f"{split}_set"
        encoded = io.BytesIO()
        Image.fromarray(face.image).save(encoded, "JPEG", quality=face.jpeg_quality)
        assert (folder / "images" / f"{number}.jpg").read_bytes() == encoded.getvalue()
        landmarks = np.load(folder / "annotations" / f"{number}_lnd.npy")
        np.testing.assert_array_equal(landmarks, face.landmarks.ravel())
        assert landmarks.dtype == np.float64


@pytest.mark.slow
def test_several_processes_write_the_same_bytes_as_one(tiny, tmp_path):
    write_release(tmp_path / "again", "tiny", workers=2)
    assert digest(tmp_path / "again") == digest(tiny)


def test_a_complete_release_is_left_alone(few, tmp_path, monkeypatch):
    root = tmp_path / "faces"
    write_release(root, few)
    monkeypatch.setattr(release, "draw_face", None)
    write_release(root, few)
    assert json.loads((root / "release.json").read_text())["size"] == few


def test_a_release_of_another_kind_is_refused(few, tmp_path, monkeypatch):
    root = tmp_path / "faces"
    write_release(root, few)
    before = digest(root)
    with pytest.raises(DataError, match=r"faces holds demo faces .*'seed': 0.* delete it"):
        write_release(root, few, seed=1)
    monkeypatch.setattr(release, "DRAWING_VERSION", DRAWING_VERSION + 1)
    with pytest.raises(DataError, match="drawing_version"):
        write_release(root, few)
    assert digest(root) == before


@pytest.mark.parametrize("name", ["notes.txt", "release.json"])
def test_a_folder_of_something_else_is_refused(few, tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(DataError, match="holds no demo faces"):
        write_release(tmp_path, few)
    assert (tmp_path / name).read_text() == "mine"


def test_an_empty_folder_is_used(few, tmp_path):
    root = tmp_path / "faces"
    root.mkdir()
    write_release(root, few)
    assert (root / "release.json").exists()


def test_an_unknown_size_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"'huge'.*tiny"):
        write_release(tmp_path / "faces", "huge")


def test_an_interrupted_run_leaves_no_release_and_the_next_one_clears_up(
    few, tmp_path, monkeypatch
):
    root = tmp_path / "faces"

    def interrupted(seed, split, index, pixels):
        if split == "val":
            raise KeyboardInterrupt
        return draw_face(seed, split, index, pixels)

    with monkeypatch.context() as patch:
        patch.setattr(release, "draw_face", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_release(root, few)
    assert not root.exists()
    assert list(tmp_path.glob("faces.partial-*"))

    killed = tmp_path / "faces.partial-1" / "val_set" / "images"
    killed.mkdir(parents=True)
    (killed / "0.jpg").write_bytes(b"half a pict")
    write_release(root, few)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faces", "faces.lock"]
    write_release(tmp_path / "undisturbed", few)
    assert digest(root) == digest(tmp_path / "undisturbed")


def test_who_comes_second_waits_and_uses_what_the_first_drew(few, tmp_path, monkeypatch):
    write_release(tmp_path / "elsewhere", few)
    root, waiting = tmp_path / "faces", threading.Event()
    real_lockf = fcntl.lockf

    def lockf(file, operation):
        waiting.set()
        real_lockf(file, operation)

    with locked_elsewhere(tmp_path / "faces.lock"):
        monkeypatch.setattr(fcntl, "lockf", lockf)
        monkeypatch.setattr(release, "draw_face", None)  # drawing again would fail
        errors = []

        def second_process():
            try:
                write_release(root, few)
            except BaseException as error:
                errors.append(error)

        second = threading.Thread(target=second_process)
        second.start()
        assert waiting.wait(timeout=30)
        assert not root.exists()
        (tmp_path / "elsewhere").rename(root)
    second.join(timeout=30)
    assert not second.is_alive()
    assert not errors
