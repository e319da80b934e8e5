"""Plain JPEG files by libjpeg-turbo alone: the pixels that Pillow gives, in half of its time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, features

Pixels = npt.NDArray[np.uint8]

try:
    import simplejpeg
except ImportError:  # it has no wheel for some platforms, where Pillow decodes everything
    simplejpeg = None

# A Pillow with another JPEG library interpolates colours in another way.
AVAILABLE = simplejpeg is not None and features.check_feature("libjpeg_turbo")

# Segments that say all of how to decode a file; Pillow reads nothing out of them that could make
# it refuse the file, or decode it differently.
_JFIF, _COMMENT, _FRAMES = 0xE0, 0xFE, (0xC0, 0xC1, 0xC2)
_TABLES = (0xC4, 0xDB, 0xDD)  # Huffman codes, quantisation, the restart interval
_SCAN = 0xDA
# A progressive file has some ten scans. To count them takes a twentieth of the time of decoding, so
# it is only done where scans as short as can be might go over many pixels.
_SCAN_MARK, _MOST_SCANS, _SHORTEST_SCAN, _FEW_PIXELS = b"\xff\xda", 20, 10, 200_000_000
_JFIF_HEAD, _JFIF_LENGTH = b"JFIF\0", 16


def decode_jpeg(content: bytes, place: Pixels) -> Pixels | None:
    """Decode a plain JPEG file: grey or of three colours in 8 bits, without metadata, undamaged.

    Args:
        content: Any bytes.
        place: uint8 ``[H, W, 3]``, contiguous. A picture of this size is written there; one that is
            found to be damaged in the middle may leave something there as well.

    Returns:
        uint8 ``[H, W, 3]``, RGB: `place`, or for a picture of another size an array of its own.
        None: it is for Pillow to decode, or to refuse.
    """
    size = plain_size(content) if AVAILABLE else None
    if size is None or _may_take_long(content, size):
        return None
    fits = place.shape == (size[1], size[0], 3)
    try:
        # By default strict: what libjpeg only warns of is for Pillow to judge.
        pixels: Pixels = simplejpeg.decode_jpeg(content, "RGB", buffer=place if fits else None)
    except ValueError:
        return None
    return place if fits else pixels


def _may_take_long(content: bytes, size: tuple[int, int]) -> bool:
    """Whether a file may have so many scans that `images.open_picture` has to judge it."""
    most = len(content) // _SHORTEST_SCAN * size[0] * size[1]
    return most > _FEW_PIXELS and content.count(_SCAN_MARK) > _MOST_SCANS


def plain_size(content: bytes) -> tuple[int, int] | None:
    """Width and height of a JPEG file that any decoder reads alike, by its head; None for others.

    Nothing is said of the pixels themselves, which may be damaged.
    """
    if content[:2] != b"\xff\xd8":
        return None
    size, at, end = None, 2, len(content) - 4
    while at <= end and content[at] == 0xFF:
        kind, length = content[at + 1], content[at + 2] << 8 | content[at + 3]
        segment = content[at + 4 : at + 2 + length]
        if kind == _SCAN:
            return size
        if kind in _FRAMES:
            size = None if size else _size_of(segment)
            if size is None:
                return None
        elif kind == _JFIF:
            if length != _JFIF_LENGTH or not segment.startswith(_JFIF_HEAD):
                return None
        elif kind not in _TABLES and kind != _COMMENT:
            return None
        at += 2 + length
    return None


def _size_of(frame: bytes) -> tuple[int, int] | None:
    """Width and height in the head of a frame of 8 bits and one or three colours; else None."""
    if len(frame) < 9:
        return None
    height, width = frame[1] << 8 | frame[2], frame[3] << 8 | frame[4]
    limit = Image.MAX_IMAGE_PIXELS
    if frame[0] != 8 or frame[5] not in (1, 3) or not height or not width:
        return None
    return (width, height) if limit is None or width * height <= limit else None
