"""The numbers behind the dataset figures, counted by hand, and the files they end up in."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.class_weights import PAPER_CLASS_WEIGHTS
from cage_lightning.labels import AFFECTNET_8, EMOTIC, LabelSpace
from cage_lightning.report.dataset_figures import NothingToDraw, annotated, figures_of
from cage_lightning.report.dataset_tables import save_table, table3, table4
from cage_lightning.report.figures import FORMATS, save

NAN = float("nan")


def table(space: LabelSpace, category: Any, native: Any) -> Annotations:
    ids = np.array([str(i) for i in range(len(category))])
    labels: Any = np.asarray(category, dtype=np.float32 if space.multi_label else np.int64)
    affect = space.to_unit(np.asarray(native, dtype=np.float64)).astype(np.float32)
    return Annotations(space, Path("release"), ids, ids, labels, affect)


def multi_hot(*rows: tuple[int, ...]) -> np.ndarray:
    out = np.zeros((len(rows), 26), np.float32)
    for i, row in enumerate(rows):
        out[i, list(row)] = 1
    return out


FACES = {
    "train": table(
        AFFECTNET_8,
        [0, 1, 1, 1, 7],
        [(0, 0), (0.5, 0.1), (0.7, 0.3), (0.9, 0.8), (NAN, NAN)],
    ),
    "test": table(AFFECTNET_8, [0, 1], [(-1, -0.95), (1, 0.05)]),
}
PERSONS = {
    "train": table(
        EMOTIC, multi_hot((0, 11), (11,), (11, 25, 3), (3,)), [(1, 5, 10), (1, 6, 7)] * 2
    ),
    "val": table(EMOTIC, multi_hot((11,)), [(3, 4, 5)]),
    "test": table(EMOTIC, multi_hot((0, 1), (2, 3)), [(10, 10, 10), (2, 2, NAN)]),
}
SETS = [(AFFECTNET_8, FACES), (EMOTIC, PERSONS)]


def rows_of(space: LabelSpace, splits: dict[str, Annotations], name: str) -> list[Any]:
    return list(figures_of(space)[name]("a set", space, splits)[1])


def test_frequency_by_split() -> None:
    seen = {(r["split"], r["category"]): r for r in rows_of(AFFECTNET_8, FACES, "figure3")}
    assert len(seen) == 16
    assert seen["train", "Happiness"]["count"] == 3
    assert seen["train", "Happiness"]["share"] == pytest.approx(0.6)
    assert seen["train", "Fear"]["count"] == 0
    assert seen["test", "Neutral"]["share"] == pytest.approx(0.5)


def test_circumplex_has_the_medians_of_the_annotated_training_samples() -> None:
    seen = {r["category"]: r for r in rows_of(AFFECTNET_8, FACES, "figure4")}
    happy = seen["Happiness"]
    assert (happy["n"], happy["outside_unit_disc"]) == (3, 1)
    assert happy["median_valence"] == pytest.approx(0.7)
    assert happy["median_arousal"] == pytest.approx(0.3)
    assert (seen["Contempt"]["n"], seen["Contempt"]["median_valence"]) == (0, None)


def test_box_plots_have_the_quartiles_of_numpy() -> None:
    seen = {(r["dimension"], r["category"]): r for r in rows_of(AFFECTNET_8, FACES, "figure5")}
    assert {c for _, c in seen} == {"Neutral", "Happiness"}  # the others have no valence
    box = seen["arousal", "Happiness"]
    expected = np.percentile([0.1, 0.3, 0.8], [0, 25, 50, 75, 100])
    columns = ("whisker_low", "quartile_1", "median", "quartile_3", "whisker_high")
    np.testing.assert_allclose([box[c] for c in columns], expected, rtol=1e-6)


def test_affect_histograms_of_a_continuous_scale() -> None:
    rows = rows_of(AFFECTNET_8, FACES, "figure6")
    seen = {(r["dimension"], r["split"], r["from"]): r for r in rows}
    assert len(seen) == 2 * 2 * 20
    # 0.7 and 0.3 are edges: a bin holds its lower one, however float32 rounds it.
    for key, count in {("valence", 0.7): 1, ("valence", 0.6): 0, ("arousal", 0.3): 1}.items():
        assert seen[key[0], "train", key[1]]["count"] == count
    assert seen["valence", "train", 0.7]["share"] == pytest.approx(1 / 4)
    assert seen["valence", "test", -1.0]["count"] == seen["valence", "test", 0.9]["count"] == 1


def test_affect_histograms_of_ratings_are_in_the_native_scale() -> None:
    rows = rows_of(EMOTIC, PERSONS, "figure6")
    for d, dimension in enumerate(EMOTIC.dimensions):
        for split, persons in PERSONS.items():
            counts = [
                r["count"] for r in rows if (r["dimension"], r["split"]) == (dimension, split)
            ]
            ratings = EMOTIC.to_native(persons.affect[:, d])
            expected = [(np.abs(ratings - rating) < 0.01).sum() for rating in range(1, 11)]
            assert counts == expected


def test_relative_frequency_is_sorted_and_of_samples() -> None:
    rows = rows_of(EMOTIC, PERSONS, "figure7")
    assert [(r["category"], r["count"]) for r in rows[:4]] == [
        ("Engagement", 3),
        ("Anticipation", 2),
        ("Affection", 1),
        ("Yearning", 1),
    ]
    assert rows[0]["share"] == pytest.approx(3 / 4)
    assert len(rows) == 26


def test_categories_per_sample() -> None:
    rows = rows_of(EMOTIC, PERSONS, "figure8")
    counts = {s: [r["count"] for r in rows if r["split"] == s] for s in PERSONS}
    assert counts == {"train": [0, 2, 1, 1], "val": [0, 1, 0, 0], "test": [0, 0, 2, 0]}
    assert rows[1]["share"] == pytest.approx(0.5)


def one_per_class(space: LabelSpace, *missing: str) -> Annotations:
    k, d = len(space.categories), len(space.dimensions)
    affect = np.linspace(*space.native_range, k * d).reshape(k, d)
    affect[:, np.isin(space.dimensions, missing)] = NAN
    return table(space, np.eye(k) if space.multi_label else np.arange(k), affect)


def text_of(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


VAD = ("valence", "arousal", "dominance")
SPARSE = {  # dimensions that the train and the test split lack, figures that are left out
    "one sample per class": ((), (), set()),
    "no arousal": (("arousal",), ("arousal",), {"figure4"}),
    "no arousal to train on": (("arousal",), (), {"figure4"}),
    "no affect": (VAD, VAD, {"figure4", "figure5", "figure6"}),
    "no affect to train on": (VAD, (), {"figure4", "figure5"}),
    "no affect in the test split": ((), VAD, set()),
}


# The others lack a part of what these lack.
QUICK = {"one sample per class", "no arousal", "no affect"}


@pytest.mark.parametrize(
    ("space", "case"),
    [
        pytest.param(
            *(space, case),
            marks=[] if case in QUICK else [pytest.mark.slow],
            id=f"{case}-{space.name}",
        )
        for case in SPARSE
        for space in (AFFECTNET_8, EMOTIC)
    ],
)
def test_what_is_not_annotated_is_neither_drawn_nor_counted(space: LabelSpace, case: str) -> None:
    *lacking, expected = SPARSE[case]
    train, test = (one_per_class(space, *dimensions) for dimensions in lacking)
    # The last category does not occur in the test split.
    splits = {"train": train, "test": test.select(np.arange(len(test) - 1))}
    left_out = set()
    for name, draw in figures_of(space).items():
        try:
            figure, rows = draw("a set", space, splits)
        except NothingToDraw:
            left_out.add(name)
            continue
        figure.set_layout_engine("none")  # which takes longer than to draw
        figure.draw_without_rendering()
        numbers = [value for row in rows for value in row.values() if isinstance(value, float)]
        assert np.isfinite(numbers).all()
        shown = {row["dimension"] for row in rows if "dimension" in row}
        assert shown <= set(annotated(space, train, test))
        # Every panel shows data, not only its lines of reference.
        assert figure.axes
        assert all(axes.patches or axes.collections for axes in figure.axes), name
        if name in ("figure3", "figure6", "figure8"):
            seen = {row["split"] for row in rows}
            assert text_of(figure) == [split for split in splits if split in seen]
    assert left_out == expected & set(figures_of(space))


def test_a_panel_without_a_sample_does_not_take_the_legend_away() -> None:
    faces = {"train": FACES["train"].select(np.arange(1, 5))}  # Neutral, the first, has none
    figure, _ = figures_of(AFFECTNET_8)["figure4"]("a set", AFFECTNET_8, faces)
    assert text_of(figure) == ["unit disc", "median"]


def test_tables_of_a_dataset_without_affect() -> None:
    dimensions = ("valence", "arousal")
    faces = {"train": one_per_class(AFFECTNET_8, *dimensions)}
    rows = {r["property"]: r["faces"] for r in table3("faces", AFFECTNET_8, faces)}
    assert (rows["Valence"], rows["Arousal"], rows["Train samples"]) == ("no", "no", "8")
    assert not any("Scale" in name for name in rows)
    assert [r["weight"] for r in table4(AFFECTNET_8, faces)] == ["0.125000"] * 8
    persons = {"train": one_per_class(EMOTIC, "arousal")}
    rows = {r["property"]: r["persons"] for r in table3("persons", EMOTIC, persons)}
    assert (rows["Valence"], rows["Arousal"], rows["Dominance"]) == ("yes", "no", "yes")
    assert rows["Scale of valence, dominance"] == "[1, 10] (floats)"
    assert {r["positive_weight"] for r in table4(EMOTIC, persons)} == {"25.000000"}


def test_table3() -> None:
    faces = {r["property"]: r["faces"] for r in table3("faces", AFFECTNET_8, FACES)}
    assert (faces["Train samples"], faces["Validation samples"], faces["Test samples"]) == (
        ("5", "0", "2")
    )
    assert (faces["Distinct categories"], faces["Dominance"]) == (8, "no")
    assert faces["Scale of valence, arousal"] == "[-1, 1] (floats)"
    persons = {r["property"]: r["persons"] for r in table3("persons", EMOTIC, PERSONS)}
    assert persons["Scale of valence, arousal, dominance"] == "[1, 10] (integers)"
    assert (persons["Dominance"], persons["Categories of a sample"]) == ("yes", "any number")


def test_table4_single_label() -> None:
    rows = table4(AFFECTNET_8, FACES)
    weights = [r["weight"] for r in rows]
    # 1/n of 1, 3 and 1 samples, over their sum; the categories that do not occur have none.
    assert [weights[k] for k in (0, 1, 7)] == ["0.428571", "0.142857", "0.428571"]
    assert [weights[k] for k in range(2, 7)] == [None] * 5
    assert [float(r["paper"]) for r in rows] == list(PAPER_CLASS_WEIGHTS["affectnet8"])


def test_table4_of_other_data_with_the_categories_of_affectnet() -> None:
    rows = table4(AFFECTNET_8, FACES, of_the_paper=False)
    assert not any("paper" in row for row in rows)


def test_table4_multi_label() -> None:
    seen = {r["category"]: r for r in table4(EMOTIC, PERSONS)}
    assert float(seen["Engagement"]["positive_weight"]) == pytest.approx(1 / 3, abs=1e-6)
    assert float(seen["Affection"]["positive_weight"]) == 3
    assert seen["Fear"]["positive_weight"] is None
    assert "paper" not in seen["Fear"]


def test_a_table_is_written_as_csv_and_markdown(tmp_path: Path) -> None:
    save_table(tmp_path, "t", "A set", [{"name": "a", "n": 1}, {"name": "b", "n": None}])
    assert (tmp_path / "t.csv").read_text() == "name,n\na,1\nb,\n"
    expected = "# A set\n\n| name | n |\n|---|--:|\n| a | 1 |\n| b |  |\n"
    assert (tmp_path / "t.md").read_text() == expected


@pytest.mark.slow
@pytest.mark.parametrize(("space", "splits"), SETS, ids=["affectnet8", "emotic"])
def test_the_same_figure_is_the_same_files(
    space: LabelSpace,
    splits: dict[str, Annotations],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cage_lightning.report.figures._DPI", 40)
    for folder in ("one", "two"):
        for name, draw in figures_of(space).items():
            save(tmp_path / folder, name, *draw("a set", space, splits))
    one = {p.name: p.read_bytes() for p in (tmp_path / "one").iterdir()}
    assert set(one) == {f"{n}.{e}" for n in figures_of(space) for e in (*FORMATS, "csv")}
    assert one == {p.name: p.read_bytes() for p in (tmp_path / "two").iterdir()}
    for name in figures_of(space):
        assert b"<dc:date>" not in one[f"{name}.svg"]
        assert b"CreationDate" not in one[f"{name}.pdf"]
        drawn = rows_of(space, splits, name)
        assert len(list(csv.DictReader(io.StringIO(one[f"{name}.csv"].decode())))) == len(drawn)
