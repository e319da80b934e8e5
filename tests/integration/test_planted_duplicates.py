"""Drawn faces with leaks and broken files in them: the data card has those and no others."""

from __future__ import annotations

import csv
import json
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image

from cage_lightning.demo.faces import release
from tests.conftest import Command

FOLDERS = {"train": "train_set", "test": "val_set"}
FAULTS = ("truncated", "empty", "not a picture", "missing")


class Planted(NamedTuple):
    """How much is drawn, and what is wrong in it."""

    size: release.Size
    leaks: int
    broken: int


def spoil(picture: Path, fault: str) -> None:
    if fault == "truncated":
        content = picture.read_bytes()
        picture.write_bytes(content[: len(content) * 4 // 5])  # behind the header of the smallest
    elif fault == "empty":
        picture.write_bytes(b"")
    elif fault == "not a picture":
        picture.write_text("<html><body>404 Not Found</body></html>", encoding="utf-8")
    else:
        picture.unlink()


def check_card(command: Command, data: Path, planted: Planted) -> None:
    """Plant leaks and broken files into drawn faces, prepare them and read their data card.

    Args:
        command: The fixture.
        data: A new folder.
        planted: What is planted.
    """
    root = data / "demo_faces" / "demo"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(release, "SIZES", {"demo": planted.size})
        release.write_release(root, "demo")
    pictures = {
        split: {p.stem: p for p in sorted((root / folder / "images").iterdir())}
        for split, folder in FOLDERS.items()
    }
    rng = random.Random(0)
    sources = rng.sample(list(pictures["train"]), planted.leaks)
    copies = rng.sample(list(pictures["test"]), planted.leaks)
    leaks = set()
    for number, (source, copy) in enumerate(zip(sources, copies, strict=True)):
        original, place = pictures["train"].pop(source), pictures["test"].pop(copy)
        if number % 2:
            shutil.copyfile(original, place)
            leaks.add(("bytes", source, copy))
        else:
            with Image.open(original) as picture:
                picture.save(place, quality=rng.randint(20, 55))  # drawn are 60 to 95
            leaks.add(("near", source, copy))
    sound = [(split, name) for split, of_split in pictures.items() for name in of_split]
    broken = set()
    for number, (split, name) in enumerate(rng.sample(sound, planted.broken)):
        fault = FAULTS[number % len(FAULTS)]
        spoil(pictures[split][name], fault)
        broken.add((split, name, fault))

    command("prepare", "data=demo8", "data.on_error=skip", CAGE_DATA=str(data))

    folder = root.with_name("demo.store") / "affectnet8"
    with (folder / "duplicates.csv").open() as file:
        found = [
            ((row["split_a"], row["split_b"]), (row["kind"], row["id_a"], row["id_b"]))
            for row in csv.DictReader(file)
        ]
    assert {splits for splits, _ in found} == {("train", "test")}
    assert {pair for _, pair in found} == leaks
    with (folder / "faults.csv").open() as file:
        assert {(r["split"], r["id"], r["fault"]) for r in csv.DictReader(file)} == broken

    card = json.loads((folder / "datacard.json").read_text())
    half = planted.leaks // 2
    assert card["duplicates"] == {
        kind: {"train": 0, "test": 0, "train + test": count}
        for kind, count in {"bytes": half, "pixels": 0, "near": half, "altered": 0}.items()
    }
    assert card["altered_from"] > 0.95  # drawn faces are much alike
    assert card["leakage"] == {
        "same": {"test in train": half},
        "same or near": {"test in train": planted.leaks},
        "same, near or altered": {"test in train": planted.leaks},
    }
    for split, drawn in {"train": planted.size.train, "test": planted.size.val - 1}.items():
        faults = Counter(fault for where, _, fault in broken if where == split)
        assert card["splits"][split]["faults"] == faults
        assert card["splits"][split]["samples"] == drawn - faults.total()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_card_has_the_planted_leaks_and_faults_and_no_others(
    command: Command, tmp_path: Path
) -> None:
    """tests/faults does so with the whole of demo8."""
    tenth = release.Size(train=800, val=160, pixels=64)
    check_card(command, tmp_path / "data", Planted(tenth, leaks=8, broken=16))
