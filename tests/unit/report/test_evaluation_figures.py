"""The numbers behind the figures of a prediction file, counted by hand, and what is left out."""

from __future__ import annotations

import csv
import logging
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from cage_lightning.errors import DataError
from cage_lightning.labels import AFFECTNET_8, EMOTIC, LabelSpace
from cage_lightning.predictions.table import Predictions
from cage_lightning.report.affect_figures import Source, absolute_error, absolute_errors, density
from cage_lightning.report.category_figures import category_rates, error_by_category, reliability
from cage_lightning.report.evaluation_figures import draw
from cage_lightning.report.figures import FORMATS, without_formulas
from cage_lightning.report.worst_samples import worst_first, worst_samples
from cage_lightning.training_statistics import TrainingStatistics
from tests.present import present

NAN = float("nan")

# Figure 9 of the paper: rows are true, columns predicted, in the order of AFFECTNET_8.
PUBLISHED = np.array(
    [
        [279, 12, 33, 47, 8, 19, 36, 66],
        [15, 360, 2, 19, 1, 12, 3, 88],
        [64, 5, 314, 14, 20, 29, 38, 16],
        [40, 27, 15, 304, 65, 26, 12, 11],
        [12, 8, 35, 83, 308, 29, 22, 3],
        [26, 8, 31, 17, 15, 302, 81, 20],
        [60, 3, 25, 23, 19, 58, 289, 23],
        [65, 45, 10, 10, 4, 29, 18, 318],
    ]
)


def predictions(space: LabelSpace, **columns: Any) -> Predictions:
    """Predictions with the given columns; the others are what a file without them has."""
    n = len(next(iter(columns.values())))
    given = {name: np.asarray(values) for name, values in columns.items()}
    defaults: dict[str, Any] = {
        "id": np.array([f"{i}.jpg" for i in range(n)]),
        "category": None,
        "affect": np.full((n, len(space.dimensions)), NAN),
        "category_pred": None,
        "probability": None,
        "affect_pred": None,
    }
    return Predictions(space, **(defaults | given))


def faces() -> Predictions:
    """Four faces of three categories; the last has no affect."""
    probability = np.full((4, 8), 0.02)
    probability[range(4), [0, 1, 1, 7]] = 0.86
    return predictions(
        AFFECTNET_8,
        category=[0, 1, 2, 7],
        category_pred=[0, 1, 1, 7],
        probability=probability,
        affect=[(0, 0.5), (0.6, 0.2), (-0.5, -0.2), (NAN, NAN)],
        affect_pred=[(0.1, 0.5), (0.3, 0.2), (0.9, 0.9), (1.5, 0)],
    )


def persons() -> Predictions:
    """Three persons; Affection, Anger and Yearning occur, dominance is annotated once."""
    true, predicted = np.zeros((3, 26), bool), np.zeros((3, 26), bool)
    true[[0, 0, 1], [0, 1, 0]] = predicted[[0, 1, 2], [0, 1, 1]] = True
    return predictions(
        EMOTIC,
        category=true,
        category_pred=predicted,
        probability=np.where(predicted, 0.75, np.where(true, 0.125, 0.25)),
        affect=[(0, 0, NAN), (0.5, 0.5, NAN), (-0.5, 0, 0.5)],
        affect_pred=[(0.25, 0, 0), (0.5, 0, 0), (0, 0, 0)],
    )


def picture(row: int) -> Image.Image | np.ndarray:
    """A picture in one of the four kinds that readers give, by its row."""
    kinds: list[Image.Image | np.ndarray] = [
        np.full((20, 30, 3), 40, np.uint8),
        np.full((30, 20), 90, np.uint8),
        Image.new("RGBA", (64, 64), "red"),
        Image.new("P", (9, 400), 3),
    ]
    return kinds[row % 4]


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The rows of each figure, which is drawn, but neither laid out, nor in pixels, nor written."""
    rows_of = {}

    def save(_folder: Path, name: str, figure: Figure, rows: Any) -> None:
        figure.set_layout_engine("none")
        figure.draw_without_rendering()
        rows_of[name] = rows

    monkeypatch.setattr("cage_lightning.report.evaluation_figures.save", save)
    return rows_of


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_confusion_matrix_of_the_paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cage_lightning.report.figures.FORMATS", ())  # its numbers alone
    true, predicted = np.indices(PUBLISHED.shape).reshape(2, 64).repeat(PUBLISHED.ravel(), axis=1)
    order = np.random.default_rng(0).permutation(3999)
    file = predictions(AFFECTNET_8, category=true[order], category_pred=predicted[order])
    assert draw(tmp_path, file) == ["figure9"]
    rows = table(tmp_path, "figure9")
    names = [(row["category_true"], row["category_pred"]) for row in rows]
    assert names == [(t, p) for t in AFFECTNET_8.categories for p in AFFECTNET_8.categories]
    np.testing.assert_array_equal([int(r["count"]) for r in rows], PUBLISHED.ravel())
    share = np.array([float(r["share"]) for r in rows]).reshape(8, 8)
    recall = [0.558, 0.72, 0.628, 0.608, 0.616, 0.604, 0.578, 0.637275]
    np.testing.assert_allclose(share.diagonal(), recall, atol=5e-7)
    np.testing.assert_allclose(share.sum(axis=1), 1)
    assert share[0, 7] == 66 / 500


def test_absolute_error_is_shared_out_by_dimension() -> None:
    constant = TrainingStatistics("train", 9, [9] * 8, [0.5, None], [[None, None]] * 8)
    once = {n: getattr(faces(), n).astype(np.float32) for n in ("affect", "affect_pred")}
    stored = {name: column.astype(np.float64) for name, column in once.items()}
    rows = absolute_error(replace(faces(), training=constant, **stored))[1]
    share = {(r["predictor"], r["dimension"], r["absolute_error"]): r["share"] for r in rows}
    assert len(rows) == 3 * 101  # arousal has no training mean
    # Errors of valence: 0.1, 0.3 and 1.4; of arousal: 0, 0 and 1.1. The fourth has no affect.
    for (dimension, error), n in {
        ("valence", 0.09): 0,
        ("valence", 0.1): 1,
        ("valence", 0.29): 1,
        ("valence", 0.3): 2,
        ("valence", 1.0): 2,
        ("arousal", 0.0): 2,
    }.items():
        assert share["model", dimension, error] == pytest.approx(n / 3)
    # The training mean of valence is 0.5, so the errors are 0.5, 0.1 and 1.
    assert share["training mean", "valence", 0.1] == pytest.approx(1 / 3)
    assert share["training mean", "valence", 0.99] == pytest.approx(2 / 3)
    assert share["training mean", "valence", 1.0] == 1


def test_absolute_errors_of_several_files() -> None:
    figure, rows = absolute_errors({Source("ours"): faces(), Source("theirs"): persons()})
    dimensions = {
        name: {r["dimension"] for r in rows if r["predictor"] == name}
        for name in ("ours", "theirs")
    }
    assert dimensions["ours"] == {"valence", "arousal"}
    assert dimensions["theirs"] == {"valence", "arousal", "dominance"}
    assert [axes.get_title() for axes in figure.axes] == list(EMOTIC.dimensions)
    several = {
        Source("a"): faces(),
        Source("a", "other"): persons(),
        Source("b on me"): faces(),
        Source("a", "third"): faces(),
        Source("b", "me too"): faces(),
    }
    lines = absolute_errors(several)[0].axes[0].lines
    looks = {line.get_label(): (line.get_color(), line.get_linestyle()) for line in lines}
    assert len(set(looks.values())) == 5
    assert looks["a"][0] == looks["a on other"][0] == looks["a on third"][0]
    assert len({looks[name][0] for name in ("a", "b on me", "b on me too")}) == 3
    with pytest.raises(DataError, match="nothing of mine"):
        absolute_errors({Source("nothing of mine"): replace(faces(), affect_pred=None)})


def test_density_has_the_medians_of_the_samples_with_affect() -> None:
    rows = density(faces())[1]
    seen = {(r["affect"], r["category"]): r for r in rows}
    assert len(seen) == 2 * 9
    everything = seen["predicted", "all samples"]
    assert (everything["n"], everything["outside_unit_disc"]) == (3, 1)
    assert (everything["median_valence"], everything["median_arousal"]) == (0.3, 0.5)
    assert seen["true", "all samples"]["median_valence"] == 0
    assert seen["true", "Happiness"]["median_valence"] == 0.6
    assert seen["predicted", "Happiness"]["median_valence"] == 0.3
    assert seen["true", "Contempt"]["n"] == 0
    assert seen["true", "Contempt"]["median_valence"] is None
    assert [r["category"] for r in density(persons())[1]] == ["all samples"] * 2


def test_error_by_category() -> None:
    seen = {(r["dimension"], r["category"]): r for r in error_by_category(faces())[1]}
    assert len(seen) == 2 * 9
    assert (seen["valence", "all samples"]["n"], seen["valence", "Contempt"]["n"]) == (3, 0)
    assert seen["valence", "all samples"]["mae"] == pytest.approx((0.1 + 0.3 + 1.4) / 3)
    assert seen["arousal", "Sadness"]["mae"] == pytest.approx(1.1)
    assert seen["valence", "Contempt"]["mae"] is None
    seen = {(r["dimension"], r["category"]): r for r in error_by_category(persons())[1]}
    assert seen["valence", "Affection"]["mae"] == pytest.approx((0.25 + 0) / 2)
    assert seen["arousal", "Anger"]["mae"] == 0
    assert (seen["dominance", "all samples"]["n"], seen["dominance", "Anger"]["n"]) == (1, 0)


def test_category_rates() -> None:
    seen = {row["category"]: row for row in category_rates(persons())[1]}
    assert seen["Affection"] == {
        "category": "Affection",
        "true_positives": 1,
        "positives": 2,
        "true_positive_rate": 0.5,
        "false_positives": 0,
        "negatives": 1,
        "false_positive_rate": 0,
    }
    assert (seen["Anger"]["true_positive_rate"], seen["Anger"]["false_positive_rate"]) == (0, 1)
    assert seen["Yearning"]["true_positive_rate"] is None


def test_reliability_has_the_expected_calibration_error_of_its_bins() -> None:
    # 0.4 is the upper edge of the sixth of fifteen bins, and belongs to it.
    sure, right = [0.4, 0.38, 0.9, 0.92, 1.0], [1, 0, 1, 1, 0]
    probability = np.zeros((5, 8))
    probability[:, 2], probability[:, 3] = sure, 1 - np.array(sure)
    probability[:2, 3:6] = 0.2
    figure, rows = reliability(
        predictions(
            AFFECTNET_8,
            category=np.where(right, 2, 0),
            category_pred=[2] * 5,
            probability=probability,
        )
    )
    filled = {i: row for i, row in enumerate(rows) if row["n"]}
    assert {i: row["n"] for i, row in filled.items()} == {5: 2, 13: 2, 14: 1}
    assert (filled[5]["from"], filled[5]["to"]) == (0.333333, 0.4)
    assert filled[5]["confidence"] == pytest.approx(0.39)
    assert filled[5]["accuracy"] == 0.5
    assert filled[14]["gap"] == 1
    assert {**rows[0], "from": 0, "to": 0} == {
        "from": 0,
        "to": 0,
        "n": 0,
        "confidence": None,
        "accuracy": None,
        "gap": None,
    }
    ece = (2 * abs(0.39 - 0.5) + 2 * abs(0.91 - 1) + 1) / 5
    assert f"ECE = {ece:.3f}" in figure.get_suptitle()


def test_the_worst_samples_are_the_surest_mistakes() -> None:
    # The third is wrong; of the others, the second is further off than the first.
    assert worst_first(faces()).tolist() == [2, 1, 0]
    assert worst_first(replace(faces(), category_pred=None)).tolist() == [2, 1, 0]
    unsure = replace(faces(), category=np.array([1, 1, 2, 0]))
    present(unsure.probability)[0, 0] = 0.4
    assert worst_first(unsure).tolist() == [2, 3, 0, 1]
    # A category missed at 0.125 is a surer mistake than one wrongly predicted at 0.75.
    assert worst_first(persons()).tolist() == [1, 0, 2]
    without = replace(persons(), probability=None)
    assert worst_first(without).tolist() == [2, 1, 0]  # by affect: all have a wrong category


def test_the_picture_sheet_says_what_is_wrong() -> None:
    asked: list[int] = []

    def ask(row: int) -> Image.Image | np.ndarray:
        asked.append(row)
        return picture(row + 1)

    figure, rows = worst_samples(faces(), ask)
    assert asked == [2, 1, 0] == [row["row"] for row in rows]
    assert rows[0] == {
        "row": 2,
        "id": "2.jpg",
        "category_true": "Sadness",
        "category_pred": "Happiness",
        "confidence": 0.86,
        "valence_true": -0.5,
        "arousal_true": -0.2,
        "valence_pred": 0.9,
        "arousal_pred": 0.9,
        "affect_error": pytest.approx(np.hypot(1.4, 1.1)),
    }
    assert figure.axes[0].get_xlabel().splitlines() == [
        "2.jpg",
        "true Sadness",
        "pred Happiness",
        "wrong with 86% confidence",
        "true V-0.50 A-0.20",
        "pred V+0.90 A+0.90",
    ]
    assert rows[1]["confidence"] is None
    assert all(present(axes.images[0].get_array()).shape == (256, 256, 3) for axes in figure.axes)
    sheet = worst_samples(persons(), picture)
    assert sheet[1][1]["category_true"] == "Affection;Anger"
    assert "true V+0.00 A+0.00 D  –  " in sheet[0].axes[1].get_xlabel()


@pytest.mark.parametrize("file", [faces(), persons()], ids=["affectnet8", "emotic"])
def test_captions_do_not_overlap(file: Predictions) -> None:
    many = file.select(np.arange(60) % 3)
    long = np.array([f"mscoco/images/COCO_val2014_{i:020d}$^^$.jpg" for i in range(60)])
    crowded = replace(many, id=long)
    if file.space.multi_label:
        assert many.category is not None
        crowded = replace(crowded, category=~many.category)
    figure = worst_samples(crowded, picture)[0]
    with without_formulas(figure):
        figure.draw_without_rendering()
    assert len(figure.axes) == 24
    boxes = [axes.xaxis.label.get_window_extent() for axes in figure.axes]
    boxes += [axes.get_window_extent() for axes in figure.axes]
    for i, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])


FACES = ["figure9", "reliability", "figure10", "density", "error_by_category", "worst_samples"]


@pytest.mark.slow
def test_every_figure_is_four_files_and_the_same_ones_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cage_lightning.report.figures._DPI", 40)
    for folder in ("one", "two"):
        assert draw(tmp_path / folder, faces(), picture) == FACES
    one = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    assert set(one) == {f"{name}.{ending}" for name in FACES for ending in (*FORMATS, "csv")}
    assert one == {path.name: path.read_bytes() for path in (tmp_path / "two").iterdir()}
    for name in FACES:
        with Image.open(tmp_path / "one" / f"{name}.png") as image:
            assert np.asarray(image.convert("L")).std() > 5
        assert table(tmp_path / "one", name)


def _lacking() -> Iterator[Any]:
    yield "discrete", replace(faces(), affect_pred=None), {"figure9", "reliability"}
    affect = {"figure10", "density"}
    yield "va", replace(faces(), category=None, category_pred=None, probability=None), affect
    yield (
        "va, categories known",
        replace(faces(), category_pred=None, probability=None),
        (affect | {"error_by_category"}),
    )
    yield "not annotated", replace(faces(), affect=np.full((4, 2), NAN)), {"figure9", "reliability"}
    half = faces().affect.copy()
    half[:, 0] = NAN
    yield (
        "arousal alone",
        replace(faces(), affect=half),
        ({"figure9", "reliability", "figure10", "error_by_category"}),
    )
    yield "persons", persons(), {"category_rates", "error_by_category"} | affect


@pytest.mark.parametrize(("file", "expected"), [pytest.param(*c[1:], id=c[0]) for c in _lacking()])
def test_what_the_predictions_do_not_allow_is_left_out_and_logged(
    file: Predictions,
    expected: set[str],
    saved: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    assert draw(Path(), file) == list(saved)
    assert set(saved) == expected
    (line,) = caplog.messages
    for name in {*FACES, "category_rates"} - expected:
        assert f"{name} (" in line
    assert "worst_samples (no pictures are given)" in line


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(faces().select(np.array([0])), marks=pytest.mark.slow),
        pytest.param(faces().select(np.array([3])), marks=pytest.mark.slow),
        persons().select(np.array([1])),
        # Outside the picture.
        pytest.param(replace(faces(), affect_pred=np.full((4, 2), 7.0)), marks=pytest.mark.slow),
    ],
    ids=["one face", "one face without affect", "one person", "far off"],
)
def test_few_samples_are_drawn_without_a_warning(file: Predictions, saved: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert draw(Path(), file, picture) == list(saved)
    assert saved
    values = [value for rows in saved.values() for row in rows for value in row.values()]
    assert not any(isinstance(value, float) and np.isnan(value) for value in values)


def test_nothing_wrong_is_no_picture_sheet(
    saved: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    right = predictions(AFFECTNET_8, category=[0, 1], category_pred=[0, 1])
    assert draw(Path(), right, picture) == ["figure9"]
    assert "worst_samples (nothing is wrong)" in caplog.text
    share = {(r["category_true"], r["category_pred"]): r["share"] for r in saved["figure9"]}
    assert share["Neutral", "Neutral"] == 1
    assert share["Sadness", "Neutral"] is None  # no sample to have a share of
