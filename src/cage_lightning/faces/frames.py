"""The frames of pictures, videos, cameras and streams, one after the other.

Pictures and frames are upright, as a viewer shows them: an EXIF orientation and the rotation of a
video are applied. (Data sets are read as they are stored, see `data.images.decode_image`; their
boxes are given in stored pixels. People's own pictures come from phones.)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from cage_lightning.data.images import open_picture, to_rgb
from cage_lightning.errors import ConfigError, first_line
from cage_lightning.faces.face import Picture, of_extra
from cage_lightning.faces.sources import Item

# Containers that hold their own content: of the others, a playlist names further files to open.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,asf,flv,live_flv,ogg,h264,hevc"
)
# When a frame is shown, and what makes its picture.
_Timed = Generator[tuple[float | None, Callable[[], Picture]]]

_TIMEOUT_S = 10.0
_MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class Frame:
    """One picture, or one frame of a video.

    Attributes:
        file: The name of its item.
        number: Its number in the video, from 0; None for a picture.
        time_s: When it is shown, in seconds from the beginning of the video, by the timestamps of
            the video; None for a picture.
        picture: None where there is a fault.
        fault: Why it, and with a video all that follows, cannot be read.
    """

    file: str
    number: int | None = None
    time_s: float | None = None
    picture: Picture | None = None
    fault: str | None = None


def read_frames(item: Item, start: int = 0, every: int = 1) -> Iterator[Frame]:
    """The frames of an item. What cannot be read ends them with a frame that tells the fault.

    Args:
        item: What to look at.
        start: Number of the first frame to give.
        every: Give only frames whose number is a multiple of this.
    """
    if item.kind == "picture":
        yield read_picture(item)
        return
    read = _camera_frames if item.kind == "camera" else _video_frames
    number = -1
    try:
        with closing(read(item)) as frames:
            for number, (time_s, decode) in enumerate(frames):
                if number >= start and number % every == 0:
                    yield Frame(item.name, number, time_s, decode())
    except ConfigError:
        raise
    except Exception as error:  # the decoders' own, of all kinds
        yield Frame(item.name, number + 1, fault=_fault(error))
        return
    if number < 0:
        yield Frame(item.name, fault="no frame in it")


def read_picture(item: Item) -> Frame:
    """A picture file in RGB: without its alpha channel, and with the high byte of 16-bit samples.

    Of several pictures in one file it is the first.
    """
    try:
        with open_picture(Path(item.place)) as stored:
            rgb = to_rgb(ImageOps.exif_transpose(stored))
        return Frame(item.name, picture=np.asarray(rgb))
    except Exception as error:  # Pillow's format readers let all kinds of errors through.
        return Frame(item.name, fault=_fault(error))


def _fault(error: Exception) -> str:
    told = getattr(error, "strerror", None) or first_line(
        error
    )  # without the path, which has a column
    return f"{type(error).__name__}: {told}"


def _video_frames(item: Item) -> _Timed:
    """The time of each frame of a video or stream, and what decodes its picture."""
    av = of_extra("av", "a video")
    with _opened(av, item) as container:
        if not container.streams.video:
            raise ValueError("no video in it")
        stream = container.streams.video[0]
        limit = Image.MAX_IMAGE_PIXELS
        if limit is not None and stream.codec_context.width * stream.codec_context.height > limit:
            raise ValueError(f"{stream.codec_context.width}x{stream.codec_context.height} pixels")
        stream.thread_type = "AUTO"
        begin = (container.start_time or 0) / _MICROSECONDS
        for frame in container.decode(stream):
            yield None if frame.time is None else frame.time - begin, _Decoder(frame)


class _Decoder:
    """Makes the picture of a frame that is wanted."""

    def __init__(self, frame: Any) -> None:
        self._frame = frame

    def __call__(self) -> Picture:
        picture = self._frame.to_ndarray(format="rgb24")
        turns = round(self._frame.rotation / 90)
        return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture


def _opened(av: Any, item: Item) -> Any:
    if item.kind == "stream":
        return av.open(item.place, timeout=_TIMEOUT_S)
    path = Path(item.place)
    if not path.is_file():
        raise FileNotFoundError(2, "not a file" if path.exists() else "no such file")
    # As an absolute path it cannot be taken for an address.
    options = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}
    return av.open(str(path.absolute()), container_options=options)


def _camera_frames(item: Item) -> _Timed:
    cv2 = of_extra("cv2", f"source={item.place}")
    camera = cv2.VideoCapture(int(item.place))
    try:
        if not camera.isOpened():
            raise ConfigError(f"source={item.place}: there is no such camera")
        begin = time.monotonic()
        while (read := camera.read())[0]:
            yield time.monotonic() - begin, lambda: np.ascontiguousarray(read[1][..., ::-1])
    finally:
        camera.release()
