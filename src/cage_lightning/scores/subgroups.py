"""The main scores of the samples of each value of a group, such as each gender, and their gaps.

The samples of a value are the file restricted to these rows, scored by `Scorer`; they are drawn
again in the resamples of the whole file, so that what is said of two values is of the same draws.

The gap of a score is that between the best and the worst value. It is never negative, so it is
larger than 0 also where the values differ by chance alone, and so are both limits of its interval.
What chance alone gives is learnt by dealing the values anew among the samples (`Dealer`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cage_lightning.errors import ConfigError
from cage_lightning.predictions.table import Floats, Predictions
from cage_lightning.scores.bootstrap import drawn_weights, percentile_interval, units_of
from cage_lightning.scores.dealing import Dealer
from cage_lightning.scores.headline import lower_is_better, main_scores
from cage_lightning.scores.scorer import Scorer

LEAST = 20
"""The fewest samples of a value that is scored."""
DEALS = 999
"""How often the values are dealt anew."""
_ROUNDING = 1e-9  # what gaps may differ by that are equal

Rows = npt.NDArray[np.int64]
_Scores = dict[str, Floats]  # by key, [R]


@dataclass(frozen=True)
class Parts:
    """The samples of a file by the values of a group.

    Attributes:
        rows: The rows of each value that is scored.
        few: The other values, with their number of samples.
        unknown: The number of samples whose value is not known.
    """

    rows: Mapping[str, Rows]
    few: Mapping[str, int]
    unknown: int


def parts_of(groups: Mapping[str, npt.NDArray[np.str_]], name: str) -> Parts:
    """The samples by the values of a group.

    Args:
        groups: As in `Predictions`.
        name: Which group.

    Raises:
        ConfigError: There is no such group, or none of its values has `LEAST` samples.
    """
    if name not in groups:
        known = ", ".join(groups) or "none"
        raise ConfigError(
            f"subgroups=[{name}]: nothing says the {name} of a sample; known are: {known}. Give a "
            f"table with the columns id,{name} in groups_file=FILE"
        )
    values, value = np.unique(groups[name], return_inverse=True)
    rows = {text: np.flatnonzero(value == k) for k, text in enumerate(values.tolist())}
    unknown = len(rows.pop("", ()))
    scored = {text: found for text, found in rows.items() if len(found) >= LEAST}
    if not scored:
        most = max(rows, key=lambda text: len(rows[text]), default=None)
        largest = "it is known of no sample" if most is None else f"{most!r} has {len(rows[most])}"
        raise ConfigError(
            f"subgroups=[{name}]: no value of {name} has the {LEAST} samples that are needed to "
            f"score it: {largest}; leave {name} out"
        )
    few = {text: len(found) for text, found in rows.items() if text not in scored}
    return Parts(scored, few, unknown)


def subgroup_scores(
    predictions: Predictions,
    names: Sequence[str],
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
    deals: int = DEALS,
) -> dict[str, Any]:
    """The main scores of each value of some groups, and the gaps.

    Args:
        predictions: The file; its `groups` has the names.
        names: The groups.
        resamples: Number of resamples.
        confidence: Share of the resamples within the intervals.
        seed: Seed of the random draws.
        deals: How often the values are dealt anew.

    Returns:
        By group: ``values``, each with ``n`` and ``units`` (its samples, and how many persons,
        videos or pictures they are drawn with), ``scores`` and ``intervals`` by key; ``gaps`` by
        key, see `_gap`; ``few`` and ``unknown`` as in `Parts`. The samples of a single unit are
        either all drawn or none, so there they have no intervals.

    Raises:
        ConfigError: See `parts_of`; `resamples` or `confidence` is out of range.
    """
    parts = {name: parts_of(predictions.groups, name) for name in names}
    scorers = {
        (name, value): (rows, Scorer(predictions.select(rows)))
        for name, part in parts.items()
        for value, rows in part.rows.items()
    }
    scores = {key: _main(s(np.ones((1, len(rows))))) for key, (rows, s) in scorers.items()}
    drawn: dict[tuple[str, str], list[_Scores]] = {key: [] for key in scorers}
    for weights in drawn_weights([predictions], resamples, seed):
        for key, (rows, scorer) in scorers.items():
            drawn[key].append(_main(scorer(weights[:, rows])))
    unit = units_of([predictions])
    unit = np.arange(len(predictions)) if unit is None else unit
    found = {}
    for name, part in parts.items():
        values = {
            value: _Value(
                rows=rows,
                units=len(np.unique(unit[rows])),
                scores={k: float(v[0]) for k, v in scores[name, value].items() if v[0] == v[0]},
                drawn=_joined(drawn[name, value]),
            )
            for value, rows in part.rows.items()
        }
        dealt = _dealt(predictions, unit, values, deals, seed) if len(values) > 1 else {}
        found[name] = {
            "values": {text: value.content(confidence) for text, value in values.items()},
            "gaps": _gaps(values, dealt, confidence),
            "few": dict(part.few),
            "unknown": part.unknown,
        }
    return found


@dataclass(frozen=True)
class _Value:
    """A value of a group: its samples, and their scores in the file and in its resamples."""

    rows: Rows
    units: int
    scores: Mapping[str, float]
    drawn: _Scores

    def content(self, confidence: float) -> dict[str, Any]:
        limits = {key: self.interval(self.drawn[key], confidence) for key in self.scores}
        return {
            "n": len(self.rows),
            "units": self.units,
            "scores": dict(self.scores),
            "intervals": {key: pair for key, pair in limits.items() if pair is not None},
        }

    def interval(self, values: Floats, confidence: float) -> list[float] | None:
        """The limits; None where the samples of a single unit do not vary."""
        found = percentile_interval(values, confidence) if self.units > 1 else None
        return None if found is None else [found.low, found.high]


def _gaps(
    values: Mapping[str, _Value], dealt: Mapping[str, _Scores], confidence: float
) -> dict[str, Any]:
    """The gap of each score that two values or more have, by key."""
    keys = dict.fromkeys(key for value in values.values() for key in value.scores)
    with_score = {
        key: {text: value for text, value in values.items() if key in value.scores} for key in keys
    }
    return {
        key: _gap(key, there, dealt, confidence)
        for key, there in with_score.items()
        if len(there) > 1
    }


def _gap(
    key: str, values: Mapping[str, _Value], dealt: Mapping[str, _Scores], confidence: float
) -> dict[str, Any]:
    """The gap of a score.

    Returns:
        ``best`` and ``worst``, values of the group; ``gap``, the difference of their scores, at
        least 0; ``low`` and ``high``, the limits of its percentile interval, each resample having
        a best and a worst value of its own; ``by_chance``, the mean gap where the values are dealt
        anew, and ``p``, the share of these gaps, with the observed one among them, that are at
        least as large. The last four are None where a value has a single unit.
    """
    scores = {text: value.scores[key] for text, value in values.items()}
    order = sorted(scores, key=scores.__getitem__, reverse=not lower_is_better(key))
    gap = abs(scores[order[0]] - scores[order[-1]])
    found: dict[str, Any] = {"best": order[0], "worst": order[-1], "gap": gap}
    found |= dict.fromkeys(("low", "high", "by_chance", "p"))
    if min(value.units for value in values.values()) < 2:
        return found
    interval = percentile_interval(_range([v.drawn[key] for v in values.values()]), confidence)
    if interval is not None:
        found |= {"low": interval.low, "high": interval.high}
    chance = _range([dealt[text][key] for text in values])
    chance = chance[~np.isnan(chance)]
    if len(chance):
        as_large = 1 + int(np.sum(chance >= gap - _ROUNDING))
        found |= {"by_chance": float(chance.mean()), "p": as_large / (len(chance) + 1)}
    return found


def _range(values: Sequence[Floats]) -> Floats:
    """The largest minus the smallest of some ``[R]``, NaN where one is."""
    return np.asarray(np.ptp(np.stack(values), axis=0))


def _dealt(
    predictions: Predictions, unit: Rows, values: Mapping[str, _Value], deals: int, seed: int
) -> dict[str, _Scores]:
    """The scores of the samples that have a value after each deal, by value."""
    rows = np.concatenate([value.rows for value in values.values()])
    label = np.repeat(np.arange(len(values)), [len(value.rows) for value in values.values()])
    scorer = Scorer(predictions.select(rows))
    found: dict[str, list[_Scores]] = {text: [] for text in values}
    for labels in Dealer(label, unit[rows]).deals(deals, np.random.default_rng(seed)):
        for k, text in enumerate(values):
            found[text].append(_main(scorer(labels == k)))
    return {text: _joined(parts) for text, parts in found.items()}


def _main(scores: Mapping[str, Floats]) -> _Scores:
    return {key: scores[key] for key in main_scores(scores)}


def _joined(parts: Sequence[_Scores]) -> _Scores:
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
