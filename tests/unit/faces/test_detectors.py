"""Detectors behind one interface; each is tested where its package is installed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from cage_lightning.demo.faces import draw_face
from cage_lightning.errors import ConfigError
from cage_lightning.faces.detectors import DetectorName, make_detector
from cage_lightning.faces.face import Face, Picture, overlap, sorted_faces

# A detector of photographs is less sure of a drawn face.
THRESHOLDS: dict[DetectorName, float] = {"centerface": 0.3, "haar": 0.0, "mtcnn": 0.8}
PACKAGES: dict[DetectorName, str] = {
    "centerface": "onnxruntime",
    "haar": "cv2",
    "mtcnn": "facenet_pytorch",
}
HEAD = (107.0, 75.0, 213.0, 217.0)


def scene(height: int = 300, width: int = 400, face: int = 5) -> Picture:
    picture = np.full((height, width, 3), (120, 130, 140), np.uint8)
    picture[40:240, 60:260] = draw_face(1, "val", face, 200, 0).image
    return picture


@pytest.mark.parametrize("name", ["centerface", "haar", "mtcnn"])
def test_a_drawn_face_is_found_in_a_batch_as_alone(name: DetectorName) -> None:
    pytest.importorskip(PACKAGES[name])
    detector = make_detector(name, THRESHOLDS[name], smallest=40, threads=1)
    pictures = [scene(), np.zeros((300, 400, 3), np.uint8), scene(400, 300), scene()]
    found = detector.detect(pictures)
    assert [len(faces) for faces in found] == [1, 0, 1, 1]
    for faces in (found[0], found[2]):
        assert overlap(faces[0].box, HEAD) > 0.5
    assert found[3][0].box == pytest.approx(detector.detect([scene()])[0][0].box, abs=0.01)
    if (eyes := found[0][0].landmarks) is not None:
        assert len(eyes) == 5
        assert eyes[0][0] < eyes[1][0]
        assert all(60 <= x <= 260 and 40 <= y <= 240 for x, y in eyes)


@pytest.mark.slow
def test_a_larger_picture_is_searched_reduced() -> None:
    pytest.importorskip("onnxruntime")
    large = scene().repeat(4, axis=0).repeat(4, axis=1)
    whole, reduced = (
        make_detector("centerface", 0.3, 40, longest_side=side).detect([large])[0]
        for side in (1600, 400)
    )
    assert len(reduced) == 1
    assert overlap(reduced[0].box, [4 * edge for edge in HEAD]) > 0.5
    assert whole != reduced


def test_without_a_detector_a_picture_is_a_face() -> None:
    (faces,) = make_detector("none").detect([scene()])
    assert faces == (Face((0, 0, 400, 300)),)


def test_faces_are_clipped_and_the_largest_comes_first() -> None:
    small, large = Face((10, 10, 30, 30), 0.9), Face((-50, 100, 90, 400), 0.5)
    tiny, outside = Face((1, 1, 5, 50)), Face((500, 1, 600, 100))
    faces = sorted_faces([tiny, small, outside, large], scene(), smallest=16)
    assert faces == (Face((0, 100, 90, 300), 0.5), small)


def test_overlap_is_intersection_over_union() -> None:
    boxes = [[0, 0, 2, 2], [1, 1, 3, 3], [5, 5, 6, 6], [0, 0, 0, 0]]
    np.testing.assert_allclose(overlap(boxes[0], boxes), [1, 1 / 7, 0, 0])
    assert overlap(boxes[3], boxes[3]) == 0


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("centerface", {"threshold": 1.5}, "threshold=1.5"),
        ("centerface", {"smallest": 0}, "smallest_face=0"),
        ("centerface", {"longest_side": 1}, "longest_side=1"),
        ("centerface", {"weights": Path("a.onnx")}, "faces=yunet only"),
        ("yunet", {}, "detector_weights=FILE"),
        ("yunet", {"weights": Path("gone.onnx")}, "no such file"),
    ],
)
def test_what_is_refused(name: DetectorName, settings: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make_detector(name, **settings)  # type: ignore[arg-type]


def test_a_file_that_is_no_network(tmp_path: Path) -> None:
    pytest.importorskip("cv2", exc_type=ImportError)
    (tmp_path / "a.onnx").write_bytes(b"nothing")
    with pytest.raises(ConfigError, match="no YuNet network"):
        make_detector("yunet", weights=tmp_path / "a.onnx")


@pytest.mark.parametrize("name", ["centerface", "haar", "mtcnn"])
def test_a_package_that_is_missing(name: DetectorName, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("cv2", "onnx", "onnxruntime", "facenet_pytorch"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install"):
        make_detector(name)
