"""The figures and tables of a dataset, from the command line."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.conftest import Command

EXPECTED = {
    "demo8": ({"figure3", "figure4", "figure5", "figure6"}, "256"),
    "demo_emotic": ({"figure6", "figure7", "figure8"}, None),
}


@pytest.mark.parametrize("data", EXPECTED)
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


def test_the_output_folder_and_a_missing_release(command: Command, tmp_path: Path) -> None:
    command("analyze", "data=demo8", "data.size=tiny", "output=figures/faces")
    assert (tmp_path / "figures" / "faces" / "figure3.png").is_file()
    assert not (tmp_path / "analysis").exists()
    done = command("analyze", "data=affectnet8", "data.root=nowhere", check=False)
    assert done.returncode == 1
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr
