"""The rules by which finished runs are judged: does what the paper prints hold?

A claim has one or more parts, each a number (`report.published`). Of the runs that a part is about,
the values of the seeds have a mean m, Student's 95 % interval of the mean, and an interval in which
95 % of single runs lie, m ± t s sqrt(1 + 1/n). A value *agrees* if it is within the tolerance of
the printed number; of claims with ``at_least`` or ``at_most``, if it is not further than the
tolerance on the wrong side.

1. NOT TESTED (proxy): all runs are on drawn faces, whatever they score.
2. NOT TESTED: no run is of the data set, network and loss, has the score, and was tested on as many
   samples as the paper.
3. Two conditions have to be met for a verdict: the runs follow the protocol that the claim belongs
   to, and there are `SEEDS` of them, the fewest with which a sign-flip test can reach p = .05. If
   not, the claim is PARTIAL where m agrees, otherwise NOT TESTED.
4. REPRODUCED: the whole interval of the mean agrees. A gain over other runs also needs a sign-flip
   test with p <= .05.
5. CONTRADICTED: nothing in the interval of the mean agrees. A number that has to be equalled was
   printed of one run: there it is the interval of single runs in which nothing agrees.
6. PARTIAL: what neither reproduces nor contradicts, where m agrees, where single runs do, or where
   there is a gain, though less than printed (the interval of the mean and the sign-flip test are on
   its side). Otherwise, the seeds scatter too much to tell: NOT TESTED.

A claim of several parts is REPRODUCED if all are, and PARTIAL if one at least is REPRODUCED or
PARTIAL. Otherwise it is CONTRADICTED if one part is, and else NOT TESTED.

The interval over test samples takes no part: the paper was tested on the same samples.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from cage_lightning.report.published import Claim, Part
from cage_lightning.scores import Summary, seeds_needed, sign_flip_p, summarise

ALPHA = 0.05
SEEDS = seeds_needed(ALPHA)
_ROUNDING = 1e-9  # .61 + .01 is .62


class Verdict(StrEnum):
    """What finished runs say about a claim."""

    REPRODUCED = "REPRODUCED"
    PARTIAL = "PARTIAL"
    CONTRADICTED = "CONTRADICTED"
    NOT_TESTED = "NOT TESTED"
    PROXY = "NOT TESTED (proxy)"

    @property
    def supports(self) -> bool:
        """Whether it speaks for the claim."""
        return self in (Verdict.REPRODUCED, Verdict.PARTIAL)


@dataclass(frozen=True)
class Measured:
    """What finished runs have of a part.

    Attributes:
        values: One for each seed, to be compared with the printed number.
        lacking: What keeps the runs from following the protocol; empty if nothing does.
        missing: Why there is no value; empty if there is one.
        proxy: Whether all runs are on drawn faces.
    """

    values: tuple[float, ...] = ()
    lacking: str = ""
    missing: str = ""
    proxy: bool = False


class Finding(NamedTuple):
    """The verdict on one part.

    Attributes:
        verdict: The verdict.
        reason: Why, as a part of a sentence.
        obstacle: What else a verdict would need, as its end; empty if nothing is lacking.
        seeds: The values in short; None where there is none.
    """

    verdict: Verdict
    reason: str
    obstacle: str = ""
    seeds: Summary | None = None


class _Range(NamedTuple):
    low: float
    high: float

    def holds(self, low: float, high: float) -> bool:
        return self.low - _ROUNDING <= low and high <= self.high + _ROUNDING

    def meets(self, low: float, high: float) -> bool:
        return self.low - _ROUNDING <= high and low <= self.high + _ROUNDING


def judge(claim: Claim, part: Part, measured: Measured) -> Finding:
    """The verdict on a part of a claim, by rules 1 to 6."""
    if measured.proxy:
        return Finding(
            Verdict.PROXY, "the runs are on drawn faces, which say nothing about photographs"
        )
    if not measured.values:
        return Finding(Verdict.NOT_TESTED, measured.missing)
    seeds, obstacle = summarise(measured.values), _obstacle(claim, measured)
    verdict, reason = _judge(claim, part, measured, seeds, bool(obstacle))
    return Finding(verdict, f"{_mean_of(seeds)}, {reason}", obstacle, seeds)


def combine(verdicts: Collection[Verdict]) -> Verdict:
    """The verdict on a claim from those on its parts, at least one."""
    found = set(verdicts)
    if len(found) == 1:
        return found.pop()
    if any(verdict.supports for verdict in found):
        return Verdict.PARTIAL
    return Verdict.CONTRADICTED if Verdict.CONTRADICTED in found else Verdict.NOT_TESTED


def _judge(
    claim: Claim, part: Part, measured: Measured, seeds: Summary, hindered: bool
) -> tuple[Verdict, str]:
    agrees, wanted = _agreeing(claim, part)
    near = agrees.holds(seeds.mean, seeds.mean)
    if hindered:
        verdict = Verdict.PARTIAL if near else Verdict.NOT_TESTED
        return verdict, f"which is {'' if near else 'not '}{wanted}"
    mean, single = _intervals(seeds)
    shown = f"95 % interval [{mean.low:z.4g}, {mean.high:z.4g}]"
    p = sign_flip_p(measured.values) if _is_gain(claim, part) else 0.0
    if agrees.holds(*mean):
        if p <= ALPHA:
            return Verdict.REPRODUCED, f"and all of its {shown} is {wanted}"
        return Verdict.PARTIAL, f"which is {wanted}, but a sign-flip test has p = {p:.3f}"
    if _is_gain(claim, part) and mean.low > 0 and p <= ALPHA:
        return Verdict.PARTIAL, f"a gain, but not all of its {shown} is {wanted}"
    if near:
        return Verdict.PARTIAL, f"which is {wanted}, but not all of its {shown} is"
    if claim.compare == "equal":
        runs = f"single runs, of which 95 % lie in [{single.low:z.4g}, {single.high:z.4g}]"
        if agrees.meets(*single):
            return Verdict.PARTIAL, f"which is not {wanted}, but {runs}, come there"
        return Verdict.CONTRADICTED, f"and not even {runs}, come {wanted}"
    if agrees.meets(*mean):
        return Verdict.NOT_TESTED, f"which is not {wanted}, but a part of its {shown} is"
    return Verdict.CONTRADICTED, f"and nothing in its {shown} is {wanted}"


def _agreeing(claim: Claim, part: Part) -> tuple[_Range, str]:
    """The values that agree with what is printed, and how they are called."""
    printed, tolerance = part.printed, claim.tolerance
    if claim.compare == "equal":
        return (
            _Range(printed - tolerance, printed + tolerance),
            f"within {tolerance:g} of the printed {printed:g}",
        )
    if claim.compare == "at_least":
        low = printed - tolerance
        return _Range(low, float("inf")), f"at least {low:g}"
    high = printed + tolerance
    return _Range(float("-inf"), high), f"at most {high:g}"


def _obstacle(claim: Claim, measured: Measured) -> str:
    """What stands against a verdict; empty if nothing does."""
    found = []
    if len(measured.values) < SEEDS:
        found.append(f"a verdict needs {SEEDS} seeds")
    if measured.lacking:
        found.append(f"the runs do not follow protocol={claim.protocol} ({measured.lacking})")
    return " and ".join(found)


def _intervals(seeds: Summary) -> tuple[_Range, _Range]:
    """That of the mean, and the one in which 95 % of single runs lie."""
    assert seeds.low is not None, "there are several seeds"
    half = seeds.mean - seeds.low
    of_runs = half * (seeds.n + 1) ** 0.5
    return (
        _Range(seeds.mean - half, seeds.mean + half),
        _Range(seeds.mean - of_runs, seeds.mean + of_runs),
    )


def _is_gain(claim: Claim, part: Part) -> bool:
    return part.minus is not None and claim.compare == "at_least"


def _mean_of(seeds: Summary) -> str:
    if seeds.n == 1:
        return f"one run has {seeds.mean:z.4g}"
    return f"the mean of {seeds.n} seeds is {seeds.mean:z.4g}"
