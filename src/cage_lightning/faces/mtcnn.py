"""MTCNN of the package `facenet-pytorch`, which carries its weights (MIT).

Zhang et al., Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks,
2016.
"""

from __future__ import annotations

from collections.abc import Sequence

from cage_lightning.errors import ConfigError, first_line
from cage_lightning.faces.face import Face, Faces, Picture, sorted_faces


class Mtcnn:
    """The detector.

    Args:
        threshold: Least score of a face, in (0, 1).
        smallest: Least width and height of a face in pixels.

    Raises:
        ConfigError: The package is missing.
    """

    def __init__(self, threshold: float, smallest: float) -> None:
        self._threshold, self._smallest = threshold, smallest
        try:
            from facenet_pytorch import MTCNN
        except ImportError as error:
            raise ConfigError(
                f"faces=mtcnn needs the package facenet-pytorch ({first_line(error)}), which asks "
                "for an old torch: pip install --no-deps facenet-pytorch"
            ) from error
        self._network = MTCNN(keep_all=True, min_face_size=max(round(smallest), 12))

    def detect(self, pictures: Sequence[Picture]) -> list[Faces]:
        """The faces of each picture."""
        return [sorted_faces(self._faces(one), one, self._smallest) for one in pictures]

    def _faces(self, picture: Picture) -> list[Face]:
        boxes, scores, points = self._network.detect(picture, landmarks=True)
        if boxes is None:
            return []
        return [
            Face(tuple(box.tolist()), float(score), tuple(map(tuple, landmarks.tolist())))
            for box, score, landmarks in zip(boxes, scores, points, strict=True)
            if score is not None and score >= self._threshold
        ]
