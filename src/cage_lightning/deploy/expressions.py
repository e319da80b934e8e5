"""What a model predicts for faces, as values with names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from cage_lightning.labels import LabelSpace

if TYPE_CHECKING:
    import pyarrow as pa

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Expression:
    """What a model predicts for one face.

    Attributes:
        category: The most probable category; where several may apply (EMOTIC) a tuple of those with
            a probability of at least one half; None for a model without categories.
        probabilities: By category; None likewise.
        affect: By dimension (``valence``, ``arousal``...), as a rule within [-1, 1], which is not
            enforced; None for a model without affect.
    """

    category: str | tuple[str, ...] | None
    probabilities: Mapping[str, float] | None
    affect: Mapping[str, float] | None


@dataclass(frozen=True, eq=False)
class Expressions(Sequence[Expression]):
    """What a model predicts for N faces: a sequence of `Expression`, and the same as arrays.

    Attributes:
        space: The names of the columns.
        probability: float32 ``[N, K]``; None for a model without categories.
        affect: float32 ``[N, D]``; None for a model without affect.
        probability_spread: Standard deviation over the members of an ensemble, ``[N, K]``; None for
            a single network.
        affect_spread: The same of affect, ``[N, D]``.
    """

    space: LabelSpace
    probability: Floats | None
    affect: Floats | None
    probability_spread: Floats | None = None
    affect_spread: Floats | None = None

    def __len__(self) -> int:
        values = self.affect if self.probability is None else self.probability
        assert values is not None
        return len(values)

    @overload
    def __getitem__(self, key: int) -> Expression: ...
    @overload
    def __getitem__(self, key: slice) -> Expressions: ...
    def __getitem__(self, key: int | slice) -> Expression | Expressions:
        """One face, or some of them."""
        if isinstance(key, slice):
            return Expressions(self.space, *(None if v is None else v[key] for v in self._arrays()))
        return Expression(
            self._category(key),
            _named(self.space.categories, self.probability, key),
            _named(self.space.dimensions, self.affect, key),
        )

    def __iter__(self) -> Iterator[Expression]:
        return (self[row] for row in range(len(self)))

    def columns(self) -> dict[str, list[Any]]:
        """Columns as in a prediction file: ``category``, ``prob_<category>``, ``<dimension>``.

        For an ensemble also ``prob_<category>_spread`` and ``<dimension>_spread``.
        """
        found: dict[str, list[Any]] = {}
        if self.probability is not None:
            found["category"] = [self._category(row) for row in range(len(self))]
        probabilities = [f"prob_{name}" for name in self.space.categories]
        for names, values, ending in (
            (probabilities, self.probability, ""),
            (self.space.dimensions, self.affect, ""),
            (probabilities, self.probability_spread, "_spread"),
            (self.space.dimensions, self.affect_spread, "_spread"),
        ):
            if values is not None:
                found |= {f"{name}{ending}": values[:, i].tolist() for i, name in enumerate(names)}
        return found

    def to_arrow(self) -> pa.Table:
        """A table of pyarrow with the columns of `columns`."""
        import pyarrow as pa

        return pa.table(self.columns())

    def to_pandas(self) -> Any:
        """A data frame with the columns of `columns`; pandas has to be installed."""
        import pandas as pd

        return pd.DataFrame(self.columns())

    @classmethod
    def joined(cls, parts: Sequence[Expressions]) -> Expressions:
        """The faces of several results of one model, at least one of them, in order."""
        arrays = zip(*(part._arrays() for part in parts), strict=True)
        return cls(parts[0].space, *(None if a[0] is None else np.concatenate(a) for a in arrays))

    def _arrays(self) -> tuple[Floats | None, ...]:
        return self.probability, self.affect, self.probability_spread, self.affect_spread

    def _category(self, row: int) -> str | tuple[str, ...] | None:
        if self.probability is None:
            return None
        names, values = self.space.categories, self.probability[row]
        if self.space.multi_label:
            return tuple(name for name, p in zip(names, values, strict=True) if p >= 0.5)
        return names[int(values.argmax())]


def _named(names: Sequence[str], values: Floats | None, row: int) -> Mapping[str, float] | None:
    return None if values is None else dict(zip(names, values[row].tolist(), strict=True))
