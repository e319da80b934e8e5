"""The messages of errors that a user can put right."""

from __future__ import annotations

import pickle

import pytest

from cage_lightning.errors import CageError, DataError


@pytest.mark.parametrize("break_", ["\n", "\r\n", "\r", "\x0b", "\x85", "\u2028"])
def test_what_a_message_quotes_breaks_no_line(break_: str) -> None:
    assert str(DataError(f"there is no folder a{break_}b")) == "there is no folder a b"


def test_each_argument_is_a_line() -> None:
    error = DataError("no layout:", "    train/\n", "set data.root")
    assert str(error) == "no layout:\n    train/\nset data.root"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_of_a_loader_process_the_message_is_shown_without_the_traceback() -> None:
    traceback = "Traceback (most recent call last):\n  File 'a', line 1\n"
    text = f"Caught DataError in DataLoader worker process 0.\nOriginal {traceback}"
    assert str(DataError(f"{text}cage_lightning.errors.DataError: row 3 is wrong\n")) == (
        "row 3 is wrong"
    )


def test_an_error_without_a_message() -> None:
    assert str(CageError()) == ""
