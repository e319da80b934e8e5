"""Folders of pictures that are links: nothing but the folder names what is in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cage_lightning.data.readers.affectnet.reader import read_affectnet
from cage_lightning.data.readers.folders import read_folders
from cage_lightning.errors import DataError
from cage_lightning.labels import AFFECTNET_8
from tests.affectnet_layouts import picture

READERS: dict[str, Callable[[Path], object]] = {
    "folders": read_folders,
    "affectnet8": lambda root: read_affectnet(root, "train", AFFECTNET_8),
}


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """Two categories in each of two splits."""
    for split in ("train", "test"):
        for category in ("happy", "sad"):
            folder = tmp_path / "release" / split / category
            folder.mkdir(parents=True)
            (folder / "a.png").write_bytes(picture(".png"))
    return tmp_path / "release"


@pytest.mark.parametrize("linked", ["train/happy", "train"])
@pytest.mark.parametrize("reader", READERS)
def test_no_folder_leads_out_of_the_release(reader: str, linked: str, release: Path) -> None:
    private = release.parent / "private"
    (release / linked).rename(private)
    (release / linked).symlink_to(private)
    with pytest.raises(DataError) as refused:
        READERS[reader](release)
    message = f"{release / linked} is a link to {private}, outside {release}: "
    assert str(refused.value).startswith(message)


def test_links_inside_and_a_linked_root_are_followed(release: Path) -> None:
    (release / "train/happy").rename(release / ".elsewhere")
    (release / "train/happy").symlink_to("../.elsewhere")
    (release.parent / "link").symlink_to(release)
    assert len(read_folders(release.parent / "link").picture) == 4
