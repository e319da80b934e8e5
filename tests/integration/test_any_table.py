"""A table of an outsider's script, from prepare to predict: no line of code was written for it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from cage_lightning.demo.faces import draw_face
from cage_lightning.predictions.files import read_predictions
from tests.conftest import Command

FEELINGS = ("ruhig", "Freude", "Ärger", "Angst")
FOLDER = "Bilder Ä/Teil 1"
SHORT = (
    *("data=table", "data.name=studie", "data.strip=D:/Studie", "data.affect_range=[1,9]"),
    "data.root='Studie München'",
)
TRAIN = (
    *(*SHORT, "model=tiny", "model.image_size=32", "trainer=cpu", "trainer.max_epochs=1"),
    *("data.num_workers=0", "data.batch_size=16"),
)
RUNS = Path("runs/default")


def rows(pictures: int) -> list[list[str]]:
    """As a program of Windows writes them: decimal commas, backslashes, half of them absolute."""
    found = [["Nr.", "Bilddatei", "Gefühl", "Valenz", "Erregung", "Versuchsperson", "Alter"]]
    for k in range(pictures):
        face = draw_face(0, "val", k, 32)
        path = f"{FOLDER}/Bild {k} ü.png".replace("/", "\\")
        path = f"D:\\Studie\\{path}" if k % 2 else f".\\{path}"
        affect = (f"{5 + 4 * x:.2f}".replace(".", ",") for x in (face.valence, face.arousal))
        feeling = "" if k == 5 else FEELINGS[k % 4]
        found.append([str(k), path, feeling, *affect, f"VP {k // 4}", str(20 + k // 4)])
    return found


def text(lines: Sequence[Sequence[str]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=";", lineterminator="\r\n").writerows(lines)
    return buffer.getvalue()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """The table alone, in UTF-16."""
    root = tmp_path / "Studie München"
    (root / FOLDER).mkdir(parents=True)
    file = root / "Auswertung (neu).csv"
    file.write_bytes(text(rows(48)).encode("utf-16"))
    return file


@pytest.fixture
def study(table: Path) -> Path:
    """Its folder, with the 48 pictures of 12 persons."""
    for k in range(48):
        picture = Image.fromarray(draw_face(0, "val", k, 32).image)
        picture.save(table.parent / FOLDER / f"Bild {k} ü.png")
    return table.parent


@pytest.mark.slow
def test_a_table_trains_and_is_evaluated(
    command: Command, table: Path, study: Path, tmp_path: Path
) -> None:
    done = command("train", *TRAIN, "loss=combined")
    assert "picture: 'Bilddatei', category: 'Gefühl', valence: 'Valenz'" in done.stderr
    assert "sorted: Angst (12), Freude (11), ruhig (12), Ärger (12)" in done.stderr
    run = tmp_path / RUNS / "studie-tiny-combined-s0"
    metrics = json.loads((run / "metrics.json").read_text())
    space = metrics["meta"]["label_space"]
    assert (space["name"], space["categories"]) == ("studie", ["Angst", "Freude", "ruhig", "Ärger"])
    assert 0 <= metrics["test/accuracy"] <= 1
    assert "test/ccc_arousal" in metrics
    predictions = read_predictions(run / "predictions.parquet")
    assert {"age", "person"} <= predictions.groups.keys()
    assert (study / predictions.id[0]).with_suffix(".png").parent.is_dir()

    table.write_text(text(rows(48)), encoding="utf-8")  # another encoding, the same table
    command("evaluate", *SHORT, "trainer=cpu", "data.num_workers=0", f"checkpoint={run}")
    again = json.loads((run / "evaluations/studie/metrics.json").read_text())
    assert again["test/f1_macro"] == metrics["test/f1_macro"]


def test_prepare_lists_all_wrong_rows(command: Command, table: Path) -> None:
    lines = rows(48)
    lines[3][3], lines[7][3], lines[7][1] = "viel", "99", "../x.png"
    table.write_text(text(lines), encoding="utf-8")
    done = command("prepare", *SHORT, check=False)
    assert done.returncode == 1
    assert (
        "line 4, column 'Valenz': 'viel' is not a number (3 wrong cells in 2 rows)" in done.stderr
    )
    assert "wrong_rows.csv lists 3 wrong cells" in done.stderr
    with Path(f"{table.parent}.store/studie/wrong_rows.csv").open(encoding="utf-8") as file:
        listed = [(row["place"], row["column"], row["value"]) for row in csv.DictReader(file)]
    assert listed == [
        ("line 4", "Valenz", "viel"),
        ("line 8", "Bilddatei", "../x.png"),
        ("line 8", "Valenz", "99"),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("data=table",), "error: data.name=... is needed"),
        (("data=folders", "data.name=x", "data.root=nowhere"), "error: nowhere is not a folder"),
        ((*SHORT, "data.columns.category=Mut"), "error: data.columns.category=Mut: "),
        ((*SHORT, "data.test_fraction=2.0"), "error: data.test_fraction=2.0 is not between"),
        ((*SHORT, "data.columns.colour=x"), "colour"),
    ],
)
def test_a_wrong_setting_is_a_line(
    arguments: tuple[str, ...], message: str, command: Command, table: Path
) -> None:
    done = command("analyze", *arguments, check=False)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss", "settings"),
    [
        ("combined", ("data.affect={Lust auf mehr:Valenz,Ruhe:Erregung,Jahre:Alter}",)),
        ("discrete", ("data.affect=[]",)),
        ("va", ("data.columns.category=''", "data.affect={Wohlbefinden:Valenz}")),
    ],
)
def test_the_whole_way(
    loss: str,
    settings: tuple[str, ...],
    request: pytest.FixtureRequest,
    command: Command,
    study: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cage_lightning.report.figures._DPI", 40)
    if loss != "combined":  # its figures are saved in every format, with all the umlauts
        request.getfixturevalue("only_png")
    scale = () if loss != "combined" else ("data.affect_range=[1,60]",)
    data = (*SHORT, *settings, *scale)
    command("analyze", *data)
    command("prepare", *data)
    command("train", *TRAIN, *settings, *scale, f"loss={loss}", "figures=true")
    run = tmp_path / RUNS / f"studie-tiny-{loss}-s0"
    loaded = (*data, "trainer=cpu", "data.num_workers=0", "figures=true")
    command("evaluate", *loaded, f"checkpoint={run}")
    command("score", f"predictions={run}/predictions.parquet", "figures=figures")
    command("export", f"checkpoint={run}", "output=exported", *data)
    command(
        "predict", "checkpoint=exported", f"source='{study / FOLDER}'", "faces=none", "output=p.csv"
    )
    header = (tmp_path / "p.csv").read_text().splitlines()[0]
    wanted = {
        "combined": ("prob_Ärger", "Lust auf mehr", "Jahre"),
        "discrete": ("category", "prob_ruhig"),
        "va": ("Wohlbefinden",),
    }
    assert all(name in header for name in wanted[loss])
