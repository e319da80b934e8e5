"""A score of one row of a table compared with that of another, in numbers and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cage_lightning.scores.groups import GroupDifference, Improvement
from cage_lightning.scores.headline import lower_is_better

ALPHA = 0.05
POWER = 0.8
COLUMNS = ("compared", "score", "difference", "seeds", "p", "outcome")

_SMALLEST = 0.001  # p-value that is written as a number
_MOST = 1000  # seeds that are worth naming

Outcome = Literal["better", "worse", "equivalent", "undecided"]


@dataclass(frozen=True)
class Pair:
    """A score of two rows, before it is known how many other comparisons there are."""

    alike: Mapping[str, Any]
    a: str
    b: str
    metric: str
    found: GroupDifference
    drawn: bool


@dataclass(frozen=True)
class Comparison:
    """A score of one row compared with that of another.

    Attributes:
        setting: What they differ in.
        pair: The rows, and the difference: that of `pair.b` minus that of `pair.a`.
        heading: The score as people read it.
        margin: The largest difference that does not matter in practice, in units of the score.
        family: How many comparisons were made together.
        p: The p-value of no difference, adjusted for all of them.
        p_equivalence: That of a difference as large as the margin, adjusted likewise.
    """

    setting: str
    pair: Pair
    heading: str
    margin: float
    family: int
    p: float
    p_equivalence: float

    @property
    def outcome(self) -> Outcome:
        """What is known of the second row beside the first one."""
        if self.p_equivalence <= ALPHA:
            return "equivalent"
        if self.p > ALPHA:
            return "undecided"
        higher = self.pair.found.estimate.value > 0
        return "better" if higher != lower_is_better(self.pair.metric) else "worse"

    @property
    def improvement(self) -> Improvement:
        """How likely a run of the second row does better than one of the first."""
        share, low, high = self.pair.found.improvement
        if lower_is_better(self.pair.metric):
            return Improvement(1 - share, 1 - high, 1 - low)
        return Improvement(share, low, high)

    @property
    def compared(self) -> str:
        """The rows in short."""
        return f"{', '.join(map(str, self.pair.alike.values()))}: {self.pair.b} - {self.pair.a}"

    @property
    def difference(self) -> str:
        """The difference with its interval."""
        estimate = self.pair.found.estimate
        low, high = estimate.interval(1 - ALPHA)
        return f"{estimate.value:+.3f} [{low:+.3f}, {high:+.3f}]"

    @property
    def seeds_needed(self) -> tuple[int | None, int | None]:
        """How many seeds find a difference as observed, and one of the margin; None: > 1000."""
        estimate = self.pair.found.estimate
        alpha = ALPHA / self.family
        return (
            estimate.seeds_for(estimate.value, alpha, POWER, _MOST),
            estimate.seeds_for(self.margin, alpha, POWER, _MOST),
        )

    @property
    def sentence(self) -> str:
        """What was compared, what was found, and what follows."""
        pair, family = self.pair, self.family
        alike = ", ".join(f"{key} {value}" for key, value in pair.alike.items())
        together = f", adjusted for {family} comparisons" if family > 1 else ""
        return (
            f"{'Synthetic (drawn faces): ' * pair.drawn}with {alike}, the {self.heading} of "
            f"{self.setting} {pair.b} minus that of {pair.a} is {self.difference} "
            f"({100 * (1 - ALPHA):g} % interval over seeds and test samples; {self._seeds}; "
            f"p {'= ' * (self.p >= _SMALLEST)}{_p(self.p)}{together}): {self._conclusion}."
        )

    @property
    def _seeds(self) -> str:
        found = self.pair.found
        a, b = len(found.a.seeds), len(found.b.seeds)
        if found.paired:
            return f"{a} seeds each, paired"
        return f"{a} and {b} seeds, not paired" if a != b else f"{a} seeds each, not paired"

    @property
    def _conclusion(self) -> str:
        pair = self.pair
        if self.outcome == "equivalent":
            nonzero = ", although not zero" if self.p <= ALPHA else ""
            return f"equivalent, the difference is less than {self.margin:g}{nonzero}"
        if self.outcome != "undecided":
            return f"{pair.b if self.outcome == 'better' else pair.a} is better"
        there = min(len(pair.found.a.seeds), len(pair.found.b.seeds))
        observed, margin = (_more(needed, there) for needed in self.seeds_needed)
        return (
            f"undecided; to be found in {100 * POWER:g} % of all cases, a difference of this size "
            f"takes {observed}, and one of {self.margin:g} takes {margin}"
        )

    @property
    def cells(self) -> list[str]:
        """What stands in `COLUMNS`."""
        return [
            self.compared,
            self.heading,
            self.difference,
            self._seeds,
            _p(self.p),
            self.outcome,
        ]

    def record(self) -> dict[str, Any]:
        """A row of comparisons.csv."""
        pair, found = self.pair, self.pair.found
        low, high = found.estimate.interval(1 - ALPHA)
        improvement, (observed, margin) = self.improvement, self.seeds_needed
        return dict(pair.alike) | {
            "setting": self.setting,
            "a": pair.a,
            "b": pair.b,
            "metric": pair.metric,
            "seeds_a": len(found.a.seeds),
            "seeds_b": len(found.b.seeds),
            "paired": found.paired,
            "mean_a": float(found.a.values.mean()),
            "mean_b": float(found.b.values.mean()),
            "difference": found.estimate.value,
            "low": low,
            "high": high,
            "degrees": found.estimate.degrees,
            "p": found.estimate.p,
            "comparisons": self.family,
            "p_adjusted": self.p,
            "sign_flip_p": found.sign_flip,
            "improvement": improvement.share,
            "improvement_low": improvement.low,
            "improvement_high": improvement.high,
            "margin": self.margin,
            "p_equivalence": found.estimate.p_equivalence(self.margin),
            "p_equivalence_adjusted": self.p_equivalence,
            "outcome": self.outcome,
            "seeds_for_difference": observed,
            "seeds_for_margin": margin,
            "synthetic": pair.drawn,
            "sentence": self.sentence,
        }


def _more(needed: int | None, there: int) -> str:
    if needed is None:
        return f"more than {_MOST:,} seeds or more test samples"
    more = max(needed - there, 0)
    return f"{more or 'no'} more seed{'s' * (more != 1)}"


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= _SMALLEST else f"< {_SMALLEST:g}"
