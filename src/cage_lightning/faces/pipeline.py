"""From items to rows: frames are read ahead, and looked at several at a time.

What is looked at together depends on the source alone, not on when a command was interrupted: the
same command gives the same rows, whether or not it was killed and went on.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import groupby
from typing import NamedTuple, TypeVar

import torch
from PIL import Image
from torch import Tensor

from cage_lightning.faces.alignment import Crop, crop_faces
from cage_lightning.faces.face import Detector, Faces
from cage_lightning.faces.frames import Frame, read_frames, read_picture
from cage_lightning.faces.rows import Inferred, Row, expression_rows, make_rows
from cage_lightning.faces.sources import Item
from cage_lightning.system.machine import usable_cpus

T = TypeVar("T")

Find = Callable[[Sequence[Frame]], list[tuple[Frame, Faces]]]
"""Some frames and the faces in each; what finds them may give a frame a fault."""

FRAMES = 32
_PIXELS = 1 << 25  # of the frames that are looked at together; the last one may exceed it
_READERS = 4  # threads that decode pictures


class Position(NamedTuple):
    """Where to go on: the number of an item, and of the frame in it."""

    item: int
    frame: int


BEGIN = Position(0, 0)


class Looked(NamedTuple):
    """What was found in a few frames.

    Attributes:
        rows: See `rows`.
        frames: How many there were, those that cannot be read included.
        after: Where to go on.
    """

    rows: list[Row]
    frames: int
    after: Position


def finding(detector: Detector) -> Find:
    """What finds faces with a detector."""

    def find(frames: Sequence[Frame]) -> list[tuple[Frame, Faces]]:
        found = iter(detector.detect([one.picture for one in frames if one.picture is not None]))
        return [(one, () if one.picture is None else next(found)) for one in frames]

    return find


def look(
    items: Sequence[Item],
    find: Find,
    infer: Callable[[Tensor], Inferred],
    crop: Crop,
    *,
    start: Position = BEGIN,
    every: int = 1,
    align: bool = False,
    batch_size: int = 64,
    frames: int = FRAMES,
) -> Iterator[Looked]:
    """Look at items, a few frames at a time.

    Args:
        items: In their order.
        find: Finds faces.
        infer: What the model says about crops, uint8 ``[B, 3, S, S]``.
        crop: Makes a crop.
        start: Where to begin.
        every: Of a video, look at frames whose number is a multiple of this.
        align: See `crop_faces`.
        batch_size: Most crops in a batch.
        frames: Most frames that are looked at together.
    """
    for chunk in _ahead(_chunks(_frames(items, start, every), frames)):
        found = find([frame for _, frame in chunk])
        crops = (
            one
            for frame, faces in found
            if frame.picture is not None and faces
            for one in crop_faces(Image.fromarray(frame.picture), faces, crop, align)
        )
        rows = make_rows(found, _expressions(crops, infer, batch_size))
        yield Looked(rows, len(chunk), chunk[-1][0])


def _expressions(
    crops: Iterable[Tensor], infer: Callable[[Tensor], Inferred], batch_size: int
) -> Iterator[Row]:
    for batch in _batches(crops, batch_size):
        yield from expression_rows(infer(torch.stack(batch)))


def _batches(values: Iterable[T], size: int) -> Iterator[list[T]]:
    batch: list[T] = []
    for value in values:
        batch.append(value)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _frames(items: Sequence[Item], start: Position, every: int) -> Iterator[tuple[Position, Frame]]:
    """Each frame, and where to go on after it."""
    numbered = list(enumerate(items))[start.item :]
    for is_picture, members in groupby(numbered, lambda one: one[1].kind == "picture"):
        if is_picture:
            yield from _pictures(list(members))
            continue
        for n, item in members:
            begin = start.frame if n == start.item else 0
            before: Frame | None = None
            for frame in read_frames(item, begin, every):
                if before is not None:
                    yield Position(n, (before.number or 0) + 1), before
                before = frame
            if before is not None:
                yield Position(n + 1, 0), before


def _pictures(numbered: Sequence[tuple[int, Item]]) -> Iterator[tuple[Position, Frame]]:
    """Pictures in their order, of which a few are decoded at the same time."""
    workers = min(_READERS, usable_cpus())
    pending: deque[tuple[int, Future[Frame]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for n, item in numbered:
            pending.append((n, pool.submit(read_picture, item)))
            if len(pending) > workers:
                done, future = pending.popleft()
                yield Position(done + 1, 0), future.result()
        for done, future in pending:
            yield Position(done + 1, 0), future.result()


def _chunks(
    frames: Iterable[tuple[Position, Frame]], most: int
) -> Iterator[list[tuple[Position, Frame]]]:
    """A few frames at a time, such that they fit into memory together."""
    chunk: list[tuple[Position, Frame]] = []
    pixels = 0
    for frame in frames:
        picture = frame[1].picture
        chunk.append(frame)
        pixels += 0 if picture is None else picture.shape[0] * picture.shape[1]
        if len(chunk) == most or pixels >= _PIXELS:
            yield chunk
            chunk, pixels = [], 0
    if chunk:
        yield chunk


def _ahead(values: Iterable[T]) -> Iterator[T]:
    """The values; a thread makes the next one while one is used."""
    made: queue.Queue[tuple[str, T | BaseException | None]] = queue.Queue(maxsize=1)
    stop = threading.Event()

    def put(what: str, value: T | BaseException | None) -> None:
        while not stop.is_set():
            with suppress(queue.Full):
                made.put((what, value), timeout=0.1)
                return

    def make() -> None:
        try:
            for value in values:
                put("value", value)
                if stop.is_set():
                    return
            put("end", None)
        except BaseException as error:
            put("error", error)

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    try:
        while (got := made.get())[0] != "end":
            if got[0] == "error":
                assert isinstance(got[1], BaseException)
                raise got[1]
            yield got[1]  # type: ignore[misc]  # the end and errors are told apart above
    finally:
        stop.set()
        thread.join(timeout=5)
