"""A thousand faulty inputs: each is a named fault in the data card, or a clear error."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from cage_lightning.app import build, nodes
from cage_lightning.commands.prepare import prepare as run_prepare
from cage_lightning.data.annotations import Annotations
from cage_lightning.data.face_dataset import FaceDataset
from cage_lightning.data.files import OnError
from cage_lightning.data.readers.affectnet import read_affectnet
from cage_lightning.data.readers.emotic import read_emotic
from cage_lightning.errors import DataError
from cage_lightning.labels import AFFECTNET_8
from tests.affectnet_layouts import (
    Row,
    fields_2017,
    path_2017,
    write_2021,
    write_csv,
    write_folders,
    write_list,
    write_plus,
)
from tests.conftest import TINY, Command, composed
from tests.faulty_annotations import GENERATORS, GOOD, SCENE, SOMEONE, faults, mat, table
from tests.faulty_pictures import IN_PLACE_OF_A_PICTURE, SIZE, pictures, sound

# Of some damage Pillow warns, as its users see; what counts is whether it raises.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::UserWarning:PIL"),
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
]

ANNOTATIONS = 110  # of each layout
ON_ERROR: tuple[OnError, ...] = ("raise", "keep")
PICTURES = {"affectnet2021": 300, "affectnet2017": 60, "emotic": 140}
KINDS = {
    *("truncated", "wrong type", "zero bytes", "huge dimensions", "damaged", "wrong mode"),
    *("CMYK", "16-bit", "other mode", "absurd row", "path outside", *IN_PLACE_OF_A_PICTURE),
}


def test_there_are_a_thousand_and_of_every_kind() -> None:
    inputs = {
        *(
            (f.kind, layout, f.content)
            for layout in GENERATORS
            for f in faults(layout, ANNOTATIONS)
        ),
        *((p.kind, data, p.content) for data, n in PICTURES.items() for p in pictures(n, n)),
        *((kind, data) for data in PICTURES for kind in IN_PLACE_OF_A_PICTURE),
    }
    kinds = Counter(kind for kind, *_ in inputs)
    print(len(inputs), dict(kinds))
    assert len(inputs) >= 1000
    assert kinds.keys() == KINDS


# --- who opens what ------------------------------------------------------------------------------

SECRET = sound(random.Random("secret")).content
_watched: list[tuple[str, list[str]]] = []


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _watched and event in ("open", "os.scandir", "os.listdir"):
        folder, opened = _watched[-1]
        path = arguments[0]
        if isinstance(path, (str, bytes, os.PathLike)):
            real = os.path.realpath(os.fsdecode(path).replace("\0", ""))
            if real == "/dev/zero" or f"{real}/".startswith(f"{folder}/"):
                opened.append(real)


@pytest.fixture(scope="module", autouse=True)
def _hook() -> None:
    sys.addaudithook(_audit)  # stays, and does nothing where nothing is watched


@pytest.fixture
def secret(tmp_path: Path) -> Iterator[Path]:
    """A picture outside the release, which nobody may open, nor list its folder."""
    path = tmp_path / "outside" / "secret.jpg"
    path.parent.mkdir()
    path.write_bytes(SECRET)
    (tmp_path / "elsewhere").mkdir()  # links to folders are followed
    opened: list[str] = []
    _watched.append((os.path.realpath(path.parent), opened))
    yield path
    _watched.pop()
    assert opened == []


# --- annotations ---------------------------------------------------------------------------------


def write_sound(layout: str, root: Path) -> None:
    """Two samples, or one in the file for MATLAB."""
    if layout == "affectnet2021":
        write_2021(root, "train_set", GOOD)
    elif layout == "csv":
        write_csv(root, "train_set", GOOD)
    elif layout == "affectnet2017":
        write_list(
            root / "Manually_Annotated_file_lists/training.csv", [fields_2017(row) for row in GOOD]
        )
        for row in GOOD:
            place(root / "Manually_Annotated_Images" / path_2017(row.number), b"")
    elif layout == "affectnet_plus":
        write_plus(root, "train", GOOD)
    elif layout == "folders":
        write_folders(root, "train", GOOD, {1: "Happiness", 2: "Sad"})
        (root / "train/Neutral").mkdir()
    else:
        rows = [[0, *SOMEONE.values()], [1, *(SOMEONE | {"Filename": "b.jpg"}).values()]]
        place(root / "emotic_pre/train.csv", table([["Index", *SOMEONE], *rows]))
        place(root / "Annotations/Annotations.mat", mat(SCENE))
        for name in "ab":
            place(root / f"emotic/mscoco/images/{name}.jpg", b"")


def place(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def read(layout: str, root: Path, on_error: OnError) -> Annotations | str:
    """The table, or the message of the error."""
    try:
        if layout.startswith("emotic"):
            return read_emotic(root, "train", layout.removeprefix("emotic "), on_error)
        return read_affectnet(root, "train", AFFECTNET_8, layout, on_error)
    except DataError as error:
        return str(error)


@pytest.mark.parametrize("layout", GENERATORS)
def test_a_faulty_annotation_is_a_clear_error_or_counted(
    layout: str, tmp_path: Path, secret: Path
) -> None:
    base, root = tmp_path / "base", tmp_path / "release"
    write_sound(layout, base)
    assert isinstance(read(layout, base, "raise"), Annotations)
    for fault in faults(layout, ANNOTATIONS):
        shutil.copytree(base, root)
        place(root / fault.file, fault.content)
        for on_error in ON_ERROR:
            found = read(layout, root, on_error)
            if isinstance(found, Annotations):
                assert found.left_out == {fault.left_out: 1}, fault
            else:
                assert not fault.left_out, (fault, found)
                assert re.search(fault.says, found), (fault, found)
        shutil.rmtree(root)


@pytest.mark.timeout(60, method="thread")  # ends a process that waits for a pipe
@pytest.mark.parametrize("layout", [name for name in GENERATORS if name != "folders"])
@pytest.mark.parametrize("thing", list(IN_PLACE_OF_A_PICTURE)[1:])  # all but nothing
def test_what_is_no_file_is_no_annotation_and_not_waited_for(
    layout: str, thing: str, tmp_path: Path, secret: Path
) -> None:
    root = tmp_path / "release"
    write_sound(layout, root)
    file = root / faults(layout, 1)[0].file
    file.unlink()
    IN_PLACE_OF_A_PICTURE[thing][0](file, secret)
    for on_error in ON_ERROR:
        found = read(layout, root, on_error)
        assert isinstance(found, str)
        assert file.name in found or "annotations for the train split" in found


# --- pictures ------------------------------------------------------------------------------------


def write_rows(data: str, root: Path, split: str, count: int, far: bool = False) -> list[Path]:
    """Annotations of `count` pictures, which belong at the paths that are returned.

    The last one's box lies outside the picture if it is `far`.
    """
    names = [f"{n}.jpg" for n in range(count)]
    if data == "affectnet2021":
        folder = {"train": "train_set", "test": "val_set"}[split]
        write_2021(root, folder, [Row(n, n % 8, 0.5, 0.25) for n in range(count)])
        pictures = root / folder / "images"
    elif data == "affectnet2017":
        name = {"train": "training.csv", "test": "validation.csv"}[split]
        face = ("0", "0", str(SIZE), str(SIZE))
        rows = [fields_2017(Row(n, n % 8), f"{split}/{name}", face) for n, name in enumerate(names)]
        rows[-1][1] = "9999" if far else "0"
        write_list(root / "Manually_Annotated_file_lists" / name, rows)
        pictures = root / "Manually_Annotated_Images" / split
    else:
        person = SOMEONE | {"Folder": split, "Image Size": "[9999, 9999]"}
        box = f"[0, 0, {SIZE}, {SIZE}]"
        persons = [person | {"Filename": name, "BBox": box} for name in names]
        persons[-1]["BBox"] = "[99, 99, 999, 999]" if far else box
        entries = [[n, *person.values()] for n, person in enumerate(persons)]
        place(root / f"emotic_pre/{split}.csv", table([["Index", *SOMEONE], *entries]))
        pictures = root / "emotic" / split
    pictures.mkdir(parents=True, exist_ok=True)
    return [pictures / name for name in names]


@pytest.mark.parametrize("data", PICTURES)
def test_each_faulty_picture_is_named_in_the_data_card(
    data: str, tmp_path: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cage_lightning.commands.prepare.start_logging", lambda file: None)
    root, rng = tmp_path / "release", random.Random(data)
    files = [*pictures(PICTURES[data], PICTURES[data]), *(sound(rng) for _ in range(20))]
    rng.shuffle(files)
    boxed = data != "affectnet2021"
    paths = write_rows(data, root, "train", len(files) + len(IN_PLACE_OF_A_PICTURE) + 1, boxed)
    expected: dict[str, tuple[str, ...]] = {
        paths[-1].name: ("box outside the picture",) if boxed else ()
    }
    paths[-1].write_bytes(sound(rng).content)
    for file, path in zip(files, paths, strict=False):
        path.write_bytes(file.content)
        expected[path.name] = file.faults
    for (make, fault), path in zip(
        IN_PLACE_OF_A_PICTURE.values(), paths[len(files) : -1], strict=True
    ):
        path.unlink(missing_ok=True)
        make(path, secret)
        expected[path.name] = (fault,)
    for split in ("test", "val") if data == "emotic" else ("test",):
        for path in write_rows(data, root, split, 2):
            path.write_bytes(sound(rng).content)

    name = "emotic" if data == "emotic" else "affectnet8"
    settings = (f"data={name}", f"data.root={root}")
    config = composed(*settings, "workers=2", config_name="prepare")
    broken = {name: names for name, names in expected.items() if names}
    with pytest.raises(DataError, match=f"{len(broken)} samples have no usable picture"):
        run_prepare(config)
    store = tmp_path / "release.store" / name
    assert not list(store.glob("*.arrow"))

    config.data.on_error = "skip"
    card = run_prepare(config)
    with (store / "faults.csv").open(newline="") as lines:
        named = {Path(row["path"]).name: row["fault"] for row in csv.DictReader(lines)}
    assert named.keys() == broken.keys()
    for broken_name, fault in named.items():
        assert fault in broken[broken_name], broken_name
    train, whole = card["splits"]["train"], [p for p in files if not p.faults]
    missing = Counter(named.values())["missing"]
    assert train["faults"] == Counter(named.values())
    assert train["left_out"] == {
        "missing picture": missing,
        "broken picture": len(named) - missing,
    }
    assert train["samples"] == len(whole) + (not boxed)
    assert train["modes"] == Counter([p.mode for p in whole] + ([] if boxed else ["RGB"]))
    text = (store / "datacard.md").read_text()
    assert all(f"| train | {fault} " in text for fault in named.values())

    table = nodes.build_source(config).own_split("train")
    kept = {Path(path).name: row for row, path in enumerate(table.path.tolist())}
    assert kept.keys() == expected.keys() - broken.keys()
    for path, picture in zip(paths, files, strict=False):
        if path.name in kept:
            assert table.picture(kept[path.name]) == picture.content
            image = FaceDataset(table, SIZE)[kept[path.name]].image
            assert torch.equal(image, torch.tensor(picture.rgb).permute(2, 0, 1)), picture.kind
    for written in store.iterdir():
        assert SECRET not in written.read_bytes()


@pytest.mark.timeout(120, method="thread")
@pytest.mark.parametrize("data", PICTURES)
def test_training_waits_for_nothing_and_follows_nothing_outside(
    data: str, tmp_path: Path, secret: Path
) -> None:
    name = "emotic" if data == "emotic" else "affectnet8"
    config = composed(f"data={name}", "data.store=null", "model=tiny")
    for thing, (make, _) in IN_PLACE_OF_A_PICTURE.items():
        config.data.root = str(tmp_path / thing)
        [path] = write_rows(data, tmp_path / thing, "train", 1)
        path.unlink(missing_ok=True)
        make(path, secret)
        for config.data.on_error, says in (
            ("raise", r"0\.jpg"),
            ("skip", r"0\.jpg.* is a link|missing picture': 1|none of the 1 pictures"),
        ):
            with pytest.raises(DataError, match=says):
                FaceDataset(build.build_data(config).source.own_split("train"), SIZE)[0]


def test_training_names_the_first_broken_picture_it_meets_or_counts_them(
    command: Command, demo_root: Path, tmp_path: Path
) -> None:
    root = tmp_path / "affectnet"
    shutil.copytree(demo_root / "demo_faces/tiny", root)
    (root / "release.json").unlink()
    paths = sorted((root / "train_set/images").iterdir())
    broken = [picture for picture in pictures(1, 40) if picture.faults][:20]
    for picture, path in zip(broken, paths, strict=False):
        path.write_bytes(picture.content)
    settings = ("data=affectnet8", "data.root=affectnet", *TINY[2:], "trainer.max_epochs=1")

    done = command("train", *settings, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    [message] = re.findall(r"error: (.*)", done.stderr)
    [path] = re.findall(r"Cannot decode the picture (\S+):", message)
    assert tmp_path / path in paths[:20]

    paths[20].unlink()
    paths[21].unlink()
    os.mkfifo(paths[21])
    command("train", *settings, "data.on_error=skip")
    [file] = tmp_path.rglob("metrics.json")
    left_out = json.loads(file.read_text())["meta"]["data"]["train"]["left_out"]
    assert left_out == {"broken picture": 21, "missing picture": 1}
