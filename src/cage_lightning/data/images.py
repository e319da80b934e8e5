"""Pictures from disk to uint8 tensors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.files import map_files
from cage_lightning.errors import DataError


def decode_image(path: Path, size: int) -> Tensor:
    """Read a picture as RGB in full resolution and make it square.

    The picture is taken as it is stored: an EXIF orientation is not applied (AffectNet's crops
    carry none, and face boxes are given in stored pixels), an alpha channel is dropped, and of
    16-bit samples the high byte is kept, which is what Pillow does for 16-bit colour. JPEG files
    are always decoded at full scale, never in the decoder's faster reduced scales.

    Args:
        path: Any format that Pillow reads.
        size: Height and width of the result in pixels. A picture of another size is resized
            (bilinear, antialiased) without regard to its aspect ratio.

    Returns:
        uint8 ``[3, size, size]``, RGB.

    Raises:
        DataError: The file is missing, empty, truncated, corrupt, no picture, or so large that
            Pillow takes it for a decompression bomb.
    """
    try:
        with Image.open(path) as stored:
            picture = _to_rgb(stored)
    except Exception as error:  # Pillow's format readers let all kinds of errors through.
        raise DataError(
            f"Cannot decode the picture {path}: {type(error).__name__}: {error}. "
            f"Restore the file, or leave such pictures out with data.on_error=skip."
        ) from error
    if picture.size != (size, size):
        picture = picture.resize((size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()


def _to_rgb(picture: Image.Image) -> Image.Image:
    """RGB version of a picture of any mode whose range of values is known."""
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


def without_broken(table: Annotations) -> Annotations:
    """The rows whose picture can be decoded; the others are counted as ``broken picture``.

    Every picture is decoded once to find out, in threads (a progress bar is shown for large
    tables).

    Raises:
        DataError: No row is left.
    """

    def is_whole(path: str) -> bool:
        try:
            decode_image(table.root / path, size=1)
        except DataError:
            return False
        return True

    whole = np.array(map_files(is_whole, table.path.tolist(), "Checking pictures"), dtype=bool)
    if whole.all():
        return table
    if not whole.any():
        raise DataError(f"{table.root}: none of the {len(table)} pictures can be decoded.")
    left_out = {**table.left_out, "broken picture": int((~whole).sum())}
    return replace(table.select(whole), left_out=left_out)
