"""What `source=` names."""

from __future__ import annotations

from pathlib import Path

import pytest

from cage_lightning.errors import ConfigError
from cage_lightning.faces.sources import Item, list_items


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("b.jpg", "a.MP4", "deep/c.png", "deep/notes.txt", ".hidden", ".git/x.png"):
        file = tmp_path / "photos" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (tmp_path / "photos" / "deep" / "circle").symlink_to(tmp_path / "photos")
    (tmp_path / "photos" / "gone.jpg").symlink_to("nowhere")
    (tmp_path / "photos" / "deep" / "list.txt").write_text(
        "c.png\n\n ../b.jpg \n", encoding="utf-8"
    )
    return tmp_path


def places(source: str | list[str]) -> list[str]:
    return [item.place for item in list_items(source)]


def test_a_folder_at_every_depth(folder: Path) -> None:
    assert list_items("photos") == [
        Item("photos/a.MP4", "video"),
        Item("photos/b.jpg", "picture"),
        Item("photos/deep/c.png", "picture"),
        Item("photos/deep/list.txt", "picture"),
        Item("photos/deep/notes.txt", "picture"),
        Item("photos/gone.jpg", "picture"),
    ]


def test_files_globs_and_lists(folder: Path) -> None:
    assert places("photos/b.jpg") == ["photos/b.jpg"]
    assert places("photos/gone.jpg") == ["photos/gone.jpg"]
    assert places("photos/*/*.png") == ["photos/deep/c.png"]
    assert places(f"{folder}/photos/d*/c.png") == [f"{folder}/photos/deep/c.png"]
    assert places("photos/deep/list.txt") == ["photos/deep/c.png", "photos/deep/../b.jpg"]
    assert places(["photos/b.jpg", "photos/a.MP4"]) == ["photos/b.jpg", "photos/a.MP4"]


def test_cameras_and_streams(folder: Path) -> None:
    assert list_items("0") == [Item("0", "camera")]
    assert list_items("RTSP://host/a")[0].kind == "stream"
    Path("7").touch()
    assert list_items("7") == [Item("7", "picture")]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nothing.jpg", "no such file"),
        ("photos/*.gif", "no file in it"),
        (["0", "photos/b.jpg"], "looked at alone"),
    ],
)
def test_what_is_refused(folder: Path, source: str | list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        list_items(source)


def test_a_list_that_is_no_text(folder: Path) -> None:
    Path("list.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        list_items("list.txt")


def test_a_password_is_in_no_name() -> None:
    assert Item("rtsp://me:secret@host:554/a@b", "stream").name == "rtsp://host:554/a@b"
    assert Item("http://host/a@b", "stream").name == "http://host/a@b"


def test_a_name_that_is_no_text_is_escaped() -> None:
    assert Item("a\udcff.jpg", "picture").name == r"a\xff.jpg"
