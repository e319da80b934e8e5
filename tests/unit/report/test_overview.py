"""The overview picture of a table: the values that are handed to it, and how it is embedded."""

from __future__ import annotations

import base64
import csv
import re
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from cage_lightning.report.figures import save
from cage_lightning.report.overview import left_out, panels, records
from cage_lightning.report.overview_figure import overview, panel_figure
from cage_lightning.report.page.forest_plots import forest_plots, marks
from cage_lightning.report.paper_tables import TABLES
from cage_lightning.report.run_tables import FilledTable, fill
from cage_lightning.report.runs import Run
from tests.present import present

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "$<script>&x_{$a-very-long-tag-without-any-place-to-break" + 60 * "x"


def a_run(
    loss: str,
    scores: Mapping[str, float],
    seed: int = 0,
    data: str = "affectnet8",
    tag: str = "",
) -> Run:
    """A run with these values in its metrics.json."""
    config = {
        "choices": {"data": data, "model": "maxvit", "loss": loss},
        "seed": seed,
        "tag": tag,
        "group": "g",
    }
    intervals = {"test/ccc_pooled": [0.6, 0.8], "test/f1_weighted": [0.5, 0.7]}
    folder = Path(f"runs/g/{data}-maxvit-{loss}-s{seed}{tag[:3]}")
    return Run(folder, config, {**scores, "intervals": intervals})


@pytest.fixture
def table() -> FilledTable:
    baselines = {
        "baseline_constant/rmse_pooled": 0.5,
        "baseline_constant/ccc_pooled": 0.1,
        "baseline_constant/f1_weighted": 0.05,
        "baseline_lookup/rmse_pooled": 0.3,
        "baseline_lookup/ccc_pooled": 0.72,
    }
    both = {"test/f1_weighted": 0.6, "test/rmse_pooled": 0.35}
    return fill(
        TABLES["table6"],
        [
            a_run("combined", both | baselines | {"test/ccc_pooled": 0.65}, seed=0),
            a_run("combined", both | baselines | {"test/ccc_pooled": 0.75}, seed=1),
            a_run("discrete", baselines | {"test/f1_weighted": 0.55}),
            a_run("va", {"test/rmse_pooled": 0.25, "test/ccc_pooled": 0.9}, data="demo7"),
        ],
    )


def test_each_panel_has_the_models_with_its_score_and_their_best_baseline(
    table: FilledTable,
) -> None:
    f1, rmse, ccc = panels(table)
    assert [(panel.metric, panel.heading) for panel in (f1, rmse, ccc)] == [
        ("f1_weighted", "F1"),
        ("rmse_pooled", "RMSE"),
        ("ccc_pooled", "CCC"),
    ]
    combined, discrete = f1.rows.values()
    assert (combined.names, discrete.names) == (
        "affectnet8, maxvit, combined",
        "affectnet8, maxvit, discrete",
    )
    assert (combined.baseline, discrete.baseline) == (("constant", 0.05), ("constant", 0.05))
    # Of errors the least, of agreement the largest; a run without baselines has none.
    assert [row.baseline for row in rmse.rows.values()] == [("lookup", 0.3), None]
    assert [row.baseline for row in ccc.rows.values()] == [("lookup", 0.72), None]
    # A row is the same one in every panel.
    assert set(f1.rows) & set(ccc.rows) == {0}
    assert panels(fill(TABLES["table6"], [a_run("va", {"test/mse_pooled": 0.1})])) == []


def test_the_numbers_beside_the_picture(table: FilledTable) -> None:
    first, second = (row for row in records(panels(table)) if row["metric"] == "ccc_pooled")
    assert first == {
        "metric": "ccc_pooled",
        "data": "affectnet8",
        "model": "maxvit",
        "loss": "combined",
        "tag": "",
        "mean": pytest.approx(0.7),
        "low": None,  # over two seeds there is none without their prediction files
        "high": None,
        "published": 0.6592,
        "best_baseline": "lookup",
        "best_baseline_mean": 0.72,
    }
    assert (second["data"], second["published"], second["best_baseline"]) == ("demo7", None, None)
    assert (second["low"], second["high"]) == (0.6, 0.8)


def test_the_text_in_place_of_the_picture(table: FilledTable) -> None:
    f1, rmse, ccc = panels(table)
    assert rmse.summary == (
        "Forest plot of RMSE (lower is better). 2 models: best 0.250 (demo7, maxvit, va), worst "
        "0.350 (affectnet8, maxvit, combined). Better than the best baseline: 0 of 1. What the "
        "paper prints stands beside. The table has the numbers."
    )
    assert "best 0.900 (demo7, maxvit, va), worst 0.700 (affectnet8" in ccc.summary
    assert "Better than the best baseline: 2 of 2." in f1.summary
    (alone,) = panels(fill(TABLES["runs"], [a_run("va", {"test/ccc_valence": 0.5})]))
    assert alone.summary == (
        "Forest plot of CCC valence (higher is better). One model, 0.500 (affectnet8, maxvit, va). "
        "The table has the numbers."
    )


def drawn(figure: Figure, label: str) -> list[tuple[float, str]]:
    """Value and name of the row of each point that the legend calls `label`, in all panels."""
    found = []
    for axes in figure.axes:
        names = dict(zip(axes.get_yticks(), figure.axes[0].get_yticklabels(), strict=True))
        for line in axes.lines:
            if line.get_label() == label:
                xs, ys = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
                found += [(x, names[y].get_text()) for x, y in zip(xs, ys, strict=True)]
    return found


def test_every_mark_is_at_its_row(table: FilledTable) -> None:
    _, rmse, ccc = panels(table)
    figure = panel_figure(ccc, "black")
    assert drawn(figure, "model") == [(0.7, "maxvit, combined"), (0.9, "maxvit, va")]
    assert drawn(figure, "paper") == [(0.6592, "maxvit, combined")]
    assert drawn(figure, "best baseline") == [(0.72, "maxvit, combined")]
    (axes,) = figure.axes
    lines = [line for line in axes.lines if line.get_linestyle() != "None"]
    (line,) = lines
    np.testing.assert_allclose(np.asarray(line.get_xdata(), np.float64), [0.6, 0.8])
    bold = [text.get_text() for text in axes.get_yticklabels() if text.get_fontweight() == "bold"]
    assert bold == ["affectnet8", "demo7"]
    # From above: a name of data, its rows, the next name.
    assert list(axes.get_yticks()) == sorted(axes.get_yticks())
    assert axes.yaxis_inverted()
    assert not [
        line for line in panel_figure(rmse, "black").axes[0].lines if line.get_linestyle() != "None"
    ]


def test_the_figure_has_all_main_scores(table: FilledTable, tmp_path: Path) -> None:
    figure, rows = present(overview(table))
    assert len(figure.axes) == 3
    assert len(drawn(figure, "model")) == len(rows) == 6
    save(tmp_path, "overview", figure, rows)
    assert {file.name for file in tmp_path.iterdir()} == {
        f"overview.{ending}" for ending in ("csv", "pdf", "png", "svg")
    }
    with (tmp_path / "overview.csv").open() as opened:
        assert len(list(csv.DictReader(opened))) == 6
    nothing = fill(TABLES["table6"], [a_run("va", {"test/mse_pooled": 0.1})])
    assert overview(nothing) is None


def test_a_picture_for_either_scheme_in_which_names_are_texts() -> None:
    runs = [
        a_run("va", {"test/ccc_valence": value}, tag=tag)
        for value, tag in ((0.5, HOSTILE), (1e300, ""))
    ]
    (plot,) = forest_plots(fill(TABLES["runs"], runs))
    # What no axis can hold is left out.
    assert [value for value, _ in drawn(panel_figure(plot.panel, "black"), "model")] == [0.5]
    documents = []
    for picture, color in ((plot.light, "#1c1e21"), (plot.dark, "#e6e8eb")):
        kind, _, content = picture.source.partition(",")
        assert kind == "data:image/svg+xml;base64"
        documents.append(base64.b64decode(content).decode())
        svg = ElementTree.fromstring(documents[-1])
        texts = ["".join(text.itertext()).strip() for text in svg.iter(f"{SVG}text")]
        assert any("$<script>&x_{$" in text for text in texts)
        assert max(map(len, texts)) <= 28
        assert color in documents[-1]
        assert not list(svg.iter(f"{SVG}script"))
        width, height = (float(svg.attrib[side].removesuffix("pt")) for side in ("width", "height"))
        assert picture.size == pytest.approx((width * 4 / 3, height * 4 / 3), abs=1)
    # Nothing else differs between the schemes.
    colors = re.compile(": #[0-9a-f]{6}")
    assert documents[0] != documents[1]
    assert colors.sub("", documents[0]) == colors.sub("", documents[1])
    assert forest_plots(fill(TABLES["runs"], runs)) == [plot]


def test_only_what_is_drawn_is_explained(table: FilledTable) -> None:
    assert [mark.sign for mark in marks(panels(table))] == ["●", "◇", "┃"]
    (alone,) = marks(panels(fill(TABLES["runs"], [a_run("va", {"test/ccc_valence": 0.5})])))
    assert alone.meaning == "mean over the seeds"


def test_of_many_models_the_best_of_each_score_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cage_lightning.report.overview.MOST", 3)
    scores = [(0.9, 0.1), (0.8, 0.2), (0.7, 0.3), (0.6, 0.9)]
    runs = [
        a_run("va", {"test/ccc_valence": valence, "test/ccc_arousal": arousal}, tag=f"t{n}")
        for n, (valence, arousal) in enumerate(scores)
    ]
    table = fill(TABLES["runs"], runs)
    for panel in panels(table):
        # In valence the first, in arousal the last, in valence the second.
        assert [row.line.row.tag for row in panel.rows.values()] == ["t0", "t1", "t3"]
    assert left_out(table).startswith("3 of 4 models: the best one of each score")
    assert left_out(fill(TABLES["runs"], runs[:3])) == ""
    figure, rows = present(overview(table))
    assert left_out(table) in figure.get_suptitle()
    assert len(rows) == 6
