"""`predict` from the command line: the numbers of `evaluate`, interruptions, faults, refusals."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from torch import Tensor

from cage_lightning import ExpressionModel, read_predictions
from cage_lightning.deploy.description import Backbone, Description
from cage_lightning.deploy.expressions import Expressions
from cage_lightning.deploy.networks import Networks
from cage_lightning.deploy.preprocessing import Preprocessing
from cage_lightning.labels import EMOTIC, OutputLayout
from tests.conftest import Command
from tests.unit.faces.test_frames import write_video

Predict = Callable[..., Any]


@pytest.fixture
def crops(tmp_path: Path, demo_root: Path) -> list[Path]:
    """Forty pictures of the test split, in a folder `crops`."""
    (tmp_path / "crops").mkdir()
    images = demo_root / "demo_faces" / "tiny" / "val_set" / "images"
    return [Path(shutil.copy(path, tmp_path / "crops")) for path in sorted(images.iterdir())[:40]]


@pytest.fixture
def run(trained: Path) -> Path:
    return trained / "runs" / "default" / "demo8-tiny-combined-s0"


@pytest.fixture
def predict(command: Command, run: Path) -> Predict:
    def run_it(*arguments: str, check: bool = True) -> Any:
        return command("predict", f"checkpoint={run}", "device=cpu", *arguments, check=check)

    return run_it


def test_the_numbers_are_those_of_the_evaluation(
    predict: Predict, run: Path, crops: list[Path], tmp_path: Path
) -> None:
    predict("source=crops", "faces=none", "batch_size=7")
    rows = pq.read_table(tmp_path / "crops-expressions.parquet").to_pylist()
    assert [row["file"] for row in rows] == [f"crops/{path.name}" for path in crops]
    written = read_predictions(run / "predictions.parquet")
    by_name = {Path(name).stem: row for row, name in enumerate(written.id)}
    members = [by_name[path.stem] for path in crops]
    assert written.probability is not None
    assert written.affect_pred is not None
    found = [[row[f"prob_{name}"] for name in written.space.categories] for row in rows]
    np.testing.assert_allclose(found, written.probability[members], atol=1e-6)
    found = [[row["valence"], row["arousal"]] for row in rows]
    np.testing.assert_allclose(found, written.affect_pred[members], atol=1e-6)


@pytest.mark.slow
def test_an_interrupted_command_goes_on(
    predict: Predict, crops: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "crops" / "broken.jpg").write_bytes(b"nothing")
    job = ("source=crops", "faces=none", "batch_size=32")
    whole = predict(*job, "output=whole.parquet", check=False)
    assert whole.returncode == 3
    assert "whole.parquet: 41 files, 40 faces, 1 could not be read" in whole.stdout
    infer, calls = ExpressionModel.predict_crops, iter(range(100))

    def interrupted(self: ExpressionModel, images: Tensor) -> Expressions:
        if next(calls) == 2:  # the first one asks for the columns
            raise KeyboardInterrupt
        return infer(self, images)

    monkeypatch.setattr(ExpressionModel, "predict_crops", interrupted)
    stopped = predict(*job, "output=a.csv", check=False)
    assert stopped.returncode == 130
    assert "a.partial.csv: 32 files" in stopped.stdout
    with (tmp_path / "a.partial.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 32
    again = predict(*job, "output=a.csv", check=False)
    assert again.returncode == 3
    assert "0 of 41" not in again.stderr
    assert predict(*job, "output=b.csv", check=False).returncode == 3
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    complete = predict(*job, "output=a.csv", check=False)
    assert complete.returncode == 3
    assert "complete already" in complete.stdout


def test_boxes_of_a_file(predict: Predict, run: Path, crops: list[Path], tmp_path: Path) -> None:
    first, second, third = (path.name for path in crops[:3])
    lines = [
        "file,left,top,right,bottom",
        f"crops/{first},0,0,20,20",
        f"crops/{first},5,5,30,30",
        f"{tmp_path}/crops/{second},900,900,990,990",
    ]
    (tmp_path / "boxes.csv").write_text("\n".join(lines), encoding="utf-8")
    source = f"source=[crops/{first},crops/{second},crops/{third}]"
    done = predict(source, "boxes=boxes.csv", "output=a.parquet", check=False)
    assert done.returncode == 3
    rows = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert [row["faces"] for row in rows] == [2, 2, None, 0]
    assert [row["right"] for row in rows] == [20, 30, None, None]
    assert "lies outside" in rows[2]["fault"]
    model = ExpressionModel.load(run, device="cpu")
    expected = model.predict(crops[0], boxes=[(5, 5, 30, 30)]).columns()
    assert rows[1]["valence"] == pytest.approx(expected["valence"][0], abs=1e-6)


def test_copies_with_what_was_found(predict: Predict, crops: list[Path], tmp_path: Path) -> None:
    for path in crops[3:]:
        path.unlink()
    (tmp_path / "crops" / "broken.png").write_bytes(b"nothing")
    write_video(tmp_path / "crops" / "deep.mkv", [0, 40, 700])
    predict("source=crops", "faces=none", "output=a.jsonl", "render=true", check=False)
    copies = tmp_path / "a-annotated"
    names = {path.name for path in copies.iterdir()}
    assert names == {"drawn.json", "deep.mkv.mp4", *(path.name for path in crops[:3])}
    for path in crops[:3]:
        with Image.open(path) as before, Image.open(copies / path.name) as after:
            assert before.size == after.size
            assert abs(np.asarray(before).astype(int) - np.asarray(after)).max() > 100
    frames = list(_frames(copies / "deep.mkv.mp4"))
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.04, 0.7], abs=1e-3)
    again = predict("source=crops", "faces=none", "output=a.jsonl", "render=true", check=False)
    assert "drawn already" in again.stdout


def _frames(path: Path) -> Any:
    from cage_lightning.faces.frames import read_frames
    from cage_lightning.faces.sources import Item

    return read_frames(Item(str(path), "video"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("source=nothing",), "source=nothing: there is no such file"),
        (("source=crops", "output=a.txt"), "ends in .parquet, .csv, .jsonl"),
        (("source=crops", "smoothing=much"), "smoothing=much: choose one of none, exponential"),
        (("source=crops", "faces=eyes"), "faces=eyes: choose one of centerface"),
        (("source=crops", "faces=haar", "boxes=a.csv"), "leave one out"),
        (("source=crops", "boxes=a.csv"), "boxes=a.csv"),
        (("source=0", "render=true"), "render=true needs files"),
        (("source=[0,crops]",), "a camera or stream is looked at alone"),
        (("source=crops", "every=0"), "every=0 is not between 1"),
    ],
)
def test_what_is_refused(
    predict: Predict, crops: list[Path], arguments: tuple[str, ...], said: str
) -> None:
    done = predict(*arguments, check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_model_of_emotic_looks_at_whole_persons(
    predict: Predict, crops: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = OutputLayout(EMOTIC, categories=True, affect=True)
    description = Description(layout, Backbone("tiny"), Preprocessing(32))
    network = Networks([description.build("tiny")], layout)
    model = ExpressionModel(description, network, "cpu")
    monkeypatch.setattr(ExpressionModel, "load", lambda *args, **kwargs: model)
    source = f"source=crops/{crops[0].name}"
    predict(source, "output=a.parquet")
    (row,) = pq.read_table(tmp_path / "a.parquet").to_pylist()
    with Image.open(crops[0]) as picture:
        assert (row["right"], row["bottom"]) == picture.size
    expected = model.predict(crops[0])
    assert tuple(row["category"]) == expected[0].category
    assert row["dominance"] == pytest.approx(expected.columns()["dominance"][0], abs=1e-6)
    refused = predict(source, "output=b.parquet", "faces=centerface", check=False)
    assert refused.returncode == 1
    assert "looks at whole persons" in refused.stderr
