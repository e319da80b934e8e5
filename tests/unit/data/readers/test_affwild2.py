"""Aff-Wild2: a line for each frame, frames without a face, and videos that two lists split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from cage_lightning.app import build
from cage_lightning.data.annotations import Annotations
from cage_lightning.data.readers.affwild2 import read_affwild2
from cage_lightning.errors import ConfigError, DataError
from tests.affectnet_layouts import picture
from tests.conftest import composed

VA, EXPR = "VA_Estimation_Challenge", "EXPR_Classification_Challenge"
HEADERS = {
    VA: "valence,arousal",
    EXPR: "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other",
}
# Written out, not computed: what the codes 0 to 7 mean.
NAMES = ("Neutral", "Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise", "Other")
SET = {"train": "Train_Set", "test": "Validation_Set"}


def write_list(
    root: Path,
    kind: str,
    video: str,
    lines: Sequence[str],
    split: str = "train",
    inside: str = "annotations",
) -> Path:
    folder = root / inside / kind / SET[split]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{video}.txt").write_text("\n".join([HEADERS[kind], *lines]) + "\n")
    return folder / f"{video}.txt"


def write_frames(root: Path, video: str, numbers: Sequence[int]) -> None:
    folder = root / "cropped_aligned" / video
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        (folder / f"{number:05d}.jpg").write_bytes(picture(".jpg", number % 256))


def write_small(root: Path) -> None:
    """Two videos of training and one of validation, in both lists."""
    for video, split in (("1-30-640x360", "train"), ("video2", "train"), ("video3", "test")):
        write_list(root, VA, video, ["0.5,-0.25", "-5,-5", "0.1,0.2"], split)
        write_list(root, EXPR, video, ["4", "-1", "7"], split)
        write_frames(root, video, [1, 2, 3])


def unknown(table: Annotations) -> list[list[bool]]:
    missing: list[list[bool]] = np.isnan(table.affect).tolist()
    return missing


def test_the_lists_are_joined_by_frame(tmp_path):
    write_list(tmp_path, VA, "video5", ["0.5,-0.25", "-5,-5", "-5,0.5", "-1,1", "-5,-5.0"])
    write_list(tmp_path, EXPR, "video5", ["4", "7", "-1", "0", "-1"])
    write_frames(tmp_path, "video5", range(1, 6))
    table = read_affwild2(tmp_path, "train")
    assert table.id.tolist() == ["video5/00001", "video5/00002", "video5/00004"]
    assert table.path[0] == "cropped_aligned/video5/00001.jpg"
    assert [table.space.categories[k] for k in table.category] == ["Happiness", "Other", "Neutral"]
    assert table.affect[[0, 2]].tolist() == [[0.5, -0.25], [-1.0, 1.0]]
    assert unknown(table)[1] == [True, True]
    assert table.groups["video"].tolist() == ["video5"] * 3
    assert table.left_out == {"not annotated": 2}
    assert (table.space.name, table.space.native_range) == ("affwild2", (-1.0, 1.0))


@pytest.mark.parametrize(
    ("labels", "ids", "shape"),
    [("va", ["00001", "00003"], (2, 2)), ("expr", ["00001", "00002"], (2, 0))],
)
def test_one_kind_of_label_is_enough(tmp_path, labels, ids, shape):
    write_list(tmp_path, VA, "a", ["0.5,-0.25", "-5,-5", "0.25,0.25"])
    write_list(tmp_path, EXPR, "a", ["3", "5", "-1"])
    write_frames(tmp_path, "a", range(1, 4))
    table = read_affwild2(tmp_path, "train", labels)
    assert table.id.tolist() == [f"a/{number}" for number in ids]
    assert table.affect.shape == shape
    if labels == "va":
        assert (table.space.categories, table.category.tolist()) == ((), [-1, -1])
    else:
        assert [table.space.categories[k] for k in table.category] == ["Fear", "Sadness"]
        assert table.space.dimensions == ()
    # Without the other list as well, and then not with both.
    (tmp_path / "annotations" / (EXPR if labels == "va" else VA)).rename(tmp_path / "away")
    assert read_affwild2(tmp_path, "train", labels).fingerprint() == table.fingerprint()
    with pytest.raises(DataError, match=rf"data\.labels={labels} does without it"):
        read_affwild2(tmp_path, "train")


@pytest.mark.parametrize("code", range(8))
def test_what_the_codes_mean(tmp_path, code):
    write_list(tmp_path, EXPR, "a", [str(code)])
    write_frames(tmp_path, "a", [1])
    table = read_affwild2(tmp_path, "train", "expr")
    assert table.space.categories[table.category[0]] == NAMES[code]


def test_frames_without_a_face_and_without_a_line_are_counted(tmp_path):
    write_list(tmp_path, VA, "a", ["0,0", "0.25,0", "-5,-5", "0.5,0"])
    write_frames(tmp_path, "a", [2, 4, 5, 6])
    (tmp_path / "cropped_aligned/a/.DS_Store").write_bytes(b"x")
    table = read_affwild2(tmp_path, "train", "va")
    assert table.affect[:, 0].tolist() == [0.25, 0.5]
    assert table.left_out == {"frame without a line": 2, "no face found": 1}


def test_a_list_that_is_longer_than_the_other(tmp_path):
    write_list(tmp_path, VA, "a", ["0,0"])
    write_list(tmp_path, EXPR, "a", ["1", "2"])
    write_frames(tmp_path, "a", [1, 2])
    table = read_affwild2(tmp_path, "train")
    assert (table.category.tolist(), unknown(table)) == ([1, 2], [[False] * 2, [True] * 2])


def test_a_video_of_two_persons_is_one_video(tmp_path):
    for side in ("left", "right"):
        write_list(tmp_path, VA, f"135-24_{side}", ["0,0"])
        write_frames(tmp_path, f"135-24_{side}", [1])
    write_list(tmp_path, VA, "left_over", ["0,0"])
    write_frames(tmp_path, "left_over", [1])
    table = read_affwild2(tmp_path, "train", "va")
    assert table.id.tolist() == ["135-24_left/00001", "135-24_right/00001", "left_over/00001"]
    assert table.groups["video"].tolist() == ["135-24", "135-24", "left_over"]


def test_a_video_that_the_other_list_validates_on_is_not_trained_on(tmp_path):
    write_list(tmp_path, VA, "a", ["0,0", "0,0"])
    write_list(tmp_path, EXPR, "a", ["3"], "test")
    write_list(tmp_path, VA, "b_left", ["0.5,0"], "train")
    write_list(tmp_path, VA, "b_right", ["0.5,0"], "test")
    write_list(tmp_path, EXPR, "c", ["2"])
    for video in ("a", "b_left", "b_right", "c"):
        write_frames(tmp_path, video, [1, 2])
    train, test = (read_affwild2(tmp_path, split) for split in ("train", "test"))
    assert train.id.tolist() == ["c/00001"]
    assert train.left_out == {"frame without a line": 1, "video of the test split": 3}
    assert test.id.tolist() == ["a/00001", "b_right/00001"]
    # Each list alone splits as the competition does.
    assert read_affwild2(tmp_path, "train", "va").id.tolist() == ["a/00001", "a/00002"]


def test_a_video_without_frames_is_an_error_or_left_out(tmp_path):
    write_small(tmp_path)
    for path in (tmp_path / "cropped_aligned/video2").iterdir():
        path.unlink()
    (tmp_path / "cropped_aligned/video2").rmdir()
    with pytest.raises(DataError, match=r"no frames of 1 videos, first video2\..*on_error=skip"):
        read_affwild2(tmp_path, "train")
    skipped = read_affwild2(tmp_path, "train", on_error="skip")
    assert (len(skipped), skipped.left_out) == (2, {"missing picture": 2, "not annotated": 1})
    kept = read_affwild2(tmp_path, "train", on_error="keep")
    assert kept.path[2:].tolist() == [f"cropped_aligned/video2/0000{n}.jpg" for n in (1, 3)]


@pytest.mark.parametrize(
    ("kind", "line", "message"),
    [
        (VA, "0.5", "line 3: '0.5', expected valence and arousal"),
        (VA, "0.5,1.5", "line 3: '0.5,1.5'"),
        (VA, "nan,0", "line 3: 'nan,0'"),
        (VA, "", "line 3: ''"),
        (VA, "0,0,0", "line 3: '0,0,0'"),
        (EXPR, "8", "line 3: '8', expected a code from 0 to 7"),
        (EXPR, "-2", "line 3: '-2'"),
        (EXPR, "Fear", "line 3: 'Fear'"),
        (EXPR, "1.0", "line 3: '1.0'"),
    ],
)
def test_a_faulty_line_is_named(tmp_path, kind, line, message):
    write_small(tmp_path)
    good = {VA: "0,0", EXPR: "0"}[kind]
    path = write_list(tmp_path, kind, "video2", [good, line, good])
    with pytest.raises(DataError, match=message) as error:
        read_affwild2(tmp_path, "train")
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("kind", "header"),
    [(VA, "arousal,valence"), (VA, "0.1,0.2"), (EXPR, "Anger,Neutral"), (EXPR, "Neutral,Anger")],
)
def test_a_header_in_another_order_is_refused(tmp_path, kind, header):
    write_small(tmp_path)
    path = write_list(tmp_path, kind, "video2", [])
    path.write_text(f"{header}\n0\n")
    with pytest.raises(DataError, match=rf"video2\.txt, line 1: '{header}', expected "):
        read_affwild2(tmp_path, "train")


def test_headers_and_line_ends_as_they_occur(tmp_path):
    va = write_list(tmp_path, VA, "a", [])
    va.write_bytes(b"\xef\xbb\xbfValence, Arousal\r\n0.5,0.25\r\n\r\n")
    expr = write_list(tmp_path, EXPR, "a", [])
    expr.write_bytes(b"Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise\r\n6\r\n")
    write_frames(tmp_path, "a", [1])
    table = read_affwild2(tmp_path, "train")
    assert (table.affect.tolist(), table.category.tolist()) == ([[0.5, 0.25]], [6])


def test_two_sets_of_lists_are_not_guessed_between(tmp_path):
    for inside in ("3rd ABAW Annotations", "6th ABAW Annotations"):
        write_list(tmp_path, VA, "a", ["0,0"], inside=inside)
    write_frames(tmp_path, "a", [1])
    with pytest.raises(DataError, match=r"3rd ABAW.*6th ABAW.*which one\?"):
        read_affwild2(tmp_path, "train", "va")


def test_what_may_be_asked_for(tmp_path):
    with pytest.raises(DataError, match=r"No Aff-Wild2 annotations .*(.|\n)*cropped_aligned"):
        read_affwild2(tmp_path, "train")
    wrong: Mapping[str, str] = {"split": "val", "labels": "au", "on_error": "drop"}
    for name, value in wrong.items():
        with pytest.raises(ConfigError, match=rf"{name}={value}: choose one of"):
            read_affwild2(tmp_path, **{"split": "train", name: value})  # type: ignore[arg-type]


def test_no_picture_lies_outside(tmp_path):
    root = tmp_path / "root"
    write_small(root)
    linked = root / "cropped_aligned/video2/00001.jpg"
    linked.rename(tmp_path / "secret.jpg")
    linked.symlink_to(tmp_path / "secret.jpg")
    with pytest.raises(DataError, match=r"is a link to .*secret\.jpg"):
        read_affwild2(root, "train")


@pytest.mark.parametrize(
    ("labels", "loss"), [("both", "combined"), ("va", "va"), ("expr", "discrete")]
)
def test_whole_videos_choose_the_epoch(tmp_path, labels, loss):
    write_small(tmp_path)
    settings = ("data=affwild2", f"data.root={tmp_path}", f"data.labels={labels}", "model=tiny")
    data = build.build_data(composed(*settings, f"loss={loss}", "data.holdout_fraction=0.5"))
    data.setup("fit")
    videos = [set(table.groups["video"]) for table in (data.train, data.val, data.test)]
    assert sorted(videos[0] | videos[1]) == ["1-30-640x360", "video2"]
    assert videos[0].isdisjoint(videos[1])
    assert videos[2] == {"video3"}
    assert data.class_weights() is None
