"""The detectors that OpenCV runs: Haar cascades, which it brings, and YuNet, a file of the user's.

Viola and Jones, Rapid Object Detection using a Boosted Cascade of Simple Features, 2001; Wu et al.,
YuNet: A Tiny Millisecond-level Face Detector, 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cage_lightning.errors import ConfigError, first_line
from cage_lightning.faces.face import Face, Faces, Picture, of_extra, sorted_faces

_CASCADE = "haarcascade_frontalface_alt2.xml"


class Haar:
    """A Haar cascade for frontal faces, without landmarks.

    Args:
        threshold: Least score: the sum of the last stage over the windows of a face; 0 or more.
        smallest: Least width and height of a face in pixels.

    Raises:
        ConfigError: OpenCV is missing, or has no cascades.
    """

    def __init__(self, threshold: float, smallest: float) -> None:
        self._threshold, self._smallest = threshold, smallest
        self._cascade = _cascade()

    def detect(self, pictures: Sequence[Picture]) -> list[Faces]:
        """The faces of each picture."""
        return [sorted_faces(self._faces(one), one, self._smallest) for one in pictures]

    def _faces(self, picture: Picture) -> list[Face]:
        side = max(1, round(self._smallest))
        boxes, _, scores = self._cascade.detectMultiScale3(
            np.asarray(Image.fromarray(picture).convert("L")),
            scaleFactor=1.1,
            minNeighbors=3,
            minSize=(side, side),
            outputRejectLevels=True,
        )
        return [
            Face((float(x), float(y), float(x + width), float(y + height)), float(score))
            for (x, y, width, height), score in zip(boxes, np.ravel(scores), strict=True)
            if score >= self._threshold
        ]


class YuNet:
    """YuNet, with five landmarks.

    Args:
        weights: The network, an ONNX file.
        threshold: Least score of a face, in (0, 1).
        smallest: Least width and height of a face in pixels.

    Raises:
        ConfigError: OpenCV is missing, or `weights` is no such network.
    """

    def __init__(self, weights: Path, threshold: float, smallest: float) -> None:
        self._smallest = smallest
        if not weights.is_file():
            raise ConfigError(f"detector_weights={weights}: there is no such file")
        try:
            self._network = of_extra("cv2", "faces=yunet").FaceDetectorYN.create(
                str(weights), "", (320, 320), score_threshold=threshold
            )
        except Exception as error:  # OpenCV's own, of many causes
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(
                f"detector_weights={weights} is no YuNet network: {first_line(error)}"
            ) from error

    def detect(self, pictures: Sequence[Picture]) -> list[Faces]:
        """The faces of each picture."""
        return [sorted_faces(self._faces(one), one, self._smallest) for one in pictures]

    def _faces(self, picture: Picture) -> list[Face]:
        self._network.setInputSize((picture.shape[1], picture.shape[0]))
        _, rows = self._network.detect(np.ascontiguousarray(picture[..., ::-1]))  # BGR
        return [] if rows is None else [_yunet_face(row.tolist()) for row in rows]


def _yunet_face(row: Sequence[float]) -> Face:
    """Left, top, width, height; five points, the right eye of the person first; score."""
    left, top, width, height = row[:4]
    points = tuple(zip(row[4:14:2], row[5:14:2], strict=True))
    return Face((left, top, left + width, top + height), row[14], points)


def _cascade() -> Any:
    cv2 = of_extra("cv2", "faces=haar")
    if not hasattr(cv2, "CascadeClassifier"):
        raise ConfigError(
            f"faces=haar: OpenCV {cv2.__version__} has no cascades any more: "
            "pip install 'opencv-python<5', or choose faces=centerface"
        )
    return cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / _CASCADE))
