"""Aff-Wild2: frames of videos with valence and arousal, one expression, or both.

Kollias and Zafeiriou 2019, "Expression, Affect, Action Unit Recognition: Aff-Wild2, Multi-Task
Learning and ArcFace", with the text files of the ABAW competitions: one per video, one line for
each frame.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.files import OnError, list_files, no_release, refuse_outside
from cage_lightning.data.formats import is_picture
from cage_lightning.data.readers.affwild2_lists import (
    CATEGORIES,
    DIMENSIONS,
    Lists,
    Video,
    read_videos,
)
from cage_lightning.errors import DataError, check_choice
from cage_lightning.labels import LabelSpace, own_space

Labels = Literal["both", "va", "expr"]
Split = Literal["train", "test"]
SPACES: Mapping[Labels, LabelSpace] = {
    "both": own_space("affwild2", CATEGORIES, DIMENSIONS),
    "va": own_space("affwild2_va", (), DIMENSIONS),
    "expr": own_space("affwild2_expr", CATEGORIES, ()),
}

FOLDERS = {"va": "VA_Estimation_Challenge", "expr": "EXPR_*_Challenge"}
SPLITS: Mapping[Split, str] = {"train": "Train_Set", "test": "Validation_Set"}
FRAMES = "cropped_aligned"
LAYOUTS = {
    "lists and frames": (
        "    [.../]VA_Estimation_Challenge/Train_Set|Validation_Set/{video}.txt\n"
        "    [.../]EXPR_Classification_Challenge/Train_Set|Validation_Set/{video}.txt\n"
        f"    [.../]{FRAMES}/{{video}}/00001.jpg"
    )
}
logger = logging.getLogger(__name__)


def read_affwild2(
    root: Path, split: str, labels: Labels = "both", on_error: OnError = "raise"
) -> Annotations:
    """Read one split of Aff-Wild2: the frames that are annotated and on which a face was found.

    The competition has a list of the videos for each kind of label, and a video that one of them
    trains on another may validate on. Such a video is left out of ``train``, as is the second
    person of a video whose first is in the test split.

    Args:
        root: Folder that holds the annotations and the frames, at most two folders down.
        split: ``train``, or ``test``: the official validation set. The test set has no labels.
        labels: ``va``, ``expr``, or ``both``: the frames that have either.
        on_error: As in `read_affectnet`, for videos without any frame. A single frame that is not
            there is one on which no face was found, and is left out and counted.

    Returns:
        The table for the label space in `SPACES`, by video and frame. Ids are ``{video}/{frame}``;
        the group ``video`` is the same for both persons of a video.

    Raises:
        ConfigError: `split`, `labels` or `on_error` is not one of the above.
        DataError: Lists or frames are not there, or twice; a line is not as it should be; a picture
            is outside `root`; no frame is left.
    """
    check_choice("split", split, SPLITS)
    check_choice("data.labels", labels, SPACES)
    check_choice("on_error", on_error, ("raise", "skip", "keep"))
    space, frames = SPACES[labels], _one(root, FRAMES)
    lists = {kind: _one(root, FOLDERS[kind]) for kind in FOLDERS if labels in ("both", kind)}
    absent = [FOLDERS[kind] for kind, folder in lists.items() if folder is None]
    if frames is None or absent:
        hint = ""
        if labels == "both" and len(absent) == 1:
            there = "expr" if absent == [FOLDERS["va"]] else "va"
            hint = f" There is no {absent[0]}: data.labels={there} does without it."
        raise DataError(f"{no_release('Aff-Wild2', split, root, LAYOUTS)}{hint}")
    found = {s: _lists(root, lists, folder) for s, folder in SPLITS.items()}
    if not any(found[split].values()):  # type: ignore[index]  # checked above
        raise no_release("Aff-Wild2", split, root, LAYOUTS)
    logger.info("Aff-Wild2 %s: reading %s", split, ", ".join(map(str, lists.values())))
    return _table(root, frames, split, found, space, on_error)


class Kept(NamedTuple):
    """The frames of a video that are samples: their numbers from 0, and their files."""

    video: Video
    rows: npt.NDArray[np.int64]
    files: list[str]


def _table(
    root: Path,
    frames: Path,
    split: str,
    found: Mapping[Split, Lists],
    space: LabelSpace,
    on_error: OnError,
) -> Annotations:
    reported = {_scene(video) for videos in found["test"].values() for video in videos}
    left_out: Counter[str] = Counter()
    kept: list[Kept] = []
    missing: list[str] = []
    for video in read_videos(found["train" if split == "train" else "test"]):
        files = _frames(frames / video.name)
        if split == "train" and _scene(video.name) in reported:
            left_out["video of the test split"] += int(video.annotated.sum())
        elif files:
            kept.append(_annotated(video, files, left_out))
        else:
            missing.append(video.name)
            left_out["missing picture"] += int(video.annotated.sum())
            kept.append(_expected(video))
    if missing and on_error == "raise":
        raise DataError(
            f"{frames}: there are no frames of {len(missing)} videos, first "
            f"{', '.join(missing[:3])}. Put the folders of all videos there, or leave these out "
            "with data.on_error=skip."
        )
    if on_error == "skip":
        kept = [one for one in kept if one.video.name not in missing]
    else:
        del left_out["missing picture"]
    return _annotations(root, frames, space, kept, left_out, on_error)


def _annotated(video: Video, files: Mapping[int, str], left_out: Counter[str]) -> Kept:
    """The frames that are there and annotated; the others are counted."""
    row = np.array([number - 1 for number in files], np.int64)
    inside = (row >= 0) & (row < len(video.category))
    take = inside.copy()
    take[inside] = video.annotated[row[inside]]
    left_out["frame without a line"] += int((~inside).sum())
    left_out["not annotated"] += int((inside & ~take).sum())
    left_out["no face found"] += int(video.annotated.sum() - take.sum())
    names = list(files.values())
    return Kept(video, row[take], [names[k] for k in np.flatnonzero(take).tolist()])


def _expected(video: Video) -> Kept:
    """The frames that are annotated, under the names that they would have."""
    row = np.flatnonzero(video.annotated)
    return Kept(video, row, [f"{number + 1:05d}.jpg" for number in row.tolist()])


def _annotations(
    root: Path,
    frames: Path,
    space: LabelSpace,
    kept: list[Kept],
    left_out: Counter[str],
    on_error: OnError,
) -> Annotations:
    names = [f"{one.video.name}/{name}" for one in kept for name in one.files]
    if not names:
        raise DataError(f"{frames}: no frame is left; left out: {dict(left_out)}")
    prefix = frames.relative_to(root).as_posix()
    pictures = [f"{prefix}/{name}" for name in names]
    list_files(root, pictures, lambda row: str(root / pictures[row]), links=on_error == "keep")
    affect = np.concatenate([one.video.affect[one.rows] for one in kept])
    scenes = [_scene(one.video.name) for one in kept]
    return Annotations(
        space=space,
        root=root,
        id=np.array([name.rpartition(".")[0] for name in names], np.str_),
        path=np.array(pictures, np.str_),
        category=np.concatenate([one.video.category[one.rows] for one in kept]),
        affect=affect[:, : len(space.dimensions)],
        left_out={reason: n for reason, n in sorted(left_out.items()) if n},
        extra={"video": np.repeat(np.array(scenes, np.str_), [len(one.rows) for one in kept])},
    )


def _one(root: Path, pattern: str) -> Path | None:
    """The folder of a name below the root, at most two folders down."""
    places = (pattern, f"[!.]*/{pattern}", f"[!.]*/[!.]*/{pattern}")
    found = [path for place in places for path in sorted(root.glob(place)) if path.is_dir()]
    if len(found) > 1:
        raise DataError(f"{root} has {found[0]} and {found[1]}: which one? Move one away")
    return found[0] if found else None


def _lists(root: Path, folders: Mapping[str, Path | None], split: str) -> Lists:
    """The lists of the videos of a split."""
    found = {
        kind: {path.stem: path for path in sorted((folder / split).glob("[!.]*.txt"))}
        for kind, folder in folders.items()
        if folder is not None
    }
    for path in (path for videos in found.values() for path in videos.values()):
        refuse_outside(root, path.relative_to(root).as_posix(), str(path))
    return found


def _scene(video: str) -> str:
    """A video without the side that a person is on."""
    return re.sub(r"_(left|right)\Z", "", video)


def _frames(folder: Path) -> dict[int, str]:
    """Number -> file of the frames in a folder, by number."""
    matches = (_FRAME.fullmatch(path.name) for path in folder.glob("[!.]*"))
    found = {int(match[1]): match[0] for match in matches if match and is_picture(match[0])}
    return dict(sorted(found.items()))


_FRAME = re.compile(r"([0-9]{1,9})\.[A-Za-z]+")
