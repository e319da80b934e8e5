"""The numbers of the paper and of AffectNet are in one place each, to which the rest refers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cage_lightning.affectnet_statistics import AFFECTNET_TRAINING, SOURCE
from cage_lightning.app.schema import CONF_DIR
from cage_lightning.labels import AFFECTNET_8

PACKAGE = CONF_DIR.parent / "src"
HOMES = {
    "training samples of a category": (r"134[_,]?415|\b3[_,]?803\b", "affectnet_statistics.py"),
    "training samples in all": (r"287[_,]?651|283[_,]?901", None),
    "mean affect of a category": (r"\.6647|\.7663", "affectnet_statistics.py"),
    "weights of table 4": (r"\.308210|\.444943", "class_weights.py"),
    "mean of ImageNet": (r"\.485|\.456\b", "augment/none.yaml"),
    "dropout of a published script": (r"dropout.*\.3\b", "protocol/published_code.yaml"),
    "how long to wait for a run": (r"172[_,]?800", "start/combined.yaml"),
    "persons of EMOTIC": (r"23[_,]?266", "datacard.py"),
    "a score of table 6": (r"\.7840?\b", "published.yaml"),
    "what table 7 compares with": (r"\.356\b|\.629\b", "published.yaml"),
    "the top-3 accuracy": (r"\.1473\b", "claims.yaml"),
}


@pytest.fixture(scope="module")
def sources() -> dict[Path, str]:
    files = [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.yaml"), *CONF_DIR.rglob("*.yaml")]
    return {file: file.read_text(encoding="utf-8") for file in files}


@pytest.mark.parametrize("fact", HOMES)
def test_a_fact_has_one_home(sources: dict[Path, str], fact: str) -> None:
    pattern, home = HOMES[fact]
    places = [str(file) for file, text in sources.items() if re.search(pattern, text)]
    assert len(places) == (home is not None), places
    assert home is None or places[0].endswith(home)


def test_the_statistics_are_in_the_order_of_the_labels() -> None:
    assert tuple(AFFECTNET_TRAINING) == AFFECTNET_8.categories
    assert SOURCE.startswith("AffectNet, 287,651 training samples: ")
