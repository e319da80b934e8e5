"""The examples in docstrings are true."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "metrics.affect",
        "metrics.category",
        "scores.bootstrap",
        "scores.calibration",
        "scores.multilabel",
        "scores.ratio",
        "scores.seeds",
        "system.credentials",
        "system.escaping",
        "system.markdown",
    ],
)
def test_examples(module: str) -> None:
    found = doctest.testmod(
        importlib.import_module(f"cage_lightning.{module}"), optionflags=doctest.ELLIPSIS
    )
    assert found.attempted
    assert not found.failed
