"""Faulty pictures by the hundred, the same ones each time."""

from __future__ import annotations

import io
import math
import os
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

SIZE = 24  # of the sound pictures, in pixels


class Picture(NamedTuple):
    """A file; `faults` are the names it may be given, none if it is sound.

    `mode` and `rgb` are what is in a sound one.
    """

    kind: str
    content: bytes
    faults: tuple[str, ...] = ()
    mode: str = ""
    rgb: np.ndarray | None = None


def noise(rng: random.Random, *shape: int) -> np.ndarray:
    return np.frombuffer(rng.randbytes(math.prod(shape)), np.uint8).reshape(shape)


def saved(picture: Image.Image, format_: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, format_, **options)
    return file.getvalue()


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def truncated(rng: random.Random) -> Picture:
    format_ = rng.choice(["JPEG", "JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
    options = {"progressive": True} if format_ == "JPEG" and rng.random() < 0.5 else {}
    whole = saved(Image.fromarray(noise(rng, SIZE, SIZE, 3)), format_, **options)
    cut = rng.randrange(1, len(whole) * 9 // 10)
    sure = cut > 0.6 * len(whole) and format_ in ("JPEG", "PNG", "GIF", "BMP", "PPM")
    anyhow = ("truncated", "not a picture", "corrupt")
    return Picture("truncated", whole[:cut], anyhow[:1] if sure else anyhow)


def zero_bytes(rng: random.Random) -> Picture:
    if rng.random() < 0.5:
        count = rng.choice([0, rng.randrange(1, 9999)])
        return Picture("zero bytes", bytes(count), ("not a picture",) if count else ("empty",))
    whole = saved(Image.fromarray(noise(rng, SIZE, SIZE, 3)), "JPEG", quality=95)
    cut = rng.randrange(whole.rindex(b"\xff\xda") + 20, len(whole) - 20)
    return Picture("zero bytes", whole[:cut] + bytes(len(whole) - cut), ("truncated",))


SIGNATURES = (
    b"", b"%PDF-1.7\n", b"PK\x03\x04", b"\x1f\x8b\x08", b"<!DOCTYPE html>", b"<svg xmlns=", b"{",
    b"\x00\x00\x00\x20ftypisom", b"\x7fELF", b"\x93NUMPY\x01\x00", b"GIF9", b"ID3",
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"version https://git-lfs",
    b"\x00\x00\x00\x0cjP  \r\n\x87\n", b"8BPS\x00\x01", b"RIFF\x00\x00\x00\x00WAVE",
)  # fmt: skip


def wrong_type(rng: random.Random) -> Picture:
    content = rng.choice(SIGNATURES) + rng.randbytes(rng.randrange(1, 400))
    return Picture("wrong type", content, ("not a picture",))


def huge_dimensions(rng: random.Random) -> Picture:
    most = rng.choice([13_000, 65_536])  # Pillow itself warns of some, and refuses those above
    width, height = (rng.randrange(10_000, most) for _ in range(2))
    row = rng.randbytes(rng.randrange(9, 99))
    content = {
        "PNG": png(width * rng.choice([1, 1, 9999]), height, 8, 2, row),
        "GIF": b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
        + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02L\x01\x00;",
        "BMP": b"BM" + struct.pack("<IIIIIIHHIIIIII", 54, 0, 54, 40, width, height, 1, 24, *6 * [0])
        + row,
        "PPM": b"P6 %d %d 255\n" % (width, height) + row,
    }[rng.choice(["PNG", "GIF", "BMP", "PPM"])]  # fmt: skip
    return Picture("huge dimensions", content, ("decompression bomb",))


def damaged(rng: random.Random) -> Picture:
    content = bytearray(saved(Image.fromarray(noise(rng, SIZE, SIZE, 3)), "PNG"))
    for _ in range(9):
        content[rng.randrange(60, len(content) - 60)] ^= rng.randrange(1, 256)
    return Picture("damaged", bytes(content), ("corrupt", "truncated"))


def wrong_mode(rng: random.Random) -> Picture:
    values: np.ndarray = noise(rng, SIZE, SIZE).astype(np.float32) / 255
    if rng.random() < 0.5:
        values = values.astype(np.int32) + rng.choice([-1, 1]) * rng.randrange(65_536, 1 << 30)
    content = saved(Image.fromarray(values), "TIFF")
    return Picture("wrong mode", content, ("pixel values of unknown range",))


def rgb_of_cmyk(cmyk: np.ndarray) -> np.ndarray:
    """R = (255 - K) (255 - C) / 255, rounded as Pillow does."""
    white = 255 - cmyk[..., 3:].astype(int)
    product = cmyk[..., :3] * white + 128
    return np.asarray(white - ((product + (product >> 8)) >> 8), np.uint8)


def odd_modes(rng: random.Random) -> list[Picture]:
    """Sound pictures in modes that are converted; what they should become is computed here."""
    grey, rgb, cmyk = (noise(rng, SIZE, SIZE, n).squeeze() for n in (1, 3, 4))
    grey16, rgb16 = (noise(rng, SIZE, SIZE, 2 * n).copy().view(">u2").squeeze() for n in (1, 3))
    on = grey > 127
    palette = Image.fromarray(grey % 4, "P")
    palette.putpalette(rgb.ravel()[:12].tolist())
    rows16 = b"".join(b"\0" + row.tobytes() for row in rgb16)
    jpeg = saved(Image.fromarray(cmyk, "CMYK"), "JPEG")
    with Image.open(io.BytesIO(jpeg)) as opened:
        decoded = np.asarray(opened)

    def threefold(values: np.ndarray) -> np.ndarray:
        return np.repeat(values[..., None], 3, axis=2)

    return [
        Picture(kind, content, (), mode, expected)
        for kind, mode, content, expected in (
            ("CMYK", "CMYK", saved(Image.fromarray(cmyk, "CMYK"), "TIFF"), rgb_of_cmyk(cmyk)),
            ("CMYK", "CMYK", jpeg, rgb_of_cmyk(decoded)),
            (
                "16-bit",
                "I;16",
                saved(Image.fromarray(grey16.astype(np.uint16)), rng.choice(["PNG", "TIFF"])),
                threefold((grey16 >> 8).astype(np.uint8)),
            ),
            ("16-bit", "RGB", png(SIZE, SIZE, 16, 2, rows16), (rgb16 >> 8).astype(np.uint8)),
            ("other mode", "L", saved(Image.fromarray(grey), "PNG"), threefold(grey)),
            (
                "other mode",
                "1",
                saved(Image.fromarray(on), "PNG"),
                threefold(on.astype(np.uint8) * 255),
            ),
            ("other mode", "P", saved(palette, "PNG"), rgb.ravel()[:12].reshape(4, 3)[grey % 4]),
            ("other mode", "RGBA", saved(Image.fromarray(cmyk, "RGBA"), "PNG"), cmyk[..., :3]),
        )
    ]


def sound(rng: random.Random) -> Picture:
    rgb = noise(rng, SIZE, SIZE, 3)
    return Picture("sound", saved(Image.fromarray(rgb), "PNG"), (), "RGB", rgb)


BROKEN = (
    truncated, zero_bytes, wrong_type, huge_dimensions, damaged, wrong_mode, truncated, wrong_type
)  # fmt: skip


def pictures(seed: int, count: int) -> list[Picture]:
    """`count` broken or odd pictures, no two the same."""
    rng = random.Random(seed)
    found: dict[bytes, Picture] = {}
    while len(found) < count:
        more = [make(rng) for make in BROKEN] + (odd_modes(rng) if len(found) % 3 == 0 else [])
        found |= {picture.content: picture for picture in more}
    return list(found.values())[:count]


# What lies where a picture should, made by (its path, a picture outside), and what that is called.
IN_PLACE_OF_A_PICTURE: dict[str, tuple[Callable[[Path, Path], Any], str]] = {
    "nothing": (lambda path, secret: None, "missing"),
    "folder": (lambda path, secret: path.mkdir(), "not a file"),
    "pipe": (lambda path, secret: os.mkfifo(path), "not a file"),
    "link to itself": (lambda path, secret: path.symlink_to(path.name), "unreadable"),
    "link to nothing": (lambda path, secret: path.symlink_to("gone.jpg"), "missing"),
    "link outside": (lambda path, secret: path.symlink_to(secret), "outside the release"),
    "relative link outside": (
        lambda path, secret: path.symlink_to(os.path.relpath(secret, path.parent)),
        "outside the release",
    ),
    "link to a folder outside": (
        lambda path, secret: path.symlink_to(secret.parent.with_name("elsewhere")),
        "outside the release",
    ),
    "link to a device": (lambda path, secret: path.symlink_to("/dev/zero"), "outside the release"),
}
