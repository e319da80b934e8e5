"""Copies of pictures with what was found in them."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from cage_lightning.faces.rendering import render
from cage_lightning.faces.sources import Item
from cage_lightning.labels import AFFECTNET_8


def test_every_picture_has_a_copy_of_its_own(tmp_path: Path) -> None:
    colors = {"a.png": "red", "a.png.jpg": "lime", "a.jpg": "blue"}
    for name, color in colors.items():
        Image.new("RGB", (16, 16), color).save(tmp_path / name)
    items = [Item(str(tmp_path / name), "picture") for name in colors]
    rows = [{"file": item.name, "frame": None, "face": None} for item in items]
    folder = tmp_path / "copies"
    assert render(items, rows, folder, AFFECTNET_8, every=1, about={})
    found = set()
    for copy in folder.glob("*.jpg"):
        with Image.open(copy) as drawn:
            found.add(drawn.getpixel((8, 8)))
    assert len(found) == len(colors)
    assert not render(items, rows, folder, AFFECTNET_8, every=1, about={})
