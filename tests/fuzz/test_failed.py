"""What once failed when the readers were fuzzed is accepted, or refused with one clear line."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fuzz.mutations import of_bytes, of_json, of_text
from tests.fuzz.results import FAILED, README, kept, read_results, render
from tests.fuzz.study import TARGETS
from tests.fuzz.target import Bench, check_message

KEPT = [(target, place) for target in TARGETS for place in kept(target.name)]


@pytest.mark.parametrize(
    ("target", "place"), KEPT, ids=[place.relative_to(FAILED).as_posix() for _, place in KEPT]
)
def test_what_once_failed(target, place: Path, tmp_path: Path) -> None:
    paths = [path for path in place.rglob("*") if path.is_file()]
    changed = {path.relative_to(place).as_posix(): path.read_bytes() for path in paths}
    assert Bench(target, tmp_path).outcome(changed) in ("accepted", "refused")


def test_every_kept_input_has_its_reader() -> None:
    assert len(KEPT) == sum(1 for place in FAILED.glob("*/*") if place.is_dir())


def test_the_page_is_what_the_study_counted() -> None:
    assert README.read_text(encoding="utf-8") == render()
    assert {row["reader"] for row in read_results()} <= {target.name for target in TARGETS}


@pytest.mark.parametrize("mutation", [of_bytes, of_text, of_json])
def test_the_same_numbers_change_the_same(mutation) -> None:
    content = b'{"a": [1, {"b": "c"}], "d": null}'
    first, again = ([mutation(random.Random(n), content) for n in range(50)] for _ in range(2))
    assert first == again
    assert len(set(first)) > 25


@pytest.mark.parametrize("message", ["", " \n", "one\ntwo", "x" * 20_000])
def test_what_is_no_clear_line(message: str) -> None:
    with pytest.raises(AssertionError):
        check_message(message)
