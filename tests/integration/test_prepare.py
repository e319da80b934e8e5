"""Packing a release: the same samples, the same bytes however it was made, and the reports."""

from __future__ import annotations

import csv
import io
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from cage_lightning.app import build
from cage_lightning.commands.prepare import prepare as run_prepare
from cage_lightning.data.face_dataset import FaceDataset
from cage_lightning.data.module import ExpressionData
from cage_lightning.data.preparation import checking
from cage_lightning.errors import ConfigError, DataError
from tests.affectnet_layouts import copy_faces
from tests.conftest import TINY, Command, composed, environment, forks, locked_elsewhere

Prepare = Callable[..., dict[str, Any]]
SMALL = ("data=affectnet8", "workers=1")


@pytest.fixture
def release(demo_root: Path, tmp_path: Path) -> Path:
    """A copy of the tiny faces to do with as one likes, in the layout of AffectNet."""
    root = tmp_path / "faces"
    copy_faces(demo_root, root)
    (root / "release.json").unlink()
    return root


@pytest.fixture
def prepare(release: Path, monkeypatch: pytest.MonkeyPatch) -> Prepare:
    """Prepare `release` in this process, in small parts."""
    monkeypatch.setattr("cage_lightning.commands.prepare.start_logging", lambda file: None)
    monkeypatch.setattr(checking, "PART", 32)

    def run(*overrides: str) -> dict[str, Any]:
        settings = (*SMALL, f"data.root={release}", *overrides)
        return run_prepare(composed(*settings, config_name="prepare"))

    return run


def data_of(*overrides: str) -> ExpressionData:
    data = build.build_data(composed("model=tiny", "model.image_size=48", *overrides))
    data.setup("fit")
    return data


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if not p.name.startswith(".")}


def rows(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))


def pictures(root: Path, split: str) -> list[Path]:
    return sorted((root / f"{split}_set" / "images").iterdir(), key=lambda p: int(p.stem))


@pytest.mark.parametrize(
    "name",
    ["demo8", *(pytest.param(n, marks=pytest.mark.slow) for n in ("demo7", "demo_emotic"))],
)
def test_samples_from_the_store_are_those_of_the_release(
    name: str, demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cage_lightning.commands.prepare.start_logging", lambda file: None)
    monkeypatch.setattr(checking, "PART", 24)
    monkeypatch.setenv("CAGE_DATA", str(demo_root))
    settings = (f"data={name}", "data.size=tiny", f"data.store={tmp_path / 'store'}")
    loose = data_of(*settings, "data.margin=0.1")
    assert loose.train.packed is None
    card = run_prepare(composed(*settings, config_name="prepare"))
    for counts in card["duplicates"].values():  # persons in one picture are no duplicates
        assert not any(counts.values())
    packed = data_of(*settings, "data.margin=0.1")
    for split, table in loose.splits.items():
        ours = packed.splits[split]
        assert ours.packed is not None
        assert ours.fingerprint() == table.fingerprint()
        assert (ours.left_out, ours.root) == (table.left_out, table.root)
        assert ours.extra.keys() == table.extra.keys()
        for column, values in table.extra.items():
            np.testing.assert_array_equal(ours.extra[column], values)
        sets = [FaceDataset(t, 48, 0.1) for t in (table, ours)]
        for row in range(0, len(table), 5):
            first, second = (dataset[row] for dataset in sets)
            assert torch.equal(first.image, second.image)
            assert torch.equal(first.category, second.category)
            assert torch.equal(first.affect.nan_to_num(9), second.affect.nan_to_num(9))
    assert packed.class_weights() == loose.class_weights()


@pytest.mark.slow
def test_the_same_bytes_with_any_number_of_workers_and_after_an_interruption(
    prepare: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare("workers=1", f"data.store={tmp_path / 'one'}")
    prepare("workers=4", f"data.store={tmp_path / 'four'}")
    assert contents(tmp_path / "one" / "affectnet8") == contents(tmp_path / "four" / "affectnet8")

    look_at, seen = checking._look_at, []

    def interrupted(root: Path, path: str, size: int | None) -> dict[str, Any]:
        seen.append(path)
        if len(seen) == 100:
            raise KeyboardInterrupt
        return look_at(root, path, size)

    monkeypatch.setattr(checking, "_look_at", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(f"data.store={tmp_path / 'again'}")
    folder = tmp_path / "again" / "affectnet8"
    assert contents(folder) == {}
    before = len(seen)
    prepare(f"data.store={tmp_path / 'again'}")
    assert len(seen) - before < 319 - 30
    assert contents(folder) == contents(tmp_path / "one" / "affectnet8")
    assert {p.name for p in folder.iterdir()} == {*contents(folder), ".lock"}


def test_a_store_that_is_up_to_date_is_left_alone(prepare: Prepare, release: Path) -> None:
    card = prepare()
    folder = release.with_name("faces.store") / "affectnet8"
    before = {p: p.stat().st_mtime_ns for p in folder.iterdir()}
    assert prepare() == card
    assert {p: p.stat().st_mtime_ns for p in folder.iterdir()} == before
    (folder / "datacard.json").unlink()  # killed just before the end
    assert prepare() == card


def test_planted_duplicates_and_faults_are_reported_exactly(
    prepare: Prepare, release: Path
) -> None:
    rng = random.Random(0)
    train, test = pictures(release, "train"), pictures(release, "val")
    source = rng.sample(train, 9)
    target = rng.sample(test, 4) + rng.sample([p for p in train if p not in source], 4)
    kinds = ["bytes", "bytes", "near", "pixels"] * 2
    expected = set()
    for kind, a, b in zip(kinds, source, target, strict=False):
        if kind == "bytes":
            shutil.copyfile(a, b)
        elif kind == "pixels":
            b.write_bytes(a.read_bytes() + b"\0")
        else:
            with Image.open(a) as picture:
                ImageEnhance.Brightness(picture).enhance(0.97).save(b, quality=90)
        first, second = sorted(
            (p.relative_to(release).as_posix() for p in (a, b)),
            key=lambda p: ("val_set" in p, int(Path(p).stem)),
        )
        expected.add((kind, first, second))
    broken = [*[p for p in test if p not in target][:2], source[8]]
    broken[0].write_bytes(b"")
    broken[1].unlink()
    broken[2].write_bytes(broken[2].read_bytes()[:200])

    with pytest.raises(DataError, match=r"3 samples .*\(empty: 1, missing: 1, truncated: 1\)"):
        prepare()
    folder = release.with_name("faces.store") / "affectnet8"
    assert not list(folder.glob("*.arrow"))
    faults = {(r["split"], r["path"], r["fault"]) for r in rows(folder / "faults.csv")}
    names = [p.relative_to(release).as_posix() for p in broken]
    assert faults == {
        ("test", names[0], "empty"),
        ("test", names[1], "missing"),
        ("train", names[2], "truncated"),
    }
    found = {(r["kind"], r["path_a"], r["path_b"]) for r in rows(folder / "duplicates.csv")}
    assert found == expected
    between = {"bytes": 2, "pixels": 1, "near": 1}
    card = json.loads((folder / "datacard.json").read_text())
    for kind, count in between.items():
        assert card["duplicates"][kind] == {"train": count, "test": 0, "train + test": count}
    assert card["leakage"]["same"] == {"test in train": 3}
    assert card["leakage"]["same or near"] == {"test in train": 4}

    card = prepare("data.on_error=skip")
    left_out = {"broken picture": 1, "missing picture": 1}
    assert card["splits"]["test"]["left_out"] == left_out
    assert card["splits"]["test"]["samples"] == 61
    assert "| test  | empty     |" in (folder / "datacard.md").read_text()
    settings = (*SMALL[:1], f"data.root={release}", "data.on_error=skip")
    packed = data_of(*settings)
    loose = data_of(*settings, "data.store=null")
    assert packed.test.left_out == loose.test.left_out == left_out
    assert packed.test.fingerprint() == loose.test.fingerprint()
    assert packed.train.fingerprint() == loose.train.fingerprint()
    with pytest.raises(DataError, match=r"leaves out 2 samples.*data\.on_error=skip"):
        data_of(*settings[:2])
    with pytest.raises(DataError, match="3 samples have no usable picture"):
        prepare()


@pytest.fixture
def leaking(release: Path) -> dict[str, list[Path]]:
    """Two pictures of the training split leak into the test split, one of them mirrored.

    Another two are copies of each other.
    """
    rng = random.Random(3)
    train, test = rng.sample(pictures(release, "train"), 4), pictures(release, "val")[:2]
    shutil.copyfile(train[0], test[0])
    with Image.open(train[1]) as picture:
        ImageOps.mirror(picture).save(test[1], quality=95)
    shutil.copyfile(train[2], train[3])
    return {"train": train, "test": test}


def test_the_store_knows_which_pictures_are_copies(
    prepare: Prepare, release: Path, leaking: dict[str, list[Path]]
) -> None:
    card = prepare()
    assert card["duplicates"]["altered"] == {"train": 0, "test": 0, "train + test": 1}
    assert card["leakage"]["same or near"] == {"test in train": 1}
    assert card["leakage"]["same, near or altered"] == {"test in train": 2}
    folder = release.with_name("faces.store") / "affectnet8"
    [row] = [row for row in rows(folder / "duplicates.csv") if row["kind"] == "altered"]
    assert (row["id_a"], row["id_b"]) == (leaking["train"][1].stem, leaking["test"][1].stem)
    assert (row["mirrored"], float(row["detail"]) > 0.95) == ("yes", True)
    assert "altered" in (folder / "datacard.md").read_text()

    data = data_of("data=affectnet8", f"data.root={release}", "data.selection=test")
    assert data.train.copies is not None
    assert data.test.copies is not None
    groups = dict(zip(data.train.id.tolist(), data.train.copies.tolist(), strict=True))
    names = [groups[picture.stem] for picture in leaking["train"]]
    assert names[2] == names[3]
    assert len({*names, ""}) == 4
    assert sum(group != "" for group in groups.values()) == 4
    assert data.test.copies[:2].tolist() == names[:2]
    assert "copies" not in data.train.groups


def test_leaks_are_dropped_and_twins_kept_on_one_side(
    prepare: Prepare, release: Path, leaking: dict[str, list[Path]]
) -> None:
    settings = ("data=affectnet8", f"data.root={release}")
    with pytest.raises(ConfigError, match=r"data\.copies=drop.*cage_lightning\.prepare"):
        data_of(*settings, "data.copies=drop")
    before = data_of(*settings)
    prepare()
    assert data_of(*settings).train.fingerprint() == before.train.fingerprint()
    for seed in range(4):
        data = data_of(*settings, "data.copies=drop", f"seed={seed}", "data.holdout_fraction=0.5")
        assert len(data.train) + len(data.val) == len(before.train) + len(before.val) - 2
        assert data.train.left_out == {"copy of a picture in the test split": 2}
        sides = [picture.stem in data.val.id.tolist() for picture in leaking["train"]]
        assert sides[2] == sides[3]
    with pytest.raises(ConfigError, match=r"data\.copies"):
        data_of(*settings, "data.copies=remove")


@pytest.mark.slow
def test_a_store_that_knows_of_no_copies_is_made_anew(
    prepare: Prepare, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr("cage_lightning.commands.prepare._with_copies", lambda split, *_: split)
        prepare()
    settings = ("data=affectnet8", f"data.root={release}")
    assert data_of(*settings).train.copies is None
    prepare()
    assert data_of(*settings).train.copies is not None


def test_a_picture_that_leads_out_of_the_release_is_a_fault(
    prepare: Prepare, release: Path, tmp_path: Path
) -> None:
    outside = pictures(release, "train")[7]
    outside.rename(tmp_path / "secret.jpg")
    outside.symlink_to(tmp_path / "secret.jpg")
    with pytest.raises(DataError, match=r"\(outside the release: 1\)"):
        prepare()
    [row] = rows(release.with_name("faces.store") / "affectnet8" / "faults.csv")
    assert row["path"] == outside.relative_to(release).as_posix()
    assert row["detail"] == str(tmp_path / "secret.jpg")


def test_the_card_counts_and_compares(prepare: Prepare, release: Path) -> None:
    card = prepare()
    labels = data_of("data=affectnet8", f"data.root={release}", "data.selection=test").train
    train = card["splits"]["train"]
    assert (train["samples"], train["published"], train["pictures"]) == (256, 287_651, 256)
    for k, (name, row) in enumerate(train["categories"].items()):
        values = labels.affect[labels.category == k].astype(np.float64)
        assert row["samples"] == len(values), name
        for d, dimension in enumerate(("valence", "arousal")):
            if len(values):
                column = values[:, d]
                expected = [column.min(), np.median(column), column.max()]
                assert row["affect"][dimension] == pytest.approx(expected, abs=1e-4)
    published = [row["published"] for row in train["categories"].values()]
    assert sum(published) == 287_651
    assert card["splits"]["test"]["published"] == 3_999
    assert train["sizes"] == {"32x32": 256}
    text = (release.with_name("faces.store") / "affectnet8" / "datacard.md").read_text()
    assert "| train |     256 |   287,651 |      256 | -" in text
    assert "134,415" in text


@pytest.mark.slow
def test_re_encoding_is_said_in_the_card(prepare: Prepare, release: Path) -> None:
    card = prepare("reencode=true", "data.image_size=48")
    assert card["reencoded"] == 48
    folder = release.with_name("faces.store") / "affectnet8"
    assert "samples differ from the release's" in (folder / "datacard.md").read_text()
    settings = ("data=affectnet8", f"data.root={release}")
    packed, loose = data_of(*settings), data_of(*settings, "data.store=null")
    first, second = (FaceDataset(data.test, 48)[0].image for data in (packed, loose))
    assert not torch.equal(first, second)
    assert (first.int() - second.int()).abs().float().mean() < 4
    with pytest.raises(DataError, match="re-encoded at 48"):
        data_of(*settings, "model.image_size=64")
    assert prepare()["reencoded"] is None  # and made anew without


@pytest.mark.parametrize("setting", ["workers=0", "workers=-1", "data.image_size=0"])
def test_numbers_that_make_no_sense(prepare: Prepare, setting: str) -> None:
    with pytest.raises(ConfigError, match=f"{setting} is less than 1"):
        prepare("reencode=true", setting)


def test_a_size_that_is_no_number_or_that_nothing_asks_for(prepare: Prepare) -> None:
    with pytest.raises(ConfigError, match=r"data\.image_size=small: a whole number is needed"):
        prepare("reencode=true", "data.image_size=small")
    with pytest.raises(ConfigError, match=r"data\.image_size .* without reencode=true"):
        prepare("data.image_size=64")


@pytest.mark.parametrize("problem", ["no store", "a file in the way", "somebody is at it"])
def test_a_store_that_cannot_be_written(prepare: Prepare, tmp_path: Path, problem: str) -> None:
    if problem == "no store":
        with pytest.raises(ConfigError, match=r"data\.store=DIR"):
            prepare("data.store=null")
    elif problem == "a file in the way":
        (tmp_path / "file").write_text("")
        with pytest.raises(ConfigError, match=r"cannot write .*data\.store=DIR"):
            prepare(f"data.store={tmp_path / 'file' / 'store'}")
    else:
        (tmp_path / "store" / "affectnet8").mkdir(parents=True)
        with (
            locked_elsewhere(tmp_path / "store" / "affectnet8" / ".lock"),
            pytest.raises(ConfigError, match="being prepared by another process"),
        ):
            prepare(f"data.store={tmp_path / 'store'}")


@pytest.mark.slow
def test_boxes_cannot_be_re_encoded(
    demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cage_lightning.commands.prepare.start_logging", lambda file: None)
    monkeypatch.setenv("CAGE_DATA", str(demo_root))
    settings = ("data=demo_emotic", "data.size=tiny", f"data.store={tmp_path / 'store'}")
    with pytest.raises(ConfigError, match="reencode=true"):
        run_prepare(composed(*settings, "reencode=true", config_name="prepare"))
    assert not (tmp_path / "store").exists()


def trained_on(release: Path) -> tuple[str, ...]:
    settings = ("data=affectnet8", f"data.root={release}", *TINY[2:4])
    return (*settings, "data.num_workers=1", "trainer.max_epochs=1")


def test_the_command_and_a_release_that_changes_after_it(
    command: Command, release: Path, tmp_path: Path
) -> None:
    done = command("prepare", *SMALL, f"data.root={release}")
    assert "# Data card: affectnet8" in done.stdout
    assert (tmp_path / "faces.store" / "affectnet8" / "train.arrow").is_file()
    label = next((release / "train_set" / "annotations").glob("*_val.npy"))
    label.unlink()
    np.save(label, np.array("0.125"))
    changed = command("train", *trained_on(release), check=False)
    assert changed.returncode == 1
    assert "has changed since" in changed.stderr
    assert "data.store=null" in changed.stderr


@pytest.mark.slow
def test_training_from_the_store_alone_gives_the_same_numbers(
    command: Command, release: Path, tmp_path: Path
) -> None:
    command("prepare", *SMALL, f"data.root={release}")
    release.rename(tmp_path / "elsewhere")
    command("train", *trained_on(release), "group=packed")
    (tmp_path / "elsewhere").rename(release)
    command("train", *trained_on(release), "group=loose", "data.store=null")
    run = "affectnet8-tiny-combined-s0/metrics.json"
    packed, loose = (
        json.loads((tmp_path / "runs" / group / run).read_text()) for group in ("packed", "loose")
    )
    assert packed.pop("meta")["data"] == loose.pop("meta")["data"]
    assert packed == loose


@pytest.mark.slow
def test_killed_after_a_part_the_next_one_ends_with_the_same_bytes(
    command: Command,
    release: Path,
    tmp_path: Path,
    demo_root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """tests/faults kills it at random moments."""
    monkeypatch.setattr(checking, "PART", 16)  # twenty parts; in the forked process as well
    arguments = [*SMALL, f"data.root={release}"]
    command("prepare", *arguments, f"data.store={tmp_path / 'undisturbed'}")
    folder = tmp_path / "store" / "affectnet8"
    with forks():
        process = subprocess.Popen(
            [sys.executable, "-m", "cage_lightning.prepare", *arguments, "data.store=store"],
            cwd=tmp_path,
            env=environment(demo_root),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    while process.poll() is None and not any((folder / ".part").glob("*")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    command("prepare", *arguments, "data.store=store")
    assert contents(folder) == contents(tmp_path / "undisturbed" / "affectnet8")
    assert {p.name for p in folder.iterdir() if p.name.startswith(".")} == {".lock"}
