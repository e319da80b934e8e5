"""What leaks from other splits is left out of training, and copies stay on one side."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.copies import acted_on, kept_together, together
from cage_lightning.errors import ConfigError, DataError
from cage_lightning.labels import AFFECTNET_8


def table(*copies: str, **extra: list[str]) -> Annotations:
    n = len(copies)
    return Annotations(
        space=AFFECTNET_8,
        root=Path("faces"),
        id=np.array([str(row) for row in range(n)], np.str_),
        path=np.array([f"{row}.jpg" for row in range(n)], np.str_),
        category=np.zeros(n, np.int64),
        affect=np.zeros((n, 2), np.float32),
        left_out={"uncertain": 3},
        extra={name: np.array(values, np.str_) for name, values in extra.items()},
        copies=np.array(copies, np.str_),
    )


TRAIN = table("1", "", "2", "1", "", "3")
OTHERS = {"test": table("", "1", "9"), "val": table("3", "1")}


def test_leaks_are_dropped_and_counted_by_split(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        kept = acted_on(TRAIN, OTHERS, "drop")
    assert "train split: 2 left out (copy of a picture in the test split)" in caplog.messages
    assert kept.id.tolist() == ["1", "2", "4"]
    assert kept.left_out == {
        "uncertain": 3,
        "copy of a picture in the test split": 2,
        "copy of a picture in the val split": 1,
    }
    assert acted_on(TRAIN, {"test": table("", "7")}, "drop").left_out == {"uncertain": 3}


def test_by_default_nothing_changes_but_a_line_says_how_many(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        assert acted_on(TRAIN, OTHERS, "keep") is TRAIN
    [line] = caplog.messages
    assert line.startswith("3 of the 6 training samples are copies of pictures in the test or val")
    assert "data.copies=drop" in line


def test_nothing_is_said_where_nothing_leaks_or_nothing_is_known(
    caplog: pytest.LogCaptureFixture,
) -> None:
    unknown = replace(TRAIN, copies=None)
    with caplog.at_level(logging.WARNING):
        assert acted_on(TRAIN, {"test": table("", "9")}, "keep") is TRAIN
        assert acted_on(unknown, OTHERS, "keep") is unknown
    assert caplog.messages == []


@pytest.mark.parametrize("which", ["train", "test"])
def test_what_nobody_looked_for_cannot_be_dropped(which: str) -> None:
    tables = {"train": TRAIN, "test": OTHERS["test"]}
    tables[which] = replace(tables[which], copies=None)
    with pytest.raises(ConfigError, match=r"copies=drop.*cage_lightning\.prepare"):
        acted_on(tables["train"], {"test": tables["test"]}, "drop")


def test_a_training_split_that_is_all_copies_is_an_error() -> None:
    with pytest.raises(DataError, match=r"leaves no sample.*the test split.*all pictures"):
        acted_on(table("1", "1"), {"test": table("1")}, "drop")


def test_groups_of_any_column_join() -> None:
    person = np.array(["a", "", "b", "b", "", "c"])
    joined = together(TRAIN.copies, person)  # type: ignore[arg-type]
    assert joined[0] == joined[3] == joined[2] != ""
    assert joined[1] == joined[4] == ""
    assert joined[5] not in (joined[0], "")
    assert together(person[:0]).tolist() == []


def test_what_is_kept_together() -> None:
    train = table("1", "", "1", person=["a", "b", "c"])
    assert kept_together(train, None, "keep") is None
    assert kept_together(train, "person", "keep") is train.groups["person"]
    assert kept_together(train, None, "drop") is train.copies
    both = kept_together(train, "person", "drop")
    assert both is not None
    assert both[0] == both[2] != both[1]
    assert "copies" not in train.groups
