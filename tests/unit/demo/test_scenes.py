"""Drawn scenes: the faces lie where their boxes say."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cage_lightning.demo import scenes
from cage_lightning.demo.scenes import Scene, draw_film, draw_scene, write_scenes
from cage_lightning.errors import ConfigError


@pytest.fixture(scope="module")
def drawn() -> list[Scene]:
    return [draw_scene(index) for index in range(4)]


def test_the_same_seed_draws_the_same(drawn: list[Scene]) -> None:
    again, other = draw_scene(1), draw_scene(1, seed=1)
    np.testing.assert_array_equal(again.image, drawn[1].image)
    assert (again.boxes, other.boxes) == (drawn[1].boxes, drawn[1].boxes)
    assert (other.image != again.image).any()


def test_faces_of_every_size_on_light_and_dark(drawn: list[Scene]) -> None:
    assert [len(scene.boxes) for scene in drawn] == [5, 3, 1, 0]
    assert {scene.image.shape for scene in drawn} == {(720, 1280, 3)}
    widths = [box[2] - box[0] for scene in drawn for box in scene.boxes]
    assert (min(widths), max(widths)) == (64, 589)
    light, dark = (np.median(drawn[n].image) for n in (0, 1))
    assert dark < 60 < 150 < light


def test_a_face_fills_its_box(drawn: list[Scene], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "draw_head", lambda *_: None)
    for index, scene in enumerate(drawn):
        changed = (draw_scene(index).image != scene.image).any(axis=-1)
        for left, top, right, bottom in scene.boxes:
            face = changed[top:bottom, left:right]
            assert 0.3 < face.mean() < 0.7
            assert face.any(axis=0).mean() > 0.5
            assert face.any(axis=1).mean() > 0.7
            changed[top:bottom, left:right] = False
        assert not changed.any()


def test_the_faces_of_the_film_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "FRAMES", 8)
    frames = list(draw_film())
    assert [len(frame.boxes) for frame in frames] == [1, 1, 2, 2, 2, 2, 2, 2]
    assert [frames[n].categories for n in (0, 2, 7)] == [(2,), (2, 0), (1, 3)]
    left, top, right, bottom = frames[0].boxes[0]
    first = frames[0].image[top:bottom, left:right]
    left, top, *_ = frames[-1].boxes[0]
    last = frames[-1].image[top : top + len(first), left : left + len(first)]
    assert (first != last).any(axis=-1).mean() > 0.02


def test_what_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[Path, int]] = []
    monkeypatch.setattr(
        scenes, "_write_film", lambda path, frames: written.append((path, len(frames)))
    )
    monkeypatch.setattr(scenes, "FRAMES", 4)
    write_scenes(tmp_path / "drawn")
    (film, frames), *none = written
    assert (film.name, frames, none) == ("film.mp4", 4, [])
    with (tmp_path / "drawn" / "boxes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert Counter(row["file"] for row in rows) == {
        **{"scenes/scene0.png": 5, "scenes/scene1.png": 3, "scenes/scene2.png": 1},
        **{"scenes/film.mp4": 1 + 3 * 2},
    }
    assert [row["frame"] for row in rows if row["file"].endswith("mp4")] == [*"0112233"]
    box = draw_scene(2).boxes[0]
    assert [rows[8][edge] for edge in ("left", "top", "right", "bottom")] == [str(x) for x in box]
    with Image.open(tmp_path / "drawn" / "scenes" / "scene3.png") as picture:
        assert picture.size == scenes.SIZE
    write_scenes(tmp_path / "drawn")
    assert len(written) == 1


def test_a_film_needs_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ConfigError, match=r"cage-lightning\[faces\]"):
        scenes._write_film(tmp_path / "film.mp4", [])


def test_a_film_as_it_is_seen(tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="pip install 'cage-lightning[faces]'")
    images = [frame.image for _, frame in zip(range(5), draw_film(), strict=False)]
    scenes._write_film(tmp_path / "film.mp4", images)
    with av.open(str(tmp_path / "film.mp4")) as film:
        frames = list(film.decode(video=0))
    assert [round(frame.time, 3) for frame in frames] == [0.0, 0.1, 0.2, 0.3, 0.4]
    seen = frames[-1].to_ndarray(format="rgb24").astype(float)
    assert np.abs(seen - images[-1]).mean() < 6
