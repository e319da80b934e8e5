"""Detectors on photographs that each show one face: how many they find, what else, and how fast.

    python benchmarks/detectors.py FOLDER

Each picture is searched as it is, and in surroundings: reduced and pasted somewhere into a canvas
of 640 x 480 pixels that is made of 16-pixel blocks of the pictures in random order, which have the
texture of photographs and no faces. There a face counts as found if a box overlaps with the pasted
picture (intersection over union at least 0.3, for a picture that its face fills), and every box
with its middle elsewhere is a false one.

What is printed is in README.md beside this file. CPU time is that of one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from cage_lightning.errors import ConfigError
from cage_lightning.faces.detectors import THRESHOLDS, DetectorName, make_detector
from cage_lightning.faces.face import Box, Detector, Faces, Picture, overlap
from cage_lightning.faces.frames import read_picture
from cage_lightning.faces.sources import list_items

CANVAS = (480, 640)  # height, width
BLOCK = 16
SIZES = (32, 48, 96, 192)  # of the longer side of a pasted picture
FOUND = 0.3
TRIED: dict[DetectorName, tuple[float, ...]] = {
    "centerface": (0.2, 0.3, 0.35, 0.4, 0.5, 0.6),
    "haar": (0.0, 40.0, 80.0),
    "mtcnn": (0.5, 0.7, 0.9, 0.95),
    "yunet": (0.3, 0.5, 0.6, 0.7, 0.8, 0.9),
}


class Scene(NamedTuple):
    """A picture and where the face in it is; None: somewhere."""

    picture: Picture
    place: Box | None


def surrounded(pictures: Sequence[Picture], size: int, rng: np.random.Generator) -> list[Scene]:
    """Each picture in a canvas."""
    blocks = np.concatenate([_blocks(picture) for picture in pictures])
    return [_scene(picture, size, blocks, rng) for picture in pictures]


def _scene(
    picture: Picture, size: int, blocks: npt.NDArray[np.uint8], rng: np.random.Generator
) -> Scene:
    rows, columns = CANVAS[0] // BLOCK, CANVAS[1] // BLOCK
    chosen = blocks[rng.integers(len(blocks), size=(rows, columns))]
    canvas = chosen.transpose(0, 2, 1, 3, 4).reshape(*CANVAS, 3).copy()
    scale = size / max(picture.shape[:2])
    height, width = (max(1, round(scale * side)) for side in picture.shape[:2])
    top, left = rng.integers(CANVAS[0] - height), rng.integers(CANVAS[1] - width)
    reduced = Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR)
    canvas[top : top + height, left : left + width] = np.asarray(reduced)
    return Scene(canvas, (float(left), float(top), float(left + width), float(top + height)))


def _blocks(picture: Picture) -> npt.NDArray[np.uint8]:
    """uint8 ``[N, BLOCK, BLOCK, 3]``."""
    rows, columns = picture.shape[0] // BLOCK, picture.shape[1] // BLOCK
    whole = picture[: rows * BLOCK, : columns * BLOCK]
    parts = whole.reshape(rows, BLOCK, columns, BLOCK, 3).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(parts.reshape(-1, BLOCK, BLOCK, 3))


def searched(detector: Detector, scenes: Sequence[Scene]) -> tuple[list[Faces], float]:
    """The faces in each scene, and the CPU time for one in milliseconds."""
    detector.detect([scenes[0].picture])
    began = time.process_time()
    faces = [detector.detect([scene.picture])[0] for scene in scenes]
    return faces, 1000 * (time.process_time() - began) / len(scenes)


def counted(scenes: Sequence[Scene], faces: Sequence[Faces], threshold: float) -> str:
    """The share of scenes whose face was found, and the false boxes per 100 scenes."""
    found = false = 0
    for scene, boxes in zip(scenes, faces, strict=True):
        kept = [face.box for face in boxes if (face.score or 0.0) >= threshold]
        hits = [scene.place is None or overlap(box, scene.place) >= FOUND for box in kept]
        found += any(hits)
        if scene.place is None:
            false += max(0, len(kept) - 1)
        else:
            false += sum(not _is_at(box, scene.place) for box in kept)
    return f"{found / len(scenes):.1%} / {100 * false / len(scenes):.1f}"


def _is_at(box: Box, place: Box) -> bool:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return place[0] <= x <= place[2] and place[1] <= y <= place[3]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="pictures that each show one face")
    parser.add_argument("--detectors", nargs="+", default=["centerface", "haar", "mtcnn"])
    parser.add_argument("--weights", type=Path, help="the network of yunet")
    arguments = parser.parse_args()
    _one_thread()
    read = (read_picture(item).picture for item in list_items(str(arguments.folder)))
    pictures = [picture for picture in read if picture is not None]
    rng = np.random.default_rng(0)
    kinds = {"as they are": [Scene(picture, None) for picture in pictures]}
    kinds |= {f"{size} px in 640 x 480": surrounded(pictures, size, rng) for size in SIZES}
    print(f"{len(pictures)} pictures; found / false boxes per 100 pictures\n")
    print(f"| detector | threshold | {' | '.join(kinds)} | CPU ms as they are, 640 x 480 |")
    print("|---|---|" + "---|" * (len(kinds) + 1))
    for name in arguments.detectors:
        _report(name, kinds, arguments.weights if name == "yunet" else None)


def _report(name: DetectorName, kinds: dict[str, list[Scene]], weights: Path | None) -> None:
    tried = TRIED[name]
    try:
        detector = make_detector(name, tried[0], smallest=16, weights=weights, threads=1)
    except ConfigError as error:
        print(f"| {name} | {error} |")
        return
    results = {kind: searched(detector, scenes) for kind, scenes in kinds.items()}
    times = [f"{time:.0f}" for _, time in results.values()]
    for threshold in tried:
        cells = [counted(kinds[kind], faces, threshold) for kind, (faces, _) in results.items()]
        mark = " (default)" if threshold == THRESHOLDS[name] else ""
        cells += [f"{times[0]}, {times[-1]}"]
        print(f"| {name} | {threshold}{mark} | {' | '.join(cells)} |")


def _one_thread() -> None:
    torch.set_num_threads(1)
    try:
        import cv2

        cv2.setNumThreads(1)
    except ImportError:
        pass


if __name__ == "__main__":
    main()
