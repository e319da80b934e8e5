"""What a person meets who has AffectNet, with something wrong in it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.affectnet_layouts import copy_faces
from tests.conftest import TINY, Command

SETTINGS = ("data=affectnet8", "data.root=affectnet", *TINY[2:])


@pytest.fixture
def release(tmp_path: Path, demo_root: Path) -> Path:
    """The drawn faces as a copy of the real release's layout, without our marks."""
    place = tmp_path / "affectnet"
    copy_faces(demo_root, place)
    (place / "release.json").unlink()
    shutil.rmtree(place / "affectnet_annotations")
    return place


def picture(release: Path) -> Path:
    return sorted((release / "train_set/images").iterdir())[5]


def label(release: Path, suffix: str) -> Path:
    return release / f"train_set/annotations/{picture(release).stem}_{suffix}.npy"


def write_label(release: Path, suffix: str, value: str) -> str:
    file = label(release, suffix)
    file.unlink()
    np.save(file, np.array(value))
    return file.name


def missing_picture(release: Path) -> str:
    name = picture(release).name
    picture(release).unlink()
    return name


def truncated_picture(release: Path) -> str:
    file = picture(release)
    file.write_bytes(file.read_bytes()[:300])
    return file.name


def label_that_is_no_number(release: Path) -> str:
    return write_label(release, "val", "much")


def category_out_of_range(release: Path) -> str:
    return write_label(release, "exp", "11")


def valence_out_of_range(release: Path) -> str:
    return write_label(release, "val", "1.5")


FAULTS = (
    missing_picture,
    truncated_picture,
    label_that_is_no_number,
    category_out_of_range,
    valence_out_of_range,
)


@pytest.mark.slow
def test_the_real_layout_trains(command: Command, tmp_path: Path, release: Path) -> None:
    command("train", *SETTINGS)
    assert (tmp_path / "runs/default/affectnet8-tiny-combined-s0/metrics.json").is_file()


# Annotations are read before a worker process starts; pictures are decoded in one.
@pytest.mark.parametrize(
    ("fault", "workers"), [*((fault, 0) for fault in FAULTS), (truncated_picture, 1)]
)
def test_a_fault_is_named(
    command: Command, tmp_path: Path, release: Path, fault, workers: int
) -> None:
    name = fault(release)
    done = command("train", *SETTINGS, f"data.num_workers={workers}", check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert name in done.stderr
    assert done.stderr.count("error: ") == 1
    assert not list(tmp_path.rglob("metrics.json"))


@pytest.mark.slow
def test_skip_leaves_out_and_counts(command: Command, tmp_path: Path, release: Path) -> None:
    missing_picture(release)
    truncated_picture(release)
    command("train", *SETTINGS, "data.on_error=skip")
    (file,) = tmp_path.rglob("metrics.json")
    left_out = json.loads(file.read_text())["meta"]["data"]["train"]["left_out"]
    assert left_out["missing picture"] == 1
    assert left_out["broken picture"] == 1
