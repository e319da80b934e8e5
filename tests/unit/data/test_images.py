from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms.v2 import functional as tv

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.broken_pictures import without_broken
from cage_lightning.data.images import decode_image
from cage_lightning.errors import DataError
from cage_lightning.labels import AFFECTNET_8


def noise(height, width, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, channels), dtype=np.uint8).squeeze()


def smooth(size):
    y, x = np.mgrid[:size, :size] / size
    waves = [np.sin(7 * x), np.cos(9 * y), np.sin(5 * (x + y))]
    return (127.5 + 127 * np.stack(waves, axis=-1)).astype(np.uint8)


def as_hwc(image):
    return image.permute(1, 2, 0).numpy()


def test_a_lossless_picture_comes_back_pixel_for_pixel(tmp_path):
    pixels = noise(24, 24)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    image = decode_image(tmp_path / "a.png", 24)
    assert (image.dtype, image.shape) == (torch.uint8, (3, 24, 24))
    assert image.is_contiguous()
    np.testing.assert_array_equal(as_hwc(image), pixels)
    image.zero_()  # writable memory of its own


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("1", "a.png"),
        ("L", "a.png"),
        ("L", "a.jpg"),
        ("P", "a.png"),
        ("P", "a.gif"),
        ("LA", "a.png"),
        ("RGBA", "a.png"),
        ("CMYK", "a.jpg"),
        ("CMYK", "a.tif"),
        ("RGB", "a.bmp"),
        ("RGB", "a.jpg"),
        ("YCbCr", "a.jpg"),
    ],
)
def test_modes_are_converted_as_pillow_does(tmp_path, mode, name):
    Image.fromarray(noise(16, 16)).convert(mode).save(tmp_path / name)
    with Image.open(tmp_path / name) as stored:
        expected = np.asarray(stored.convert("RGB"))
    assert expected.std() > 10
    np.testing.assert_array_equal(as_hwc(decode_image(tmp_path / name, 16)), expected)


def test_alpha_is_dropped(tmp_path):
    pixels = noise(8, 8, channels=4)
    Image.fromarray(pixels, "RGBA").save(tmp_path / "a.png")
    np.testing.assert_array_equal(as_hwc(decode_image(tmp_path / "a.png", 8)), pixels[..., :3])


def test_a_palette_with_transparent_entries_keeps_its_colours(tmp_path):
    indices, palette = noise(8, 8, channels=1) % 4, noise(4, 3, channels=1)
    picture = Image.fromarray(indices, "P")
    picture.putpalette(palette.ravel().tolist())
    picture.save(tmp_path / "a.png", transparency=bytes([0, 128, 255, 7]))
    np.testing.assert_array_equal(as_hwc(decode_image(tmp_path / "a.png", 8)), palette[indices])


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path, name):
    grey = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    Image.fromarray(grey).save(tmp_path / name)
    image = as_hwc(decode_image(tmp_path / name, 16))
    np.testing.assert_array_equal(image, np.repeat((grey // 256)[..., None], 3, axis=2))


def test_big_endian_sixteen_bit_grey(tmp_path):
    grey = np.arange(0, 65536, 1024, dtype=">u2").reshape(8, 8)
    entries = [(256, 3, 8), (257, 3, 8), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 8)]
    entries += [(277, 3, 1), (278, 3, 8), (279, 4, 128)]
    fields = b"".join(
        struct.pack(">HHIHH", tag, kind, 1, value, 0)
        if kind == 3
        else struct.pack(">HHII", tag, kind, 1, value)
        for tag, kind, value in entries
    )
    header = b"MM\x00*" + struct.pack(">I", 8 + 128)
    directory = struct.pack(">H", len(entries)) + fields + bytes(4)
    (tmp_path / "a.tif").write_bytes(header + grey.tobytes() + directory)
    np.testing.assert_array_equal(as_hwc(decode_image(tmp_path / "a.tif", 8))[..., 0], grey >> 8)


def test_a_smaller_size_is_antialiased_bilinear(tmp_path):
    pixels = noise(90, 90)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    image = decode_image(tmp_path / "a.png", 32)
    reference = tv.resize(torch.from_numpy(pixels).permute(2, 0, 1), [32, 32], antialias=True)
    assert (image.int() - reference.int()).abs().max() <= 1


def test_a_picture_that_is_not_square_fills_the_square(tmp_path):
    left_black = np.zeros((20, 40, 3), dtype=np.uint8)
    left_black[:, 20:] = 255
    Image.fromarray(left_black).save(tmp_path / "a.png")
    image = decode_image(tmp_path / "a.png", 10)
    assert image.shape == (3, 10, 10)
    assert (image[:, :, :4] == 0).all()
    assert (image[:, :, 6:] == 255).all()


def test_jpeg_is_decoded_at_full_scale_before_it_is_resized(tmp_path):
    Image.fromarray(noise(256, 256)).save(tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as stored:
        full = np.asarray(stored.convert("RGB").resize((32, 32), Image.Resampling.BILINEAR))
    with Image.open(tmp_path / "a.jpg") as stored:
        stored.draft("RGB", (32, 32))
        reduced = np.asarray(stored.convert("RGB").resize((32, 32), Image.Resampling.BILINEAR))
    assert (full != reduced).any()
    np.testing.assert_array_equal(as_hwc(decode_image(tmp_path / "a.jpg", 32)), full)


def test_exif_orientation_is_not_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees for display
    Image.fromarray(smooth(32)).save(tmp_path / "turned.jpg", exif=exif)
    Image.fromarray(smooth(32)).save(tmp_path / "plain.jpg")
    turned, plain = (decode_image(tmp_path / f"{name}.jpg", 32) for name in ("turned", "plain"))
    assert torch.equal(turned, plain)


def png_of_size(width, height):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(9))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def encoded(format_, mode="RGB"):
    buffer = io.BytesIO()
    Image.fromarray(smooth(32)).convert(mode).save(buffer, format_)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no picture at all",
        encoded("JPEG")[:20],
        encoded("JPEG")[:-200],
        encoded("JPEG")[:-200] + bytes(200),
        encoded("PNG")[: len(encoded("PNG")) // 2],
        encoded("TIFF", "F"),
        png_of_size(20_000, 20_000),
        png_of_size(10_000, 10_000),
        png_of_size(16, 16),
    ],
    ids=[
        "empty",
        "text",
        "header",
        "jpeg",
        "jpeg-zeros",
        "png",
        "float",
        "bomb",
        "large",
        "no-pixels",
    ],
)
def test_a_broken_picture_is_an_error_that_names_the_file(tmp_path, content):
    path = tmp_path / "face 17.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"face 17\.jpg.*on_error=skip"):
        decode_image(path, 32)


def test_grey_values_of_unknown_range_are_refused(tmp_path):
    Image.fromarray(np.full((4, 4), 70_000, dtype=np.int32)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match="70000 do not fit 16 bits"):
        decode_image(tmp_path / "a.tif", 4)


def test_zeros_behind_a_whole_jpeg_do_no_harm():
    content = encoded("JPEG")
    assert torch.equal(decode_image(content + bytes(99), 32), decode_image(content, 32))


@pytest.mark.timeout(60, method="thread")
def test_what_is_no_file_is_an_error_that_names_it(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path / "none.jpg", tmp_path, tmp_path / "pipe.jpg"):
        with pytest.raises(DataError, match=str(path)):
            decode_image(path, 32)


@pytest.mark.filterwarnings("ignore")  # Pillow warns of some of the damage
@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"]),
    st.data(),
)
def test_damage_is_a_picture_or_a_data_error_and_nothing_else(tmp_path_factory, format_, data):
    content = bytearray(encoded(format_))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        image = decode_image(path, 16)
    except DataError:
        return
    assert (image.dtype, image.shape) == (torch.uint8, (3, 16, 16))


def table_of(root: Path, n: int) -> Annotations:
    return Annotations(
        space=AFFECTNET_8,
        root=root,
        id=np.arange(n).astype(str),
        path=np.array([f"{i}.png" for i in range(n)]),
        category=np.arange(n) % 8,
        affect=np.zeros((n, 2), dtype=np.float32),
        left_out={"uncertain": 3},
    )


def test_broken_pictures_are_left_out_and_counted(tmp_path):
    table = table_of(tmp_path, 5)
    for i in range(5):
        (tmp_path / f"{i}.png").write_bytes(encoded("PNG"))
    assert without_broken(table) is table

    (tmp_path / "1.png").write_bytes(b"")
    (tmp_path / "3.png").unlink()
    kept = without_broken(table)
    assert kept.id.tolist() == ["0", "2", "4"]
    assert kept.category.tolist() == [0, 2, 4]
    assert kept.left_out == {"uncertain": 3, "broken picture": 2}


def test_a_table_without_any_good_picture_is_an_error(tmp_path):
    with pytest.raises(DataError, match="none of the 2 pictures"):
        without_broken(table_of(tmp_path, 2))
