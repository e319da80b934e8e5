"""What the tests of the verdicts share."""

from __future__ import annotations

from collections.abc import Iterable

from cage_lightning.report.published import Row
from cage_lightning.report.runs import Run
from cage_lightning.report.verdicts import Judged, Verdicts, verdicts
from cage_lightning.report.verdicts.rules import Verdict
from tests.fabricated_runs import runs_with

TABLES = ("table6", "table7", "table8", "figure11")
COMBINED = Row("affectnet8", "maxvit", "combined")
VA = COMBINED._replace(loss="va")
F1 = f"f1_weighted of {COMBINED}"
REPRODUCED, PARTIAL, CONTRADICTED = Verdict.REPRODUCED, Verdict.PARTIAL, Verdict.CONTRADICTED
NOT_TESTED, PROXY = Verdict.NOT_TESTED, Verdict.PROXY
DRAWN = {"data._target_": "cage_lightning.data.datasets.DemoFaces"}
(DEMO,) = runs_with({}, COMBINED, "paper", 1, changed=DRAWN)


def by_name(found: Verdicts) -> dict[str, Judged]:
    return {judged.claim.name: judged for judged in found.judged}


def kinds(found: Iterable[Judged]) -> set[Verdict]:
    return {judged.verdict for judged in found}


def f1(*runs: list[Run]) -> Judged:
    """The verdict on the F1 of the combined MaxViT on AffectNet-8, which is printed as .621."""
    return by_name(verdicts("table6", [run for some in runs for run in some]))[F1]
