"""The verdicts on what the paper prints, of the authors' own numbers and from `collect`."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from cage_lightning.commands.collect import collect
from cage_lightning.labels import AFFECTNET_7, AFFECTNET_8
from cage_lightning.report.published import Protocol, Row, claims, printed
from cage_lightning.report.runs import Run
from cage_lightning.report.verdicts import PROXY_NOTE, verdicts
from cage_lightning.report.verdicts.rules import Verdict
from cage_lightning.scores import point_estimate
from tests.documentation import Page
from tests.fabricated_runs import runs_with, write_run
from tests.prediction_samples import of_categories
from tests.verdict_cases import (
    COMBINED,
    CONTRADICTED,
    DRAWN,
    NOT_TESTED,
    PARTIAL,
    PROXY,
    REPRODUCED,
    TABLES,
    VA,
    by_name,
    f1,
    kinds,
)

# The confusion matrices that the authors published of MaxViT, combined: rows are true categories.
MATRIX_8 = """
    279 12 33 47 8 19 36 66   15 360 2 19 1 12 3 88   64 5 314 14 20 29 38 16
    40 27 15 304 65 26 12 11  12 8 35 83 308 29 22 3  26 8 31 17 15 302 81 20
    60 3 25 23 19 58 289 23   65 45 10 10 4 29 18 318
"""
MATRIX_7 = """
    304 29 39 56 12 15 45  28 429 3 32 0 7 1       59 6 331 16 25 24 39  30 31 14 333 69 17 6
    9 9 34 76 330 24 18    24 17 34 24 19 302 80   51 9 27 26 32 53 302
"""


def of_table_6(protocol: Protocol, seeds: int = 6) -> list[Run]:
    """Runs that score exactly what Table 6 prints."""
    rows = printed("table6").items()
    return [run for row, scores in rows for run in runs_with(scores, Row(*row), protocol, seeds)]


def test_what_the_paper_says_is_complete() -> None:
    assert [len(claims(table)) for table in TABLES] == [63, 14, 20, 1]
    assert sum(len(scores) for scores in printed("table6").values()) == 56
    for table in TABLES:
        names = [claim.name for claim in claims(table)]
        assert len(set(names)) == len(names)
        assert all(claim.tolerance >= 0 and claim.parts for claim in claims(table))
    assert claims("runs") == ()


def test_the_numbers_of_the_authors_reproduce_table_6() -> None:
    found = verdicts("table6", of_table_6("published_code"))
    assert kinds(found.numbers) == {REPRODUCED}
    assert kinds(verdicts("table6", of_table_6("published_code", 5)).numbers) == {PARTIAL}
    # What the scripts gave does not say what the text does: its discrete models were augmented
    # otherwise.
    assert by_name(found)["gain"].verdict == PARTIAL
    assert "augment" in by_name(found)["gain"].reason or "lr" in by_name(found)["gain"].reason
    assert by_name(found)["Swin"].verdict == NOT_TESTED


def test_the_claims_by_the_numbers_of_the_authors() -> None:
    found = verdicts("table6", of_table_6("paper"))
    assert kinds(found.numbers) == {PARTIAL}  # of another protocol
    assert {
        name: judged.verdict for name, judged in by_name(found).items() if " of " not in name
    } == {
        "gain": REPRODUCED,
        "significant gain": REPRODUCED,
        "best regression": REPRODUCED,
        # On AffectNet-7 EfficientNetV2-S has the higher CCC.
        "best network": PARTIAL,
        "Swin": NOT_TESTED,
        "best epoch (combined)": NOT_TESTED,
        "best epoch (va)": NOT_TESTED,
    }


@pytest.mark.parametrize(
    ("matrix", "space", "row"),
    [
        (MATRIX_8, AFFECTNET_8, COMBINED),
        (MATRIX_7, AFFECTNET_7, COMBINED._replace(data="affectnet7")),
    ],
)
def test_the_confusion_matrices_of_the_authors(matrix: str, space: Any, row: Row) -> None:
    k = len(space.categories)
    counts = np.array(matrix.split(), np.int64).reshape(k, k)
    true, predicted = (np.repeat(i.ravel(), counts.ravel()) for i in np.indices((k, k)))
    scores = point_estimate(of_categories(space, true, predicted))
    for seeds, expected in ((6, REPRODUCED), (1, PARTIAL)):
        runs = runs_with(scores, row, "published_code", seeds)
        assert [run.metrics["test/n"] for run in runs[:1]] == [scores["n"]]
        found = by_name(verdicts("table6", runs))
        keys = ("precision_weighted", "recall_weighted", "f1_weighted")
        assert [found[f"{key} of {row}"].verdict for key in keys] == 3 * [expected]
    # They are not those of the other data set.
    other = {"affectnet7": "affectnet8", "affectnet8": "affectnet7"}[row.data]
    runs = runs_with(scores, row._replace(data=other), "published_code", n=None)
    runs = [
        replace(run, metrics={**run.metrics, "test/n": {"affectnet7": 3500}.get(other, 3999)})
        for run in runs
    ]
    assert (
        by_name(verdicts("table6", runs))[f"f1_weighted of {row._replace(data=other)}"].verdict
        == CONTRADICTED
    )


def test_table_7_is_no_combined_model_of_table_6() -> None:
    pooled = printed("table6")[COMBINED]["rmse_pooled"]
    combined = runs_with(
        {"rmse_valence": pooled, "rmse_arousal": pooled}, COMBINED, "published_code"
    )
    found = by_name(
        verdicts("table7", combined + runs_with(printed("table7")[VA], VA, "published_code"))
    )
    assert found[f"rmse_valence of {COMBINED}"].verdict == CONTRADICTED
    assert found[f"rmse_valence of {VA}"].verdict == REPRODUCED
    assert found["improvement (combined)"].verdict == CONTRADICTED
    assert found["improvement (va)"].verdict == REPRODUCED
    # 1 - .331/.356 is 7.0 %, 1 - .305/.326 is 6.4 %.
    found = by_name(verdicts("table7", runs_with(printed("table7")[VA], VA, "paper")))
    assert found["lower RMSE"].verdict == found["higher CCC"].verdict == REPRODUCED
    assert found["lower RMSE"].measured == "0.07022, 0.06442"
    assert found["higher CCC"].measured == "0.008451, 0.02067"
    worse = by_name(
        verdicts("table7", runs_with({"rmse_valence": 0.34, "rmse_arousal": 0.305}, VA, "paper"))
    )
    assert worse["lower RMSE"].verdict == PARTIAL
    assert worse["lower RMSE"].reason.startswith(
        "rmse_valence: the mean of 6 seeds is 0.04494, and nothing"
    )


def test_table_8() -> None:
    row = Row("emotic", "maxvit", "combined")
    guessing = {"top3_recall": 3 / 26, "top3_any": 0.15}
    runs = runs_with({**printed("table8")[row], **guessing}, row, "published_code")
    found = by_name(verdicts("table8", runs))
    assert kinds(verdicts("table8", runs).numbers) == {REPRODUCED}
    assert found["CCC on the original scale"].verdict == REPRODUCED
    readings = {name: judged.verdict for name, judged in found.items() if "top-3" in name}
    assert readings.pop("top-3 accuracy (top3_any)") == REPRODUCED
    assert readings.pop("top-3 accuracy (top3_recall)") == CONTRADICTED
    assert {*readings.values()} == {NOT_TESTED}
    found = by_name(verdicts("table8", runs_with(guessing, row, "paper")))
    better = {name: judged.verdict for name, judged in found.items() if "Khan" in name}
    assert better["better than Khan et al. (top3_any)"] == REPRODUCED
    assert better["better than Khan et al. (top3_recall)"] == CONTRADICTED


def test_drawn_faces_settle_nothing() -> None:
    demo = runs_with({"f1_weighted": 0.621}, COMBINED, "published_code", changed=DRAWN)
    for table in TABLES:
        found = verdicts(table, demo)
        assert kinds(found.judged) == {PROXY}
        assert found.proxy
        assert PROXY_NOTE in found.markdown()
    # Beside runs on photographs they take no part.
    real = runs_with({"f1_weighted": 0.5}, COMBINED, "published_code", 1)
    assert f1(demo, real).reason.startswith("One run has 0.5,")


def test_collect_gives_the_verdicts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "drawn", "data=demo8", "model=tiny", "loss=combined")
    write_run(tmp_path / "real", "data=affectnet8", "model=maxvit", "loss=combined")
    for name in ("drawn", "real"):
        settings = {"table": "table6", "runs": str(tmp_path / name), "output": str(tmp_path / name)}
        collect(
            OmegaConf.create(settings | {"pictures": False, "compare": None, "equivalence": 0.01})
        )
    with (tmp_path / "drawn/verdicts.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["verdict"] for row in rows} == {"NOT TESTED (proxy)"}
    assert len(rows) == sum(len(claim.parts) for claim in claims("table6"))
    assert all(row["commands"].startswith("python -m") for row in rows)
    assert "of 63 numbers and claims 63 NOT TESTED (proxy); verdicts.csv" in capsys.readouterr().out
    for file_name in ("results.md", "page.html"):
        drawn, real = ((tmp_path / name / file_name).read_text() for name in ("drawn", "real"))
        assert PROXY_NOTE in drawn
        assert PROXY_NOTE not in real
        assert "The test split has 100 samples instead of 3,999 or 4,000." in real
        assert "improved the classification results for both datasets by 2%" in real


@pytest.mark.slow
def test_no_page_speaks_of_verdicts_where_the_paper_says_nothing(tmp_path: Path) -> None:
    write_run(tmp_path, "data=demo8", "model=tiny", "loss=combined")
    settings = {"table": "runs", "runs": str(tmp_path), "output": str(tmp_path / "out")}
    collect(OmegaConf.create(settings | {"pictures": False, "compare": None, "equivalence": 0.01}))
    assert not (tmp_path / "out/verdicts.csv").exists()
    assert "What the paper says" not in (tmp_path / "out/page.html").read_text()


def test_the_documentation_names_every_verdict() -> None:
    text = Page("docs/scores.md").text
    assert all(f"**{verdict}**" in text for verdict in Verdict)
