"""Pictures from disk to uint8 tensors."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from cage_lightning.data.files import LEAVE_OUT, read_file
from cage_lightning.data.formats import FORMATS, not_opened
from cage_lightning.data.jpeg import Pixels, decode_jpeg
from cage_lightning.errors import ConfigError, DataError

LARGEST_IMAGE = 2048
"""Pixels of a side of what a network sees: a batch of larger ones would fill the memory."""

_SCANS, _PIXELS_OF_SCANS = 100, 2_000_000_000  # of a JPEG: some ten scans, each over all pixels


def check_image_size(size: int) -> None:
    """Refuse pictures that are larger than any network takes.

    Raises:
        ConfigError: They are.
    """
    if size > LARGEST_IMAGE:
        raise ConfigError(f"data.image_size={size} is more than {LARGEST_IMAGE} pixels")


if TYPE_CHECKING:
    from torch import Tensor


def decode_image(
    picture: Path | bytes,
    size: int,
    box: Sequence[float] | None = None,
    margin: float = 0.0,
    name: str = "",
) -> Tensor:
    """Read a picture as RGB in full resolution and make it square.

    The picture is taken as it is stored: an EXIF orientation is not applied (AffectNet's crops
    carry none, and face boxes are given in stored pixels), an alpha channel is dropped, and of
    16-bit samples the high byte is kept, which is what Pillow does for 16-bit colour. JPEG files
    are always decoded at full scale, never in the decoder's faster reduced scales.

    Args:
        picture: A file in one of the `formats.FORMATS`, or the bytes of such a file.
        size: Height and width of the result in pixels. A picture of another size is resized
            (bilinear, antialiased) without regard to its aspect ratio.
        box: Left, top, right and bottom edge of the part to take, in stored pixels.
        margin: Added to each side of the box, as a share of its width or height. What lies outside
            the picture is left out.
        name: What messages call a picture that is no file.

    Returns:
        uint8 ``[3, size, size]``, RGB.

    Raises:
        DataError: The picture is missing, empty, truncated, corrupt, no picture, or so large that
            Pillow takes it for a decompression bomb.
    """
    pixels = np.empty((size, size, 3), np.uint8)
    name = name or (f"of {len(picture)} bytes" if isinstance(picture, bytes) else str(picture))
    try:
        decode_into(pixels, picture, box, margin)
    except Exception as error:
        raise broken(name, error) from error
    return _as_tensor(pixels)


def broken(name: str, error: Exception) -> DataError:
    """The error of a picture called `name` that `decode_into` could not read."""
    return DataError(
        f"Cannot decode the picture {name}: {type(error).__name__}: {error}. "
        f"Restore the file, or {LEAVE_OUT}."
    )


def decode_into(
    pixels: Pixels, picture: Path | bytes, box: Sequence[float] | None, margin: float
) -> None:
    """Write a picture, made square as by `decode_image`, into memory that is there.

    Args:
        pixels: uint8 ``[size, size, 3]``, contiguous.
        picture: As in `decode_image`, as for the next ones.
        box: Of the part to take.
        margin: Around it.

    Raises:
        Exception: Whatever Pillow's format readers let through. Nothing is said of `pixels` then.
    """
    content = picture if isinstance(picture, bytes) else read_file(picture)
    plain = decode_jpeg(content, pixels)
    if plain is pixels and box is None:
        return
    if plain is None:
        with open_picture(content) as stored:
            rgb = to_rgb(stored)
    else:
        rgb = Image.fromarray(plain)
    pixels[:] = np.asarray(_squared(rgb, len(pixels), box, margin))


def square(
    picture: Image.Image, size: int, box: Sequence[float] | None = None, margin: float = 0.0
) -> Tensor:
    """Make an open picture square; see `decode_image`.

    Raises:
        ValueError: The box lies outside the picture, or the picture's values have no known range.
    """
    return _as_tensor(np.array(_squared(to_rgb(picture), size, box, margin)))


def _as_tensor(pixels: Pixels) -> Tensor:
    import torch  # `prepare` and `analyze` need no tensors, and start without it

    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def _squared(
    rgb: Image.Image, size: int, box: Sequence[float] | None, margin: float
) -> Image.Image:
    if box is not None:
        rgb = rgb.crop(widened(box, margin, rgb.size))
    if rgb.size != (size, size):
        rgb = rgb.resize((size, size), Image.Resampling.BILINEAR)
    return rgb


def open_picture(picture: Path | bytes) -> Image.Image:
    """A picture whose header is read, to be closed by the caller; see `decode_image`.

    Raises:
        Exception: Whatever Pillow raises.
    """
    content = picture if isinstance(picture, bytes) else read_file(picture)
    try:
        opened = Image.open(io.BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError:  # Pillow names the buffer
        kind = not_opened(content) or f"none of {', '.join(FORMATS)}"
        raise UnidentifiedImageError(kind) from None
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and opened.width * opened.height > limit:  # Pillow only warns
        opened.close()
        raise Image.DecompressionBombError(f"{opened.width}x{opened.height} pixels")
    if opened.format in ("JPEG", "MPO") and (reason := _too_many_scans(content, opened)):
        opened.close()
        raise Image.DecompressionBombError(reason)
    if opened.format == "JPEG" and _ends_in_zeros(content):
        opened.close()
        raise OSError("truncated: zeros stand for the end of the file")
    return opened


def _too_many_scans(jpeg: bytes, opened: Image.Image) -> str:
    """Why a JPEG would take long to decode, however few bytes it has; empty if it would not.

    Each scan of a progressive one goes over all pixels, and an empty one has a few bytes.
    """
    scans = jpeg.count(b"\xff\xda")
    many = scans > _SCANS or scans * opened.width * opened.height > _PIXELS_OF_SCANS
    return f"{scans} scans of {opened.width}x{opened.height} pixels" if many and scans > 1 else ""


def _ends_in_zeros(jpeg: bytes) -> bool:
    """Whether a JPEG file has zeros for its end, as after a crash: they decode to some grey."""
    return jpeg.endswith(bytes(16)) and jpeg.rfind(b"\xff\xd9") < jpeg.rfind(b"\xff\xda")


def widened(
    box: Sequence[float], margin: float, size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """A box with its margin, in whole pixels inside a picture of (width, height) `size`.

    Raises:
        ValueError: Nothing of it lies inside.
    """
    left, top, right, bottom = map(float, box)
    dx, dy = margin * (right - left), margin * (bottom - top)
    inside = (
        max(0, round(left - dx)),
        max(0, round(top - dy)),
        min(size[0], round(right + dx)),
        min(size[1], round(bottom + dy)),
    )
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        raise ValueError(f"the box {tuple(box)} lies outside the {size[0]}x{size[1]} pixels")
    return inside


def to_rgb(picture: Image.Image) -> Image.Image:
    """RGB version of a picture of any mode whose range of values is known.

    Raises:
        ValueError: It is not known.
    """
    if picture.mode == "F":
        raise ValueError("floating-point pixels have no fixed range")
    if picture.mode.startswith("I"):  # 16-bit grey; a plain convert() would clip at 255
        grey = np.asarray(picture)
        if grey.min() < 0 or grey.max() > 65535:
            raise ValueError(f"grey values {grey.min()}..{grey.max()} do not fit 16 bits")
        picture = Image.fromarray((grey >> 8).astype(np.uint8))
    if "transparency" in picture.info:  # a transparent palette entry: keep its colour
        picture = picture.convert("RGBA")
    return picture.convert("RGB")
