"""Wrong overrides, made from the real keys of a composed config by what people get wrong."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from typing import Any

from cage_lightning.app.command import Command, commands

OF_A_WRONG_TYPE = (
    *("abc", "[1]", "[a,b]", "{a:1}", "null", "true", "1.5", "''", "???", "nan", "'1'"),
    *("2026-01-01", "${seed}", "${nowhere}", "${oc.env:NOWHERE}", "[[1]]", "1:2", "Infinity"),
)
OUT_OF_RANGE = ("-1", "0", "-0.5", "2", "-3", "7", "1e30", "1e-30", "inf", "-inf", "999999999999")
UNREADABLE = ("a=b", "x (1)", "größe", "it's", "~/data", "[1", "{a", "a b=c", "${x", "'x")
LARGE = ("batch_size", "image_size", "num_workers", "every_n_steps")  # allocate, or take long


@cache
def command_of(name: str) -> Command:
    """The command, its groups read once."""
    return Command(name)


def values(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The key of every value, and the value."""
    items = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    for key, value in items:
        yield f"{prefix}{key}", value
        yield from values(value, f"{prefix}{key}.")


def wrong_overrides(config: Any, name: str, count: int, seed: int) -> list[tuple[str, str]]:
    """Different wrong overrides: the rule, and what is typed.

    Args:
        config: The composed config as plain containers, unresolved.
        name: The name of the command.
        count: How many.
        seed: Of the draw.
    """
    rng = random.Random(f"{name} {seed}")
    rules = [_type, _type, _range, _range, _spelling, _choice, _group, _nesting, _nesting, _syntax]
    keys = dict(values(config))
    found: dict[str, str] = {}
    while len(found) < count:
        rule = rng.choice(rules)
        typed = rule(rng, keys, command_of(name))
        if typed is not None:
            found.setdefault(typed, rule.__name__.strip("_"))
    return [(rule, typed) for typed, rule in found.items()]


def _leaf(rng: random.Random, keys: dict[str, Any]) -> str:
    return rng.choice([key for key, value in keys.items() if not isinstance(value, dict)])


def _type(rng: random.Random, keys: dict[str, Any], command: Command) -> str:
    return f"{rng.choice([*keys])}={rng.choice(OF_A_WRONG_TYPE)}"


def _range(rng: random.Random, keys: dict[str, Any], command: Command) -> str | None:
    numbers = [key for key, value in keys.items() if type(value) in (int, float)]
    if not numbers:
        return None
    key, value = rng.choice(numbers), rng.choice(OUT_OF_RANGE)
    if key.rpartition(".")[2] in LARGE and len(value) > 4:
        return None
    return f"{key}={value}"


def _spelling(rng: random.Random, keys: dict[str, Any], command: Command) -> str:
    key = _leaf(rng, keys)
    place = rng.randrange(len(key))
    other = rng.choice("aeiorst")
    slips = (
        key[:place] + key[place + 1 :],
        key[:place] + other + key[place:],
        key[:place] + other + key[place + 1 :],
        key[:place] + key[place] + key[place:],
        key.upper(),
        key.replace("_", "-", 1),
        key.replace(".", "/", 1),
        f"{key}.",
        f"{key}@{rng.choice([*keys])}",
    )
    return f"{rng.choice(slips)}=1"


def _choice(rng: random.Random, keys: dict[str, Any], command: Command) -> str:
    every = [command_of(name).groups for name in commands()]
    group = rng.choice(sorted({group for groups in every for group in groups}))
    choices = sorted({name for groups in every for names in groups.values() for name in names})
    choice = rng.choice(choices)
    slips = (
        choice,
        choice[:-1],
        choice + choice[-1],
        f"[{choice}]",
        f"{choice}.yaml",
        f"/{choice}",
    )
    return f"{group}={rng.choice(slips)}"


def _group(rng: random.Random, keys: dict[str, Any], command: Command) -> str:
    groups = sorted({key for name in commands() for key in command_of(name).groups})
    group = rng.choice([*groups, "data/part", "sweep/start", "hydra/launcher", "hydra"])
    slips = ("null", "3", "true", "[1]", "{a:1}", "''", "1.5", "[null]", "a/b", "${seed}")
    form = rng.choice(("{}={}", "{}={}", "+{}={}", "++{}={}", "{}@x={}", "~{}"))
    return form.format(group, rng.choice(slips))


def _nesting(rng: random.Random, keys: dict[str, Any], command: Command) -> str:
    key, node = _leaf(rng, keys), rng.choice([*keys])
    slips = (
        f"{key}.{rng.choice(('a', 'name', '0'))}=1",
        f"{key.rpartition('.')[2]}=1",
        f"{node}.{key.rpartition('.')[2]}=1",
        f"{node}._target_={rng.choice(('torch.nowhere', 'nowhere', '3', 'torch.pi'))}",
        f"+{node}.{rng.choice(('foo', 'lr', '_target_'))}=1",
        f"+{key}=1",
        f"~{node}",
        f"~{key}=other",
        f"++{node}={{_target_: torch.nowhere}}",
        f"++{node}={{foo: 1}}",
    )
    return rng.choice(slips)


def _syntax(rng: random.Random, keys: dict[str, Any], command: Command) -> str:
    return f"{_leaf(rng, keys)}={rng.choice(UNREADABLE)}"
