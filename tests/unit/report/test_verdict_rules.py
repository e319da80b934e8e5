"""The rules of the verdicts, with a case on each side of every edge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cage_lightning.report.published import Claim, Comparison, Part, Row
from cage_lightning.report.verdicts.rules import SEEDS, Measured, Verdict, combine, judge

COMBINED = Row("affectnet8", "maxvit", "combined")
NUMBER = Part(COMBINED, "f1_weighted", 0.62)
GAIN = replace(NUMBER, printed=0.02, minus=Row("affectnet8", "maxvit", "discrete"))

REPRODUCED, PARTIAL, CONTRADICTED = Verdict.REPRODUCED, Verdict.PARTIAL, Verdict.CONTRADICTED
NOT_TESTED, PROXY = Verdict.NOT_TESTED, Verdict.PROXY


def a_claim(compare: Comparison, part: Part, tolerance: float = 0.01) -> Claim:
    return Claim("name", "table6", "", "", "paper", compare, tolerance, (part,))


def of_mean(mean: float, half: float = 0.0, n: int = SEEDS) -> tuple[float, ...]:
    """Values of `n` seeds with a mean, and half the width of its 95 % interval."""
    from scipy.stats import t

    values = np.linspace(-1, 1, n)
    sd = values.std(ddof=1)
    return tuple((mean + values * half * n**0.5 / (t.ppf(0.975, n - 1) * sd)).tolist())


def verdict(compare: Comparison, part: Part, values: tuple[float, ...], **more: float) -> Verdict:
    return judge(a_claim(compare, part, **more), part, Measured(values)).verdict


def test_six_seeds_are_needed() -> None:
    assert SEEDS == 6


@pytest.mark.parametrize(
    ("mean", "half", "expected"),
    [
        (0.61, 0.0, REPRODUCED),
        (0.6099, 0.0, CONTRADICTED),
        (0.63, 0.0, REPRODUCED),
        (0.6301, 0.0, CONTRADICTED),
        # The whole interval of the mean has to lie within the tolerance.
        (0.615, 0.0049, REPRODUCED),
        (0.615, 0.0051, PARTIAL),
        (0.6101, 0.0051, PARTIAL),
        # Of single runs 95 % lie in an interval that is sqrt(7) times as wide.
        (0.60, 0.0099 / 7**0.5, CONTRADICTED),
        (0.60, 0.0101 / 7**0.5, PARTIAL),
        (0.64, 0.0099 / 7**0.5, CONTRADICTED),
        (0.64, 0.0101 / 7**0.5, PARTIAL),
    ],
)
def test_a_number_is_equalled(mean: float, half: float, expected: Verdict) -> None:
    assert verdict("equal", NUMBER, of_mean(mean, half)) == expected


@pytest.mark.parametrize(
    ("mean", "half", "expected"),
    [
        (0.61, 0.0, REPRODUCED),
        (0.6099, 0.0, CONTRADICTED),
        (0.99, 0.0, REPRODUCED),
        (0.62, 0.0099, REPRODUCED),
        (0.62, 0.0101, PARTIAL),
        (0.60, 0.0099, CONTRADICTED),
        # It scatters too much to tell, and rather speaks against it.
        (0.60, 0.0101, NOT_TESTED),
    ],
)
def test_a_bound_is_kept(mean: float, half: float, expected: Verdict) -> None:
    assert verdict("at_least", NUMBER, of_mean(mean, half)) == expected
    mirrored = replace(NUMBER, printed=-NUMBER.printed)
    assert verdict("at_most", mirrored, of_mean(-mean, half)) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (of_mean(0.01), REPRODUCED),
        # A gain, though less than printed.
        (of_mean(0.0099), PARTIAL),
        (of_mean(0.005, 0.0035), PARTIAL),
        # Its interval lies above 0, but a sign-flip test has p = 4/64.
        (of_mean(0.005, 0.0041), CONTRADICTED),
        (of_mean(0.005, 0.006), NOT_TESTED),
        (of_mean(0.004, 0.0041), CONTRADICTED),
        (of_mean(0.0), CONTRADICTED),
        (of_mean(-0.02), CONTRADICTED),
    ],
)
def test_a_gain(values: tuple[float, ...], expected: Verdict) -> None:
    assert verdict("at_least", GAIN, values) == expected


def test_rounding_is_no_difference() -> None:
    third = replace(NUMBER, printed=0.07)  # less .01 that is .060000000000000005
    assert verdict("at_least", third, 6 * (0.06,)) == REPRODUCED
    assert verdict("at_least", third, 6 * (0.06 - 1e-6,)) == CONTRADICTED


def test_a_gain_needs_a_sign_flip_test() -> None:
    some = replace(GAIN, printed=0.0)
    # p = 2/64 and 4/64; the interval of the mean lies above 0 in both.
    assert verdict("at_least", some, (*5 * (0.02,), 0.001), tolerance=0.0) == REPRODUCED
    assert verdict("at_least", some, (*5 * (0.02,), -0.001), tolerance=0.0) == PARTIAL
    # What is compared with a number of others is no gain over other runs.
    score = replace(some, minus=None)
    assert verdict("at_least", score, (*5 * (0.02,), -0.001), tolerance=0.0) == REPRODUCED


@pytest.mark.parametrize(
    ("values", "lacking", "expected"),
    [
        (6 * (0.62,), "", REPRODUCED),
        (5 * (0.62,), "", PARTIAL),
        (5 * (0.60,), "", NOT_TESTED),
        (1 * (0.61,), "", PARTIAL),
        (1 * (0.6099,), "", NOT_TESTED),
        (6 * (0.62,), "optimizer.lr is 1", PARTIAL),
        (6 * (0.60,), "optimizer.lr is 1", NOT_TESTED),
    ],
)
def test_without_seeds_and_protocol_there_is_no_verdict(
    values: tuple[float, ...], lacking: str, expected: Verdict
) -> None:
    found = judge(a_claim("equal", NUMBER), NUMBER, Measured(values, lacking))
    assert found.verdict == expected
    assert ("needs 6 seeds" in found.obstacle) == (len(values) < 6)
    assert ("do not follow protocol=paper (optimizer" in found.obstacle) == bool(lacking)


def test_what_cannot_be_measured() -> None:
    claim = a_claim("equal", NUMBER)
    missing = judge(claim, NUMBER, Measured(missing="no such run is finished"))
    assert missing[:2] == (NOT_TESTED, "no such run is finished")
    # Drawn faces settle nothing, whatever they score.
    assert judge(claim, NUMBER, Measured(6 * (0.62,), proxy=True)).verdict == PROXY


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([REPRODUCED], REPRODUCED),
        ([PROXY, PROXY], PROXY),
        ([REPRODUCED, REPRODUCED], REPRODUCED),
        ([REPRODUCED, NOT_TESTED], PARTIAL),
        ([REPRODUCED, CONTRADICTED], PARTIAL),
        ([PARTIAL, CONTRADICTED], PARTIAL),
        ([CONTRADICTED, NOT_TESTED], CONTRADICTED),
        ([NOT_TESTED, NOT_TESTED], NOT_TESTED),
    ],
)
def test_a_claim_of_several_parts(parts: list[Verdict], expected: Verdict) -> None:
    assert combine(parts) == combine(parts[::-1]) == expected


def test_the_reason_is_a_sentence_with_its_numbers() -> None:
    found = judge(a_claim("equal", NUMBER), NUMBER, Measured(of_mean(0.615, 0.004)))
    assert found.reason == (
        "the mean of 6 seeds is 0.615, and all of its 95 % interval [0.611, 0.619] is within 0.01 "
        "of the printed 0.62"
    )
    found = judge(a_claim("equal", NUMBER), NUMBER, Measured((0.58,)))
    assert found.reason == "one run has 0.58, which is not within 0.01 of the printed 0.62"
