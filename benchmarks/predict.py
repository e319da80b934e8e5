"""A video with 0 to 5 faces: `predict` against one frame and one face after the other.

    python benchmarks/predict.py

Draws a video (1280 x 720, 60 s, a face more every 10 s) and looks at it in both ways with the same
detector and network, in turn. The ratio of their frames per second is printed, and how much memory
the process has gained from the first quarter of the video to its end.
"""

from __future__ import annotations

import argparse
import math
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from cage_lightning.demo.faces import draw_face
from cage_lightning.deploy.description import Backbone, Description
from cage_lightning.deploy.model import ExpressionModel
from cage_lightning.deploy.networks import Networks
from cage_lightning.deploy.preprocessing import Preprocessing
from cage_lightning.faces.detectors import make_detector
from cage_lightning.faces.face import Detector, Picture
from cage_lightning.faces.frames import read_frames
from cage_lightning.faces.pipeline import finding, look
from cage_lightning.faces.sources import Item
from cage_lightning.labels import AFFECTNET_8, OutputLayout

WIDTH, HEIGHT, FACE, MOST = 1280, 720, 220, 5
THRESHOLD = 0.25
REPEATS = 3
SURE = 0.45  # a drawn face that is taken for one wherever it is


def model_of(backbone: str, image_size: int) -> ExpressionModel:
    """A network with random weights: its speed does not depend on them."""
    layout = OutputLayout(AFFECTNET_8, categories=True, affect=True)
    description = Description(layout, Backbone(backbone), Preprocessing(image_size))
    return ExpressionModel(description, Networks([description.build(backbone)], layout))


def recognisable(detector: Detector) -> Iterator[Picture]:
    """Drawn faces that a detector of photographs takes for faces."""
    for index in count():
        face = draw_face(1, "val", index, FACE, 0).image
        if all(_score(detector, face, place) > SURE for place in (90, 101)):
            yield face


def _score(detector: Detector, face: Picture, place: int) -> float:
    picture = np.full((2 * FACE, 2 * FACE, 3), 128, dtype=np.uint8)
    picture[place : place + FACE, place : place + FACE] = face
    half = np.asarray(Image.fromarray(picture).resize((FACE, FACE)))  # as in the video
    return max((found.score or 0.0 for found in detector.detect([half])[0]), default=0.0)


def write_video(path: Path, seconds: int, rate: int, faces: list[Picture]) -> None:
    import av

    background = np.broadcast_to(np.linspace(60, 200, WIDTH)[None, :, None], (HEIGHT, WIDTH, 3))
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=rate, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        frames = seconds * rate
        for n in range(frames):
            picture = background.astype(np.uint8)
            for k, face in enumerate(faces[: n * (MOST + 1) // frames]):
                left = round(15 + 253 * k + 12 * math.sin(n / rate + k))
                top = round(250 + 150 * math.sin(n / rate / 2 + 1.3 * k))
                picture[top : top + FACE, left : left + FACE] = face
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = n, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def one_by_one(item: Item, detector: Detector, model: ExpressionModel) -> Iterator[int]:
    """The number of faces in each frame."""
    for frame in read_frames(item):
        assert frame.picture is not None
        (faces,) = detector.detect([frame.picture])
        for face in faces:
            model.predict(Image.fromarray(frame.picture), boxes=[face.box])
        yield len(faces)


def together(item: Item, detector: Detector, model: ExpressionModel) -> Iterator[int]:
    crop = model.preprocessing.crop
    for found in look([item], finding(detector), model.predict_crops, crop, batch_size=8):
        yield from (row["faces"] for row in found.rows if row.get("face") in (None, 0))


def timed(faces: Iterator[int], frames: int) -> tuple[float, float, int, float]:
    """Frames per second, CPU ms a frame, faces, and MB gained after the first quarter."""
    began, cpu = time.perf_counter(), time.process_time()
    found = sum(islice(faces, frames // 4))
    before = _peak_mb()
    found += sum(faces)
    spent = 1000 * (time.process_time() - cpu) / frames
    return frames / (time.perf_counter() - began), spent, found, _peak_mb() - before


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--rate", type=int, default=10)
    parser.add_argument("--backbone", default="tiny")
    parser.add_argument("--image-size", type=int, default=64)
    arguments = parser.parse_args()
    detector = make_detector("centerface", THRESHOLD, threads=torch.get_num_threads())
    model = model_of(arguments.backbone, arguments.image_size)
    frames = arguments.seconds * arguments.rate
    with tempfile.TemporaryDirectory() as folder:
        item = Item(str(Path(folder) / "faces.mp4"), "video")
        faces = list(islice(recognisable(detector), MOST))
        write_video(Path(item.place), arguments.seconds, arguments.rate, faces)
        rates: dict[str, list[float]] = {}
        for name, way in REPEATS * (("one by one", one_by_one), ("together", together)):
            rate, cpu, found, gained = timed(way(item, detector, model), frames)
            rates.setdefault(name, []).append(rate)
            print(f"{name}: {rate:.1f} frames/s, {cpu:.0f} CPU ms a frame, {found} faces", end=", ")
            print(f"{gained:+.0f} MB", flush=True)
    ratio = statistics.median(rates["together"]) / statistics.median(rates["one by one"])
    print(f"ratio of the medians {ratio:.2f} ({arguments.backbone})")


if __name__ == "__main__":
    main()
