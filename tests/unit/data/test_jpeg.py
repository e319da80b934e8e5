"""Plain JPEG files are decoded without Pillow, to the same pixels; everything else is Pillow's."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cage_lightning.data import jpeg
from cage_lightning.data.images import decode_image
from cage_lightning.data.jpeg import decode_jpeg, plain_size
from cage_lightning.errors import DataError

WIDTH, HEIGHT = 45, 35


def drawn(mode: str = "RGB", width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """Waves of colour, an edge and some noise."""
    y, x = np.mgrid[:height, :width] / 30
    waves = np.stack([np.sin(7 * x), np.cos(9 * y), np.sin(5 * (x + y))], axis=-1)
    noise = np.random.default_rng(0).normal(0, 12, waves.shape)
    pixels = 127.5 + 110 * waves + noise
    pixels[height // 2 :, : width // 3] = (250, 20, 60)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).convert(mode)


def encoded(mode: str = "RGB", size: tuple[int, int] = (WIDTH, HEIGHT), **settings: Any) -> bytes:
    file = io.BytesIO()
    drawn(mode, *size).save(file, "JPEG", **settings)
    return file.getvalue()


def as_pillow(content: bytes) -> Any:
    with Image.open(io.BytesIO(content)) as stored:
        return np.asarray(stored.convert("RGB"))


def somewhere(width: int = WIDTH, height: int = HEIGHT) -> jpeg.Pixels:
    return np.full((height, width, 3), 7, np.uint8)


PLAIN = {
    "baseline": encoded(),
    "progressive": encoded(progressive=True),
    "optimised": encoded(optimize=True),
    "4:4:4": encoded(subsampling=0),
    "4:2:2": encoded(subsampling=1),
    "4:2:0": encoded(subsampling=2, quality=30),
    "progressive 4:4:4": encoded(subsampling=0, progressive=True),
    "best": encoded(quality=100, subsampling=2),
    "worst": encoded(quality=1),
    "grey": encoded("L"),
    "progressive grey": encoded("L", progressive=True),
    "a comment": encoded(comment=b"drawn"),
    "restarts": encoded(restart_marker_blocks=1),
    "a pixel": encoded(size=(1, 1)),
    "a row": encoded(size=(65, 1)),
    "a column": encoded(size=(1, 33)),
    "large": encoded(size=(300, 211)),
}


def with_exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(exif=exif)


def png() -> bytes:
    file = io.BytesIO()
    drawn().save(file, "PNG")
    return file.getvalue()


OTHERS = {
    "nothing": b"",
    "the first bytes": PLAIN["baseline"][:4],
    "a head": PLAIN["baseline"][:180],
    "CMYK": encoded("CMYK"),
    "EXIF": with_exif(),
    "a colour profile": encoded(icc_profile=b"x" * 50),
    "PNG": png(),
    "no pixels": PLAIN["baseline"].replace(
        bytes([8, 0, HEIGHT, 0, WIDTH, 3]), bytes([8, 0, 0, 0, 0, 3])
    ),
    "12 bits": PLAIN["baseline"].replace(
        bytes([8, 0, HEIGHT, 0, WIDTH]), bytes([12, 0, HEIGHT, 0, WIDTH])
    ),
    "lossless": PLAIN["baseline"].replace(b"\xff\xc0", b"\xff\xc3"),
    "two frames": PLAIN["baseline"].replace(
        b"\xff\xc0", PLAIN["grey"][PLAIN["grey"].index(b"\xff\xc0") :][:13] + b"\xff\xc0"
    ),
}


@pytest.mark.parametrize("kind", PLAIN)
def test_a_plain_file_gives_pillows_pixels(kind: str) -> None:
    content = PLAIN[kind]
    expected = as_pillow(content)
    height, width, _ = expected.shape
    assert plain_size(content) == (width, height)
    place = somewhere(width, height)
    assert decode_jpeg(content, place) is place
    np.testing.assert_array_equal(place, expected)
    larger = somewhere(width + 1, height)
    np.testing.assert_array_equal(decode_jpeg(content, larger), expected)
    assert (larger == 7).all()


@pytest.mark.parametrize("kind", OTHERS)
def test_everything_else_is_left_to_pillow(kind: str) -> None:
    assert plain_size(OTHERS[kind]) is None
    assert decode_jpeg(OTHERS[kind], somewhere()) is None


def test_a_file_with_more_pixels_than_pillow_takes_is_left_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", WIDTH * HEIGHT - 1)
    assert plain_size(PLAIN["baseline"]) is None


@pytest.mark.parametrize("cut", [1, 2, 50, 400])
def test_a_truncated_file_is_left_to_pillow(cut: int) -> None:
    content = PLAIN["baseline"][:-cut]
    assert plain_size(content) == (WIDTH, HEIGHT)
    assert decode_jpeg(content, somewhere()) is None


def outcome(content: bytes) -> torch.Tensor | str:
    try:
        return decode_image(content, 24)
    except DataError as error:
        return str(error)


@pytest.mark.filterwarnings("ignore")  # Pillow warns of some of the damage
@settings(max_examples=200, deadline=None)
@given(kind=st.sampled_from(sorted(set(PLAIN) - {"large"})), data=st.data())
def test_damage_ends_as_with_pillow_alone(kind: str, data: st.DataObject) -> None:
    content = bytearray(PLAIN[kind])
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(content[: data.draw(st.integers(len(content) // 2, len(content)))])
    found = outcome(damaged)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jpeg, "AVAILABLE", False)
        expected = outcome(damaged)
    assert type(found) is type(expected)
    assert found == expected if isinstance(found, str) else torch.equal(found, expected)  # type: ignore[arg-type]
