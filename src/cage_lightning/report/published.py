"""What the paper says: the numbers of its tables (published.yaml) and what its text claims."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from cage_lightning.system.plain_yaml import load_plain

_FILES = ("published.yaml", "claims.yaml")
_NATIVE = "_native"

Protocol = Literal["paper", "published_code"]
Comparison = Literal["equal", "at_least", "at_most"]


class Row(NamedTuple):
    """Which runs are meant: the choices of data set, network and loss."""

    data: str
    model: str
    loss: str

    def __str__(self) -> str:
        return ", ".join(self)


@dataclass(frozen=True)
class Part:
    """One number that the paper prints, with its exact definition.

    Attributes:
        row: The runs that it is of.
        key: That of a score in metrics.json without ``test/``; or ``epoch``, the epoch that was
            kept, counted from 1; or ``within_<dimension>``, the share of test samples whose
            absolute error is at most `WITHIN`.
        printed: The number.
        minus: The number is a difference: that to the runs of this row, seed by seed.
        relative: The number is the share by which the score lies below (reduction) or above
            (increase) `benchmark`.
        benchmark: A score of others, which the paper quotes.
        on: The data set of the test split; None: that of the training.
    """

    row: Row
    key: str
    printed: float
    minus: Row | None = None
    relative: Literal["reduction", "increase"] | None = None
    benchmark: float | None = None
    on: str | None = None

    @property
    def rows(self) -> tuple[Row, ...]:
        """All runs that it is about."""
        return (self.row,) if self.minus is None else (self.row, self.minus)

    @property
    def test_split(self) -> str:
        """The data set whose test split is meant."""
        return self.on or self.row.data

    @property
    def definition(self) -> str:
        """What is compared with the number, in words."""
        text = f"{self.key} of {self.row}"
        if self.on is not None:
            text += f" on {self.on}"
        if self.minus is not None:
            text += f", minus that of {self.minus}"
        if self.relative is not None:
            text = f"{self.relative} against {self.benchmark:g} in {text}"
        return text


@dataclass(frozen=True)
class Claim:
    """A number of a table, or a sentence of the text, that is judged as a whole.

    Attributes:
        name: What tells it from the others of its table.
        table: The table or figure in which it is judged.
        source: Where it stands in the paper.
        quote: Its words; empty for a number of a table.
        protocol: The protocol that it belongs to.
        compare: Whether a value has to equal the printed number, or to reach or not to exceed it.
        tolerance: How far a value may lie on the wrong side; not negative.
        parts: It holds if each of them does; at least one.
    """

    name: str
    table: str
    source: str
    quote: str
    protocol: Protocol
    compare: Comparison
    tolerance: float
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class _Condition:
    rows: Mapping[str, Any]
    settings: Mapping[str, Any]

    def applies(self, row: Row) -> bool:
        return all(getattr(row, key) in _several(names) for key, names in self.rows.items())


WITHIN = 0.3
"""The absolute error of ``within_<dimension>`` (Figure 10)."""


@cache
def _content() -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for name in _FILES:
        found |= load_plain(Path(__file__).with_name(name).read_bytes())
    return MappingProxyType(found)


@cache
def test_samples(data: str) -> frozenset[int]:
    """How many samples the test split of a data set may have."""
    return frozenset(_content()["test_samples"][data])


def benchmark(key: str) -> float:
    """The score of VGG-F that Table 7 quotes."""
    return float(_content()["benchmark"][key])


@cache
def printed(table: str) -> Mapping[tuple[str, str, str], Mapping[str, float]]:
    """What a table of the paper prints: by `Row` and key."""
    return MappingProxyType(
        {row: entry["scores"] for entry in _content()["tables"][table] for row in _rows(entry)}
    )


def required(protocol: Protocol, row: Row) -> dict[str, Any]:
    """The settings that runs of a row have to have if they follow a protocol.

    Returns:
        By key. ``set`` stands for anything but None, and ``augmentation`` is the list of the names
        of the classes in ``augment.steps``.
    """
    protocols = ("paper",) if protocol == "paper" else ("paper", protocol)
    found: dict[str, Any] = {}
    for name in protocols:
        for entry in _content()["protocols"][name]:
            condition = _Condition(entry.get("for", {}), entry["are"])
            if condition.applies(row):
                found |= condition.settings
    return found


@cache
def claims(table: str) -> tuple[Claim, ...]:
    """The claims of the text that are judged with a table or figure, then its numbers."""
    entries = (entry for entry in _content()["claims"] if entry["table"] == table)
    text = itertools.chain.from_iterable(map(_claims, entries))
    return (*text, *_numbers(table))


def _numbers(table: str) -> Iterator[Claim]:
    if table not in _content()["tables"]:
        return
    for choices, scores in printed(table).items():
        row = Row(*choices)
        for key, value in scores.items():
            yield Claim(
                name=f"{key} of {row}",
                table=table,
                source=table.replace("table", "Table "),
                quote="",
                protocol="published_code",
                compare="equal",
                tolerance=_tolerance(key),
                parts=(Part(row, key, value),),
            )


def _tolerance(key: str) -> float:
    first = key.partition("_")[0]
    return float(_content()["tolerances"][first + _NATIVE * key.endswith(_NATIVE)])


def _claims(entry: Mapping[str, Any]) -> Iterator[Claim]:
    groups: dict[str, list[Part]] = {}
    for part in itertools.chain.from_iterable(map(_parts, entry["parts"])):
        groups.setdefault(_name(entry, part), []).append(part)
    common = {key: value for key, value in entry.items() if key != "each"}
    for name, parts in groups.items():
        yield Claim(**{**common, "name": name, "parts": tuple(parts)})


def _name(entry: Mapping[str, Any], part: Part) -> str:
    if "each" not in entry:
        return str(entry["name"])
    which = {**part.row._asdict(), "key": part.key}[entry["each"]]
    return f"{entry['name']} ({which})"


def _parts(entry: Mapping[str, Any]) -> Iterator[Part]:
    for row, (key, value) in itertools.product(_rows(entry), entry["scores"].items()):
        yield Part(
            row=row,
            key=key,
            printed=value,
            minus=row._replace(**entry["minus"]) if "minus" in entry else None,
            relative=entry.get("relative"),
            benchmark=benchmark(key) if "relative" in entry else None,
            on=entry.get("tested_on"),
        )


def _rows(entry: Mapping[str, Any]) -> Iterator[Row]:
    names = (_several(entry["of"][key]) for key in Row._fields)
    return itertools.starmap(Row, itertools.product(*names))


def _several(names: str | list[str]) -> list[str]:
    return names if isinstance(names, list) else [names]
