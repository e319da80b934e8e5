"""AFEW-VA: a file for each clip, the face by its landmarks, splits of whole clips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cage_lightning.app import build
from cage_lightning.data.annotations import Annotations
from cage_lightning.data.datasets import AfewVa
from cage_lightning.errors import ConfigError, DataError
from tests.affectnet_layouts import picture
from tests.conftest import composed

LANDMARKS = [[10 + k % 17, 5 + k / 4] for k in range(68)]  # 10 to 26, 5 to 21.75


def frame(valence: Any = 0, arousal: Any = 0, landmarks: Any = LANDMARKS) -> dict[str, Any]:
    return {"landmarks": landmarks, "valence": valence, "arousal": arousal}


def write_clip(
    root: Path, clip: str, frames: list[dict[str, Any]], suffix: str = ".png", **more: Any
) -> Path:
    """`clip` may lie in further folders."""
    folder = root / clip
    folder.mkdir(parents=True, exist_ok=True)
    named = {f"{number:05d}": about for number, about in enumerate(frames)}
    for name in named:
        (folder / f"{name}{suffix}").write_bytes(picture(suffix, size=(40, 30)))
    path = folder / f"{folder.name}.json"
    path.write_text(json.dumps({"frames": named, "video_id": folder.name, **more}))
    return path


def source(root: Path, **settings: Any) -> AfewVa:
    usual: dict[str, Any] = {"on_error": "raise", "group_by": "video", "test_fraction": 0.5}
    given = usual | {"val_fraction": None, "split_seed": 0} | settings
    return AfewVa(root=str(root), store=None, **given)


def read(root: Path, **settings: Any) -> Annotations:
    """All frames, as the test split."""
    return source(root, test_fraction=1, **settings).own_split("test")


@pytest.mark.parametrize("inside", ["", "01/", "AFEW-VA/01/"])
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_frames_are_scaled_and_cropped_to_the_landmarks(tmp_path, inside, suffix):
    write_clip(tmp_path, f"{inside}002", [frame(-10, 10), frame(5, -2.5)], suffix)
    write_clip(tmp_path, f"{inside}001", [frame(0, 1)], suffix)
    table = read(tmp_path)
    assert table.id.tolist() == ["001/00000", "002/00000", "002/00001"]
    assert table.path[2] == f"{inside}002/00001{suffix}"
    expected = np.array([[0, 0.1], [-1, 1], [0.5, -0.25]], np.float32)
    np.testing.assert_allclose(table.affect, expected, atol=1e-7)
    assert table.box is not None
    assert table.box.tolist() == [[10, 5, 26, 21.75]] * 3
    assert table.groups["video"].tolist() == ["001", "002", "002"]
    space = table.space
    assert (space.name, space.categories) == ("afewva", ())
    assert (space.dimensions, space.native_range) == (("valence", "arousal"), (-10.0, 10.0))


def test_no_clip_is_on_two_sides(tmp_path):
    for clip in range(8):
        write_clip(tmp_path, f"{clip:03d}", [frame(clip)] * 3)
    made = source(tmp_path, val_fraction=0.25)
    assert made.own_splits == ("train", "val", "test")
    videos = [made.own_split(split).groups["video"].tolist() for split in made.own_splits]
    names = sorted(name for of_split in videos for name in of_split)
    assert names == [f"{clip:03d}" for clip in range(8) for _ in range(3)]
    assert sum(len(set(of_split)) for of_split in videos) == 8
    again = source(tmp_path, val_fraction=0.25, split_seed=1)
    assert again.own_split("test").id.tolist() != made.own_split("test").id.tolist()


def test_actors_are_kept_together_where_every_clip_tells_them(tmp_path):
    for clip in range(6):
        write_clip(tmp_path, f"{clip:03d}", [frame()], actor=f"actor {clip // 3}")
    made = source(tmp_path, group_by="person")
    sides = [set(made.own_split(split).groups["person"]) for split in ("train", "test")]
    assert sorted(map(sorted, sides)) == [["actor 0"], ["actor 1"]]
    write_clip(tmp_path, "006", [frame()])
    assert read(tmp_path).groups.keys() == {"video"}
    with pytest.raises(ConfigError, match="person"):
        source(tmp_path, group_by="person")


@pytest.mark.parametrize(
    ("about", "message"),
    [
        (frame(11), "column 'valence': '11' is no number from -10 to 10"),
        (frame(0, "3"), "column 'arousal': '3'"),
        (frame(None), "column 'valence': 'None'"),
        (frame(True), "column 'valence': 'True'"),
        (frame(landmarks=LANDMARKS[1:]), "column 'landmarks'.*are not 68 points"),
        (frame(landmarks=[[1, 1]] * 68), "column 'landmarks'"),
        (frame(landmarks=None), "column 'landmarks': 'None'"),
        ({}, "3 wrong cells in 1 rows"),
        ("x", "3 wrong cells in 1 rows"),
    ],
)
def test_a_wrong_frame_is_named_or_left_out(tmp_path, about, message):
    write_clip(tmp_path, "001", [frame(1)])
    path = write_clip(tmp_path, "002", [frame(), about])
    with pytest.raises(DataError, match=message) as error:
        read(tmp_path)
    assert str(error.value).startswith(f"{path}, frame 00001")
    assert "\n" not in str(error.value)
    skipped = read(tmp_path, on_error="skip")
    assert skipped.id.tolist() == ["001/00000", "002/00000"]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"frames": []}', "7"])
def test_a_broken_file_is_named(tmp_path, content):
    path = write_clip(tmp_path, "001", [frame()])
    path.write_text(content)
    with pytest.raises(DataError, match="expected the frames of a clip") as error:
        read(tmp_path)
    assert str(error.value).startswith(str(path))


def test_a_missing_picture_is_an_error_or_left_out(tmp_path):
    write_clip(tmp_path, "001", [frame(), frame()])
    (tmp_path / "001/00001.png").unlink()
    with pytest.raises(DataError, match=r"frame 00001: 1 of 2 pictures.*001/00001\.png"):
        read(tmp_path)
    assert read(tmp_path, on_error="skip").left_out == {"missing picture": 1}


def test_no_file_lies_outside(tmp_path):
    path = write_clip(tmp_path / "root", "001", [frame()])
    path.rename(tmp_path / "secret.json")
    path.symlink_to(tmp_path / "secret.json")
    with pytest.raises(DataError, match=r"001\.json is a link to .*secret\.json"):
        read(tmp_path / "root")


def test_what_may_be_asked_for(tmp_path):
    with pytest.raises(DataError, match=r"No AFEW-VA annotations(.|\n)*\{clip\}\.json"):
        read(tmp_path)
    write_clip(tmp_path, "001", [frame()])
    with pytest.raises(ConfigError, match=r"data\.group_by=actor: choose one of video, person"):
        source(tmp_path, group_by="actor")


def test_whole_clips_choose_the_epoch(tmp_path):
    for clip in range(10):
        write_clip(tmp_path, f"{clip:03d}", [frame(clip)] * 2)
    settings = ("data=afewva", f"data.root={tmp_path}", "model=tiny", "loss=va")
    data = build.build_data(composed(*settings, "data.holdout_fraction=0.3"))
    data.setup("fit")
    videos = [set(table.groups["video"]) for table in (data.train, data.val, data.test)]
    assert all(videos)
    assert len(set().union(*videos)) == sum(map(len, videos)) == 10
    assert data.margin == 0.2
