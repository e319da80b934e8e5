"""Which files are pictures, by their names and by what Pillow opens."""

from __future__ import annotations

import pytest
from PIL import Image

from cage_lightning.data import formats, images
from cage_lightning.data.formats import (
    FORMATS,
    PICTURE_SUFFIXES,
    is_passed_over,
    is_picture,
    other_files,
)
from cage_lightning.data.images import decode_image
from cage_lightning.errors import DataError


def test_the_endings_are_those_of_the_formats() -> None:
    known = Image.registered_extensions()
    assert {ending for ending, name in known.items() if name in FORMATS} == set(PICTURE_SUFFIXES)


@pytest.mark.parametrize("name", ["a.JPG", "b.c.jfif", "train/Fear/ä 1.Gif", "x.avif", "x.ppm"])
def test_pictures_by_name(name: str) -> None:
    assert is_picture(name)
    assert not is_passed_over(name)


@pytest.mark.parametrize("name", ["Thumbs.db", ".DS_Store", "._1.jpg", "DESKTOP.INI"])
def test_what_a_system_leaves_in_folders_is_passed_over(name: str) -> None:
    assert is_passed_over(name)
    assert other_files([f"train/Fear/{name}"]) == {}


def test_other_files_are_counted_by_their_endings() -> None:
    names = ["a/1.txt", "2.TXT", "3.heic", "jpg", "4.<b>", "5.", "6.a|b", f"7.{'x' * 40}"]
    assert other_files(names) == {
        "no picture (.txt)": 2,
        "no picture (.heic: convert it to JPEG)": 1,
        "no picture": 5,
    }


def test_a_photograph_of_an_iphone_is_to_be_converted() -> None:
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(50)
    with pytest.raises(DataError, match="HEIC: convert it to JPEG"):
        decode_image(heic, 32)
    with pytest.raises(DataError, match="none of JPEG"):
        decode_image(heic.replace(b"ftyp", b"free"), 32)


def test_avif_is_to_be_converted_where_pillow_lacks_its_library(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    avif = b"\0\0\0\x1cftypavif\0\0\0\0avifmif1" + bytes(50)
    without = tuple(name for name in formats.FORMATS if name != "AVIF")
    for module in (formats, images):
        monkeypatch.setattr(module, "FORMATS", without)
    with pytest.raises(DataError, match="AVIF: convert it to JPEG"):
        decode_image(avif, 32)
