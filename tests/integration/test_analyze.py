"""The figures and tables of a dataset, from the command line."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.affectnet_layouts import Row, write_folders
from tests.conftest import Command

EXPECTED = {
    "demo8": ({"figure3", "figure4", "figure5", "figure6"}, "256"),
    "demo_emotic": ({"figure6", "figure7", "figure8"}, None),
}


@pytest.mark.slow
@pytest.mark.parametrize("data", ["demo8", "demo_emotic"])
def test_every_figure_and_table_of_the_own_splits(
    data: str, command: Command, tmp_path: Path
) -> None:
    command("analyze", f"data={data}", "data.size=tiny")
    folder = tmp_path / "analysis" / data
    figures, train = EXPECTED[data]
    expected = {f"{name}.{ending}" for name in figures for ending in ("png", "svg", "pdf", "csv")}
    expected |= {f"table{n}.{ending}" for n in (3, 4) for ending in ("csv", "md")}
    assert {p.name for p in folder.iterdir()} == expected
    with (folder / "table3.csv").open() as file:
        sizes = {row["property"]: row[data] for row in csv.DictReader(file)}
    if train is not None:  # all of them: nothing is held out
        assert sizes["Train samples"] == train
    assert (sizes["Validation samples"] == "0") == (data == "demo8")


def test_a_release_without_valence_and_arousal(command: Command, tmp_path: Path) -> None:
    names = {0: "Neutral", 1: "Happiness", 7: "Contempt"}
    write_folders(tmp_path / "faces", "train", [Row(i, exp) for i, exp in enumerate(names)], names)
    write_folders(tmp_path / "faces", "val", [Row(9, 1)], names)
    done = command("analyze", "data=affectnet8", "data.root=faces")
    folder = tmp_path / "analysis" / "affectnet8"
    assert {p.stem for p in folder.iterdir()} == {"table3", "table4", "figure3"}
    for line in (
        "train split: no sample has valence or arousal",
        "figure4 left out: no training sample has valence and arousal",
        "figure5 left out: no training sample has valence or arousal",
        "figure6 left out: no sample has valence or arousal",
    ):
        assert done.stderr.count(line) == 1
    assert "| Valence | no |" in (folder / "table3.md").read_text()
    assert "| Sadness | 0 |  | 0.046078 |" in (folder / "table4.md").read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("only_png")
def test_the_output_folder_and_a_missing_release(command: Command, tmp_path: Path) -> None:
    command("analyze", "data=demo8", "data.size=tiny", "output=figures/faces")
    assert (tmp_path / "figures" / "faces" / "figure3.png").is_file()
    assert not (tmp_path / "analysis").exists()
    done = command("analyze", "data=affectnet8", "data.root=nowhere", check=False)
    assert done.returncode == 1
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr
