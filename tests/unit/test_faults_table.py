"""The table of the faults: rows of one fault are added up, and a part renews its own rows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.faults import record
from tests.faults.record import Row, page

PAGE = Path(__file__).parents[1] / "faults/README.md"


def table(text: str) -> list[list[str]]:
    """The first four columns."""
    return [line.strip("| ").split(" | ")[:4] for line in text.splitlines() if line[:2] == "| "][1:]


def test_rows_are_added_up_and_renewed() -> None:
    first = page([["A", "train", "equal", "2", "2"], ["B", "train", "equal", "1", "0"]])
    assert table(first) == [["A", "train", "2", "2"], ["B", "train", "1", "0"]]
    parts = [["B", "train", "equal", "600", "600"], ["B", "train", "equal", "500", "499"]]
    both = [["A", "train", "2", "2"], ["B", "train", "1,100", "1,099"]]
    assert table(page(parts, first)) == both


def test_rows_of_other_versions_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    first = page([["A", "train", "equal", "2", "2"]])
    monkeypatch.setattr(record, "version", lambda package: "0")
    assert table(page([["B", "train", "equal", "1", "1"]], first)) == [["B", "train", "1", "1"]]


def test_every_try_is_counted_and_what_went_wrong_is_kept() -> None:
    row = Row("A", "train", "equal")
    for number in range(3):
        with row.one(f"moment {number}"):
            assert number != 1
    assert row.texts() == ["A", "train", "equal", "3", "2"]
    assert [lost.partition(":")[0] for lost in row.lost] == ["moment 1"]


def test_the_committed_page_has_numbers_and_names_no_machine() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert len(rows := table(text)) > 30
    assert all(int(row[3].replace(",", "")) <= int(row[2].replace(",", "")) for row in rows)
    assert not re.search(r"/(tmp|home|root|work)/", text)
