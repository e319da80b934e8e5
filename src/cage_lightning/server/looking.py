"""What is in a picture that somebody has sent: faces and their expressions, as JSON values."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

from cage_lightning.data.images import open_picture, to_rgb
from cage_lightning.deploy.model import ExpressionModel
from cage_lightning.errors import DataError, first_line
from cage_lightning.faces.alignment import crop_faces
from cage_lightning.faces.face import Detector, Faces
from cage_lightning.faces.tracking import Tracker
from cage_lightning.labels import EMOTIC

MOST_FACES = 64  # that the model looks at in a picture, the largest ones
_MOST_STREAMS = 16  # whose faces are followed at once; the one unused for longest is forgotten


class Looker:
    """A model and a detector that look at one picture at a time, whatever thread asks.

    Args:
        model: The model.
        detector: Finds the faces.
        align: Whether a face with landmarks is turned first, so that its eyes are level.
    """

    def __init__(self, model: ExpressionModel, detector: Detector, align: bool = False) -> None:
        self._model, self._detector, self._align = model, detector, align
        self._trackers: OrderedDict[str, Tracker] = OrderedDict()
        # One picture in memory at a time, however many are sent.
        self._lock = threading.Lock()

    def about(self) -> dict[str, Any]:
        """What the model infers: ``categories``, whether ``several`` may apply, ``dimensions``.

        ``subject`` is what a box shows: one and several of them.
        """
        layout = self._model.description.layout
        return {
            "categories": layout.space.categories if layout.categories else (),
            "several": layout.space.multi_label,
            "dimensions": layout.space.dimensions if layout.affect else (),
            "subject": ("person", "persons") if layout.space == EMOTIC else ("face", "faces"),
        }

    def look(self, content: bytes, stream: str | None = None) -> dict[str, Any]:
        """Look at a picture.

        Args:
            content: Of a picture file. Its EXIF orientation is applied.
            stream: Names the video or camera that the picture is a frame of, if it is one.

        Returns:
            ``width`` and ``height`` in pixels; ``found``, how many faces there are; and ``faces``,
            the largest of them first: ``box`` (left, top, right, bottom in pixels), ``track`` (its
            number in the stream; None without one), ``category`` (a list where several may apply),
            ``probabilities`` and ``affect`` in the order of `about`, and None where the model
            infers none.

        Raises:
            DataError: It is no picture.
        """
        with self._lock:
            picture = _decoded(content)
            (found,) = self._detector.detect([np.asarray(picture)])
            faces = found[:MOST_FACES]
            tracks = self._follow(faces, stream)
            return {
                "width": picture.width,
                "height": picture.height,
                "found": len(found),
                "faces": [
                    {"box": face.box, "track": track} | inferred
                    for face, track, inferred in zip(
                        faces, tracks, self._infer(picture, faces), strict=True
                    )
                ],
            }

    def _infer(self, picture: Image.Image, faces: Faces) -> list[dict[str, Any]]:
        if not faces:
            return []
        crops = crop_faces(picture, faces, self._model.preprocessing.crop, self._align)
        return [
            {
                "category": one.category,
                "probabilities": _values(one.probabilities),
                "affect": _values(one.affect),
            }
            for one in self._model.predict_crops(torch.stack(crops))
        ]

    def _follow(self, faces: Faces, stream: str | None) -> list[int | None]:
        if stream is None:
            return [None] * len(faces)
        tracker = self._trackers.setdefault(stream, Tracker())
        self._trackers.move_to_end(stream)
        if len(self._trackers) > _MOST_STREAMS:
            self._trackers.popitem(last=False)
        return [*tracker.follow([face.box for face in faces])]


def _values(named: Any) -> list[float] | None:
    return None if named is None else list(named.values())


def _decoded(content: bytes) -> Image.Image:
    try:
        with open_picture(content) as stored:
            return to_rgb(ImageOps.exif_transpose(stored))
    except Exception as error:  # Pillow's format readers let all kinds of errors through.
        raise DataError(
            f"This is no picture that can be read ({type(error).__name__}: {first_line(error)})."
        ) from error
