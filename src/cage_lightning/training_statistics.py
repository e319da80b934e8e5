"""What predictors that never look at a picture need to know of a training split.

The data count it, a checkpoint and a prediction file carry it along, the baselines read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cage_lightning.labels import LabelSpace


@dataclass(frozen=True)
class TrainingStatistics:
    """What predictors that never look at a picture need to know of a training split.

    Attributes:
        source: Where the numbers come from.
        n: Number of samples.
        counts: Samples of each category, ``[K]``.
        affect: Mean of each affect dimension, ``[D]``, in [-1, 1]; None where nothing is annotated.
        affect_by_category: The same of the samples of each category, ``[K][D]``.
    """

    source: str
    n: int
    counts: Sequence[int]
    affect: Sequence[float | None]
    affect_by_category: Sequence[Sequence[float | None]]

    @classmethod
    def from_dict(cls, values: Any, space: LabelSpace) -> TrainingStatistics:
        """The inverse of `dataclasses.asdict`, for values out of a file that may come from anyone.

        Args:
            values: Plain containers.
            space: What the columns mean.

        Raises:
            ValueError: They are not statistics of a training split of that label space.
        """
        if not isinstance(values, dict) or values.keys() != cls.__dataclass_fields__.keys():
            raise ValueError(
                f"statistics of a training split consist of {', '.join(cls.__dataclass_fields__)}"
            )
        known = cls(**values)
        if not isinstance(known.source, str) or not known.source.isprintable():
            raise ValueError("the source of training statistics is not a line of text")
        if not all(type(n) is int and n >= 0 for n in _row([known.n, *_row(known.counts)])):
            raise ValueError("the counts of training statistics are not whole numbers")
        rows = [known.affect, *_row(known.affect_by_category)]
        if not all(x is None or (type(x) is float and -1 <= x <= 1) for r in rows for x in _row(r)):
            raise ValueError("the means of training statistics are not numbers from -1 to 1")
        k, d = len(space.categories), len(space.dimensions)
        if {len(known.counts), len(rows) - 1} != {k} or {len(row) for row in rows} != {d}:
            raise ValueError(f"the training statistics are not those of {space.name}")
        return known

    def select(self, categories: Sequence[int], dimensions: Sequence[int]) -> TrainingStatistics:
        """Only some categories and dimensions, by number, in the given order.

        The means over all samples stay those of the whole training split.
        """
        return TrainingStatistics(
            source=self.source,
            n=self.n,
            counts=[self.counts[k] for k in categories],
            affect=[self.affect[d] for d in dimensions],
            affect_by_category=[
                [self.affect_by_category[k][d] for d in dimensions] for k in categories
            ],
        )

    def together(self, groups: Sequence[Sequence[int]]) -> TrainingStatistics:
        """Groups of categories as one category each; the other categories are left out.

        The mean affect of a group is weighted by the samples of its categories.
        """
        return TrainingStatistics(
            source=self.source,
            n=self.n,
            counts=[sum(self.counts[k] for k in group) for group in groups],
            affect=self.affect,
            affect_by_category=[self._mean(group) for group in groups],
        )

    def _mean(self, group: Sequence[int]) -> Sequence[float | None]:
        """The mean affect of the samples of some categories, ``[D]``."""
        if len(group) == 1:
            return self.affect_by_category[group[0]]
        columns: list[float | None] = []
        for d in range(len(self.affect)):
            known = [
                (self.counts[k], value)
                for k in group
                if (value := self.affect_by_category[k][d]) is not None
            ]
            n = sum(count for count, _ in known)
            columns.append(sum(count * value for count, value in known) / n if n else None)
        return columns


def _row(values: Any) -> list[Any]:
    if not isinstance(values, list):
        raise ValueError("training statistics are lists of numbers")
    return values
