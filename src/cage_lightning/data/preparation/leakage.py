"""The duplicates among the pictures of all splits of a data set, and what leaks between splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cage_lightning.data.preparation.altered import Alteration, find_altered
from cage_lightning.data.preparation.checking import Checked
from cage_lightning.data.preparation.duplicates import (
    KINDS,
    Kind,
    Pair,
    find_duplicates,
    grey_differences,
    groups_of,
)

ALTERED_UP_TO = 500_000
"""Pictures; of more, altered copies are not looked for: its time grows with their square."""


@dataclass(frozen=True)
class Duplicates:
    """Which pictures are the same, inside a split and between splits.

    Attributes:
        split: Split of each usable picture; a file of a split counts once.
        id: Id of the first row that shows it.
        path: Its path.
        pairs: Pairs of these pictures.
        altered_from: The correlation of fine detail that altered copies have at least; None where
            they were not looked for.
    """

    split: list[str]
    id: list[str]
    path: list[str]
    pairs: list[Pair]
    altered_from: float | None = None

    @classmethod
    def among(cls, splits: Mapping[str, Checked], workers: int = 1) -> Duplicates:
        """Compare all usable pictures with each other, in so many threads."""
        facts = []
        for name, split in splits.items():
            usable = split.facts.filter(split.facts["fault"].is_null())
            first = np.sort(np.unique(_text(usable["path"]), return_index=True)[1])
            column = pa.array([name] * len(first), pa.string())
            facts.append(usable.take(pa.array(first)).append_column("split", column))
        pictures = pa.concat_tables(facts)
        content, pixels = (
            _bytes(pictures[name]).view("S32").ravel() for name in ("content", "pixels")
        )
        grey = _bytes(pictures["grey"])
        pairs = find_duplicates(content, pixels, grey)
        level = None
        if len(grey) <= ALTERED_UP_TO:
            group = groups_of(pairs, len(grey))
            altered, level = find_altered(_bytes(pictures["finer"]), group, workers)
            pairs = pairs + _as_pairs(altered, grey)
        split, id_, path = (pictures[name].to_pylist() for name in ("split", "id", "path"))
        return cls(split, id_, path, pairs, level)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of pairs that were looked for."""
        return KINDS if self.altered_from is not None else KINDS[:-1]

    def rows(self) -> list[dict[str, Any]]:
        """A row for each pair, for a CSV file."""
        return [
            {"kind": pair.kind, "difference": round(pair.difference, 2)}
            | {
                f"{column}_{which}": getattr(self, column)[number]
                for which, number in (("a", pair.first), ("b", pair.second))
                for column in ("split", "id", "path")
            }
            | {
                "detail": "" if pair.detail is None else round(pair.detail, 3),
                "mirrored": "yes" if pair.mirrored else "",
            }
            for pair in self.pairs
        ]

    def counts(self) -> dict[str, dict[str, int]]:
        """Kind -> ``train``, ``train + test`` and so on -> number of pairs."""
        names = list(dict.fromkeys(self.split))
        places = {(name, name): name for name in names}
        places |= {pair: " + ".join(pair) for pair in combinations(names, 2)}
        found = Counter((p.kind, self.split[p.first], self.split[p.second]) for p in self.pairs)
        return {
            kind: {place: found[kind, *pair] for pair, place in places.items()}
            for kind in self.kinds
        }

    def leaks(self, kinds: Collection[Kind]) -> dict[str, int]:
        """``test in train`` and so on -> pictures of a split that the other one holds as well."""
        split = np.array(self.split)
        group = groups_of([pair for pair in self.pairs if pair.kind in kinds], len(split))
        return {
            f"{later} in {earlier}": int(
                np.isin(group[split == later], group[split == earlier]).sum()
            )
            for earlier, later in combinations(dict.fromkeys(self.split), 2)
        }

    def groups(self) -> dict[tuple[str, str], str]:
        """Split and path of each picture that is not alone -> the name of its group of copies."""
        group = groups_of(self.pairs, len(self.split))
        _, first, size = np.unique(group, return_inverse=True, return_counts=True)
        names = np.cumsum(size > 1)
        return {
            (self.split[row], self.path[row]): str(names[first[row]])
            for row in np.flatnonzero(size[first] > 1).tolist()
        }


def _as_pairs(altered: list[Alteration], grey: npt.NDArray[np.uint8]) -> list[Pair]:
    """Altered copies among pictures ``[N]``, with the differences of their grey pictures."""
    numbers = np.array([pair[:2] for pair in altered], np.int64).reshape(-1, 2)
    return [
        Pair("altered", pair.first, pair.second, difference, pair.detail, pair.mirrored)
        for pair, difference in zip(altered, grey_differences(grey, numbers).tolist(), strict=True)
    ]


def _text(column: pa.ChunkedArray) -> npt.NDArray[np.str_]:
    return np.array(column.to_pylist(), np.str_)


def _bytes(column: pa.ChunkedArray) -> npt.NDArray[np.uint8]:
    """A column of w bytes each, without nulls, as uint8 ``[N, w]``."""
    width = column.type.byte_width
    parts = [
        np.frombuffer(chunk.buffers()[1], np.uint8)[chunk.offset * width :][: len(chunk) * width]
        for chunk in column.chunks
    ]
    return np.concatenate([np.empty(0, np.uint8), *parts]).reshape(-1, width)
