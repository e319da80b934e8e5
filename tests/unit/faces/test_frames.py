"""Frames: upright pictures of every kind, faults instead of errors, and the time of a frame."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from cage_lightning.errors import ConfigError
from cage_lightning.faces.frames import Frame, read_frames
from cage_lightning.faces.sources import Item
from tests.faulty_pictures import pictures

SIZE = (32, 48)  # height, width of the videos


def write_video(path: Path, times_ms: Sequence[int], turned: bool = False) -> None:
    """A video whose frame `n` is grey level 4 n, shown at the given times."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for n, time_ms in enumerate(times_ms):
            frame = av.VideoFrame.from_ndarray(np.full((*SIZE, 3), 4 * n, np.uint8), "rgb24")
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def read(path: Path, start: int = 0, every: int = 1) -> list[Frame]:
    return list(read_frames(Item(str(path), "video"), start, every))


def read_picture(path: Path) -> Frame:
    return next(read_frames(Item(str(path), "picture")))


def test_a_picture_is_upright(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    for orientation, upright in ((1, pixels), (3, np.rot90(pixels, 2)), (6, np.rot90(pixels, -1))):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
        np.testing.assert_array_equal(read_picture(tmp_path / "a.png").picture, upright)


def test_sound_and_faulty_pictures_of_every_kind(tmp_path: Path) -> None:
    for made in pictures(0, 120):
        (tmp_path / "a").write_bytes(made.content)
        frame = read_picture(tmp_path / "a")
        if made.rgb is None:
            assert frame.picture is None
            assert frame.fault
            assert str(tmp_path) not in frame.fault
        else:
            np.testing.assert_array_equal(frame.picture, made.rgb)


def test_what_is_no_file_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "folder.mp4").mkdir()
    for kind in ("picture", "video"):
        for name in ("folder.mp4", "nothing.mp4"):
            if kind == "video":
                pytest.importorskip("av")
            (frame,) = read_frames(Item(str(tmp_path / name), kind))
            assert frame.fault


def test_frames_have_the_times_of_the_file(tmp_path: Path) -> None:
    times = [0, 40, 80, 480, 500, 1700, 1740]  # no constant rate
    write_video(tmp_path / "a.mkv", times)
    frames = read(tmp_path / "a.mkv")
    assert [frame.number for frame in frames] == list(range(7))
    assert [frame.time_s for frame in frames] == pytest.approx([t / 1000 for t in times])
    levels = [int(f.picture.mean() / 4 + 0.5) for f in frames if f.picture is not None]
    assert levels == list(range(7))


def test_some_frames_of_a_video(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", range(0, 1000, 100))
    assert [f.number for f in read(tmp_path / "a.mkv", start=4, every=3)] == [6, 9]
    assert read(tmp_path / "a.mkv", start=10) == []


def test_a_damaged_video_keeps_its_first_frames(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", range(0, 1000, 100))
    content = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "a.mp4").write_bytes(content[: len(content) // 2])  # its index is at its end
    (frame,) = read(tmp_path / "a.mp4")
    assert frame.fault is not None
    assert str(tmp_path) not in frame.fault


def test_a_video_opens_no_other_file(tmp_path: Path) -> None:
    write_video(tmp_path / "secret.mp4", range(0, 200, 100))
    (tmp_path / "hls.mp4").write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{tmp_path}/secret.mp4\n#EXT-X-ENDLIST\n",
        encoding="utf-8",
    )
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile secret.mp4\n", encoding="utf-8")
    for name in ("hls.mp4", "list.mp4"):
        (frame,) = read(tmp_path / name)
        assert frame.fault
        assert frame.picture is None


class Camera:
    """Three grey frames in BGR, 0.1 s apart, and no more."""

    opened: ClassVar[list[int]] = []

    def __init__(self, number: int) -> None:
        self.opened.append(number)
        self.left = 3

    def isOpened(self) -> bool:
        return self.left > 0

    def read(self) -> tuple[bool, np.ndarray]:
        self.left -= 1
        return self.left >= 0, np.full((2, 3, 3), (self.left, 0, 9), np.uint8)

    def release(self) -> None:
        self.opened.clear()


def test_a_camera_is_read_in_rgb_and_released(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", SimpleNamespace(VideoCapture=Camera))
    frames = list(read_frames(Item("7", "camera")))
    assert [frame.number for frame in frames] == [0, 1, 2]
    assert [f.picture[0, 0].tolist() for f in frames if f.picture is not None] == [
        [9, 0, 2],
        [9, 0, 1],
        [9, 0, 0],
    ]
    assert not Camera.opened
    monkeypatch.setattr(Camera, "isOpened", lambda self: False)
    with pytest.raises(ConfigError, match="source=7: there is no such camera"):
        list(read_frames(Item("7", "camera")))


def test_a_video_of_too_many_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "a.mkv", range(0, 200, 100))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 32 * 48 - 1)
    (frame,) = read(tmp_path / "a.mkv")
    assert frame.fault == "ValueError: 48x32 pixels"
