"""The figures and tables of a dataset whose pictures are not there."""

from __future__ import annotations

import csv
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cage_lightning.commands.analyze import analyze as run_analyze
from cage_lightning.commands.prepare import prepare
from cage_lightning.errors import DataError
from tests.affectnet_layouts import Row, write_2017, write_2021, write_csv
from tests.conftest import composed

ROWS = [Row(number, number % 8, number / 40, -number / 40) for number in range(16)]


def write_both(write: Callable[..., object], root: Path, *folders: str) -> None:
    for folder in folders:
        write(root, folder, ROWS)


RELEASES = {
    "affectnet2021": lambda root: write_both(write_2021, root, "train_set", "val_set"),
    "csv": lambda root: write_both(write_csv, root, "train_set", "val_set"),
    "affectnet2017": lambda root: write_both(write_2017, root, "train", "test"),
}


@pytest.fixture
def analyze(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Callable[..., list[str]]:
    """Analyse what lies in `tmp_path` / "faces": the names of the figures, which are not drawn."""
    figures: list[str] = []
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("cage_lightning.commands.analyze.start_logging", lambda _: None)
    monkeypatch.setattr("cage_lightning.commands.prepare.start_logging", lambda _: None)
    monkeypatch.setattr(
        "cage_lightning.commands.analyze.save", lambda _, name, *drawing: figures.append(name)
    )

    def run(*overrides: str) -> list[str]:
        figures.clear()
        caplog.clear()
        place = (f"data.root={tmp_path / 'faces'}", f"output={tmp_path / 'out'}")
        run_analyze(composed("data=affectnet8", *place, *overrides, config_name="analyze"))
        return figures

    return run


def samples(folder: Path) -> dict[str, str]:
    with (folder / "table3.csv").open() as file:
        return {row["property"]: row["affectnet8"] for row in csv.DictReader(file)}


@pytest.mark.parametrize(
    "release",
    ["csv", *(pytest.param(name, marks=pytest.mark.slow) for name in RELEASES if name != "csv")],
)
def test_without_any_picture(
    release: str,
    analyze: Callable[..., list[str]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    root = tmp_path / "faces"
    RELEASES[release](root)
    every = list(analyze())
    before = samples(tmp_path / "out")
    assert "missing" not in caplog.text
    for picture in [path for path in root.rglob("*") if path.suffix.lower() in (".jpg", ".png")]:
        picture.unlink()
    for folder in ("train_set/images", "val_set/images", "Manually_Annotated_Images"):
        shutil.rmtree(root / folder, ignore_errors=True)
    assert analyze() == every == ["figure3", "figure4", "figure5", "figure6"]
    assert samples(tmp_path / "out") == before
    for split in ("train", "test"):
        assert (
            f"{split} split: 16 of 16 pictures are missing; the figures show labels" in caplog.text
        )
    # `on_error=skip` leaves no picture here, and packing still refuses missing ones.
    with pytest.raises(DataError, match="no row is left"):
        analyze("data.on_error=skip")
    config = composed("data=affectnet8", f"data.root={root}", config_name="prepare")
    with pytest.raises(DataError, match=r"32 samples have no usable picture \(missing: 32\)"):
        prepare(config)


def test_a_missing_picture_counts_unless_it_is_to_be_skipped(
    analyze: Callable[..., list[str]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    RELEASES["affectnet2021"](tmp_path / "faces")
    (tmp_path / "faces/train_set/images/3.jpg").unlink()
    analyze()
    assert samples(tmp_path / "out")["Train samples"] == "16"
    assert "train split: 1 of 16 pictures are missing" in caplog.text
    analyze("data.on_error=skip")
    assert samples(tmp_path / "out")["Train samples"] == "15"
    assert "train split: 1 left out (missing picture)" in caplog.text


def test_the_size_of_packed_pictures_does_not_matter(
    analyze: Callable[..., list[str]], tmp_path: Path
) -> None:
    RELEASES["affectnet2021"](tmp_path / "faces")
    place = f"data.root={tmp_path / 'faces'}"
    small = ("reencode=true", "data.image_size=16", "workers=1")
    prepare(composed("data=affectnet8", place, *small, config_name="prepare"))
    analyze()
    assert samples(tmp_path / "out")["Train samples"] == "16"
