"""The readers of known data sets, each with a small release of its layout."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np

from cage_lightning.data.datasets import AfewVa
from cage_lightning.data.readers.affectnet import read_affectnet
from cage_lightning.data.readers.affwild2 import read_affwild2
from cage_lightning.data.readers.emotic import read_emotic
from cage_lightning.data.readers.fer2013 import read_fer2013, splits_of
from cage_lightning.data.readers.ferplus import HEADER, read_ferplus
from cage_lightning.data.readers.rafdb import read_rafdb
from cage_lightning.labels import AFFECTNET_7, AFFECTNET_8
from tests.affectnet_layouts import (
    Row,
    picture,
    write_2017,
    write_2021,
    write_csv,
    write_folders,
    write_plus,
)
from tests.faulty_annotations import SCENE, SOMEONE, mat, table
from tests.fuzz.mutations import either, of_bytes, of_json, of_text, of_values
from tests.fuzz.target import Target

_ROWS = (Row(0, 1, 0.5, 0.25), Row(1, 2, -0.5, 0.125), Row(2, 7, 0.1, 0.0))
_TEXT = either(of_text, of_text, of_bytes)
_JSON = either(of_json, of_json, of_bytes)


def _put(folder: Path, path: str, content: bytes) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(content)


def _affectnet(folder: Path) -> None:
    read_affectnet(folder, "train", AFFECTNET_8)


def _write_emotic_csv(folder: Path) -> None:
    rows: list[list[Any]] = [["Index", *SOMEONE], [0, *SOMEONE.values()], [1, *SOMEONE.values()]]
    _put(folder, "emotic_pre/train.csv", table(rows))
    _put(folder, "mscoco/images/a.jpg", picture(".jpg", size=(24, 24)))


def _write_emotic_mat(folder: Path) -> None:
    _put(folder, "Annotations/Annotations.mat", mat(SCENE, compressed=False))
    _put(folder, "mscoco/images/a.jpg", picture(".jpg", size=(24, 24)))


def _of_mat(rng: random.Random, content: bytes) -> bytes:
    """Another picture, written as MATLAB does."""
    scene: dict[str, Any] = deepcopy(SCENE)
    scene["person"]["annotations_categories"]["categories"] = ["Peace", "Fear"]
    try:
        changed = of_values(rng, scene)
        if rng.random() < 0.3:
            changed = np.array([changed, scene], object)
        return mat(changed, compressed=rng.random() < 0.3)
    except Exception:  # no MAT file can hold it
        return of_bytes(rng, content)


def _fer2013(folder: Path) -> None:
    splits_of(folder)
    read_fer2013(folder, "train")


def _write_fer2013(folder: Path) -> None:
    pixels = " ".join(["128"] * 48 * 48)
    usages = {"Training": 0, "PublicTest": 3}
    rows = [[code, pixels, usage] for usage, code in usages.items()]
    _put(folder, "fer2013.csv", table([["emotion", "pixels", "Usage"], *rows]))


def _write_fer2013_folders(folder: Path) -> None:
    for place in ("train/angry/1.jpg", "train/happy/2.jpg", "test/angry/PublicTest_3.jpg"):
        _put(folder, place, picture(".jpg"))


def _write_ferplus(folder: Path) -> None:
    votes: list[Sequence[Any]] = [[10 * (k == column) for k in range(10)] for column in range(3)]
    rows = [["Training", f"fer{n:07d}.png", *one] for n, one in enumerate(votes)]
    _put(folder, "fer2013new.csv", table([HEADER, *rows]))
    for row in rows:
        _put(folder, f"FER2013Train/{row[1]}", picture(".png"))


def _write_ferplus_folders(folder: Path) -> None:
    rows: list[list[Any]] = [
        ["fer0000001.png", "(0, 0, 48, 48)", 8, 2, *[0] * 8],
        ["fer0000002.png", *[1] * 10],
    ]
    _put(folder, "FER2013Train/label.csv", table(rows))
    for row in rows:
        _put(folder, f"FER2013Train/{row[0]}", picture(".png"))


def _write_rafdb(folder: Path) -> None:
    names = ("train_00001", "train_00002", "test_0001")
    lines = "".join(f"{name}.jpg {k + 1}\n" for k, name in enumerate(names))
    _put(folder, "basic/EmoLabel/list_patition_label.txt", lines.encode())
    for name in names:
        _put(folder, f"basic/Image/aligned/{name}_aligned.jpg", picture(".jpg"))


def _write_rafdb_folders(folder: Path) -> None:
    for place in ("train/1/train_00001_aligned.jpg", "test/2/test_0001_aligned.jpg"):
        _put(folder, f"DATASET/{place}", picture(".jpg"))


_LISTS = {
    "VA_Estimation_Challenge": b"valence,arousal\n0.5,-0.25\n-5,-5\n0.1,0.2\n",
    "EXPR_Classification_Challenge": (
        b"Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other\n4\n-1\n7\n"
    ),
}


def _write_affwild2(folder: Path) -> None:
    for kind, content in _LISTS.items():
        _put(folder, f"annotations/{kind}/Train_Set/video1.txt", content)
        _put(folder, f"annotations/{kind}/Validation_Set/video2_left.txt", content)
    for place in ("video1/00001", "video1/00003", "video2_left/00001"):
        _put(folder, f"cropped_aligned/{place}.jpg", picture(".jpg"))


_CLIP = {
    "frames": {
        f"{number:05d}": {
            "landmarks": [[10 + k % 17, 5 + k / 4] for k in range(68)],
            "valence": number,
            "arousal": -2.5,
        }
        for number in range(2)
    },
    "actor": "someone",
    "video_id": "001",
}


def _write_afewva(folder: Path) -> None:
    for clip in ("001", "002"):
        _put(folder, f"{clip}/{clip}.json", json.dumps(_CLIP).encode())
        for frame in ("00000", "00001"):
            _put(folder, f"{clip}/{frame}.png", picture(".png", size=(40, 30)))


def _afewva(folder: Path) -> None:
    settings: dict[str, Any] = {"on_error": "raise", "group_by": "video", "test_fraction": 0.5}
    AfewVa(root=str(folder), store=None, val_fraction=None, split_seed=0, **settings).own_split(
        "train"
    )


_NPY = "train_set/annotations/{}_{}.npy"
_NPYS = [_NPY.format(number, column) for number in range(3) for column in ("exp", "val", "aro")]
_VIDEOS = [
    f"annotations/{kind}/{place}"
    for kind in _LISTS
    for place in ("Train_Set/video1.txt", "Validation_Set/video2_left.txt")
]

TARGETS = (
    Target(
        "AffectNet of 2021, npy",
        lambda folder: write_2021(folder, "train_set", _ROWS),
        _affectnet,
        dict.fromkeys(_NPYS, either(of_bytes, of_text)),
    ),
    Target(
        "AffectNet, CSV",
        lambda folder: write_csv(folder, "train_set", _ROWS),
        _affectnet,
        {"affectnet_annotations/train_set_annotation_without_lnd.csv": _TEXT},
    ),
    Target(
        "AffectNet of 2017, CSV",
        lambda folder: write_2017(folder, "train", _ROWS),
        _affectnet,
        {"Manually_Annotated_file_lists/training.csv": _TEXT},
    ),
    Target(
        "AffectNet+, JSON",
        lambda folder: write_plus(folder, "train", _ROWS),
        _affectnet,
        {f"human_annotated/train_set/annotations/{n}.json": _JSON for n in range(3)},
    ),
    Target(
        "AffectNet, folders",
        lambda folder: write_folders(
            folder, "train", [Row(0, 0), Row(1, 1)], {0: "Neutral", 1: "Happy"}
        ),
        _affectnet,
        {"train/Neutral/0.jpg": of_text, "train/Happy/1.JPG": _TEXT},
        renamed=True,
    ),
    Target(
        "RAF-DB, list",
        _write_rafdb,
        lambda folder: read_rafdb(folder, "train"),
        {"basic/EmoLabel/list_patition_label.txt": _TEXT},
    ),
    Target(
        "RAF-DB, folders",
        _write_rafdb_folders,
        lambda folder: read_rafdb(folder, "train"),
        {
            "DATASET/train/1/train_00001_aligned.jpg": _TEXT,
            "DATASET/test/2/test_0001_aligned.jpg": _TEXT,
        },
        renamed=True,
    ),
    Target(
        "FER+, list",
        _write_ferplus,
        lambda folder: read_ferplus(folder, "train", AFFECTNET_8),
        {"fer2013new.csv": _TEXT},
    ),
    Target(
        "FER+, lists in folders",
        _write_ferplus_folders,
        lambda folder: read_ferplus(folder, "train", AFFECTNET_7),
        {"FER2013Train/label.csv": _TEXT},
    ),
    Target(
        "FER2013, list",
        _write_fer2013,
        _fer2013,
        {"fer2013.csv": _TEXT},
        leaves=(".pictures",),
    ),
    Target(
        "FER2013, folders",
        _write_fer2013_folders,
        _fer2013,
        {"train/angry/1.jpg": _TEXT, "test/angry/PublicTest_3.jpg": _TEXT},
        renamed=True,
    ),
    Target(
        "EMOTIC, CSV",
        _write_emotic_csv,
        lambda folder: read_emotic(folder, "train"),
        {"emotic_pre/train.csv": _TEXT},
    ),
    Target(
        "EMOTIC, MAT",
        _write_emotic_mat,
        lambda folder: read_emotic(folder, "train"),
        {"Annotations/Annotations.mat": either(_of_mat, of_bytes)},
    ),
    Target(
        "Aff-Wild2",
        _write_affwild2,
        lambda folder: read_affwild2(folder, "train"),
        dict.fromkeys(_VIDEOS, _TEXT),
    ),
    Target("AFEW-VA", _write_afewva, _afewva, {"001/001.json": _JSON, "002/002.json": _JSON}),
)
