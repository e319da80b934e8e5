"""The detectors by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from cage_lightning.errors import ConfigError, check_between
from cage_lightning.faces.face import SMALLEST_BOX, Detector, Face, Faces, Picture

DetectorName = Literal["centerface", "haar", "yunet", "mtcnn", "none"]
"""``none`` takes every picture for one face: pictures that are crops already."""

SMALLEST = 24.0
LONGEST_SIDE = 640

# Measured by benchmarks/detectors.py.
THRESHOLDS: dict[DetectorName, float] = {
    "centerface": 0.35,
    "haar": 0.0,
    "yunet": 0.8,
    "mtcnn": 0.9,
}


class WholePicture:
    """No detector: each picture is one face."""

    def detect(self, pictures: Sequence[Picture]) -> list[Faces]:
        """One face for each picture, without a score."""
        return [(Face((0.0, 0.0, float(p.shape[1]), float(p.shape[0]))),) for p in pictures]


def make_detector(
    name: DetectorName,
    threshold: float | None = None,
    smallest: float = SMALLEST,
    longest_side: int = LONGEST_SIDE,
    weights: Path | None = None,
    threads: int | None = None,
) -> Detector:
    """A detector.

    Args:
        name: Which one.
        threshold: Least score of a face, on the detector's own scale; None: that of `THRESHOLDS`.
        smallest: Least width and height of a face, in pixels of the picture.
        longest_side: For ``centerface``: a larger picture is searched reduced to so many pixels.
        weights: The network of ``yunet``.
        threads: Of ``centerface``; None: one per core.

    Raises:
        ConfigError: A package is missing, or a setting is out of range or not one of the detector.
    """
    if (weights is not None) != (name == "yunet"):
        raise ConfigError(
            "faces=yunet needs detector_weights=FILE, the network as an ONNX file"
            if weights is None
            else f"detector_weights={weights} is a setting of faces=yunet only"
        )
    if name == "none":
        return WholePicture()
    least = THRESHOLDS[name] if threshold is None else threshold
    check_between("threshold", least, 0, 100 if name == "haar" else 1)
    check_between("smallest_face", smallest, SMALLEST_BOX, 10_000)
    check_between("longest_side", longest_side, 64, 10_000)
    if name == "centerface":
        from cage_lightning.faces.centerface import CenterFace

        return CenterFace(least, smallest, longest_side, threads)
    if name == "mtcnn":
        from cage_lightning.faces.mtcnn import Mtcnn

        return Mtcnn(least, smallest)
    from cage_lightning.faces.opencv_detectors import Haar, YuNet

    return Haar(least, smallest) if weights is None else YuNet(weights, least, smallest)
