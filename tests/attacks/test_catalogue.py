"""The list of attacks is as long as it says, and every test that it names is there."""

from __future__ import annotations

import ast
from functools import cache

import pytest

from tests.attacks.catalogue import ATTACKS, README, render
from tests.documentation import ROOT


@cache
def names_and_texts(path: str) -> tuple[frozenset[str], frozenset[str]]:
    """The functions of a file of tests, and all texts in it."""
    tree = ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
    nodes = list(tree)
    functions = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    texts = {
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return frozenset(functions), frozenset(texts)


def test_there_are_enough_and_no_two_are_the_same() -> None:
    assert len(ATTACKS) >= 60
    assert len({(one.kind, one.name) for one in ATTACKS}) == len(ATTACKS)
    assert len([one for one in ATTACKS if one.kind == "Code in a checkpoint"]) >= 10


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.name)
def test_every_attack_is_tried(attack: object) -> None:
    test: str = attack.test  # type: ignore[attr-defined]
    path, _, case = test.partition("::")
    function, _, case = case.rstrip("]").partition("[")
    functions, texts = names_and_texts(path)
    assert function in functions
    assert not case or case in texts


def test_the_page_is_the_list() -> None:
    assert README.read_text(encoding="utf-8") == render()
