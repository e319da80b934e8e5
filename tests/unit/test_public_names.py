"""The names that `cage_lightning` itself has, and what importing it costs."""

from __future__ import annotations

import importlib
import sys

import pytest

import cage_lightning


@pytest.mark.parametrize("name", cage_lightning.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(cage_lightning, name) is not None
    assert name in dir(cage_lightning)


def test_the_names_stand_once() -> None:
    imported_when_needed = set(cage_lightning._MODULE_OF)
    assert imported_when_needed | {"__version__"} == set(cage_lightning.__all__)
    assert sum(map(len, cage_lightning._MODULES.values())) == len(imported_when_needed)


def test_other_names_are_an_error() -> None:
    with pytest.raises(AttributeError, match=r"'cage_lightning' has no attribute 'load_modul'"):
        _ = cage_lightning.load_modul


def test_importing_the_package_imports_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "cage_lightning"]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("torch", "lightning", "hydra", "numpy"):
        monkeypatch.setitem(sys.modules, name, None)  # importing it would fail
    fresh = importlib.import_module("cage_lightning")
    assert fresh is not cage_lightning
    assert [name for name in sys.modules if name.startswith("cage_lightning.")] == []
    assert fresh.__version__ == cage_lightning.__version__
