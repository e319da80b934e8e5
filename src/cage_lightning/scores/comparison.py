"""The comparison of two models on the same samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from cage_lightning.errors import ConfigError
from cage_lightning.predictions.table import Floats, Predictions
from cage_lightning.scores.bootstrap import bootstrap, percentile_interval
from cage_lightning.scores.scorer import COUNTS, point_estimate

# Published files keep true affect in half precision.
_HALF_PRECISION = 5e-4


class Difference(NamedTuple):
    """The difference of a score between two files.

    Attributes:
        a: The score of the first file.
        b: The score of the second file.
        difference: b - a.
        low: Lower limit of its percentile interval.
        high: Upper limit.
        p: Two-sided bootstrap p-value, in (0, 1].
        undefined: Share of the resamples that do not define it; the limits and p leave them out.
    """

    a: float
    b: float
    difference: float
    low: float
    high: float
    p: float
    undefined: float


@dataclass(frozen=True)
class Comparison:
    """The result of comparing two files.

    Attributes:
        differences: The differences of the scores that both files have, by key.
        mcnemar: p-value of McNemar's exact test of the accuracy; None where samples do not have
            exactly one category, true and predicted.
    """

    differences: dict[str, Difference]
    mcnemar: float | None


def compare(
    a: Predictions,
    b: Predictions,
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Compare two models on the same samples by a paired bootstrap.

    Both are scored on the same resamples. With R resamples that define the difference d, the
    p-value is min(1, 2 min(1 + #{d <= 0}, 1 + #{d >= 0}) / (R + 1)): the percentile interval
    inverted, with the observed sample counted among the resamples.

    Args:
        a: The file that is compared to.
        b: The file that is compared.
        resamples: Number of resamples.
        confidence: Share of the resamples within the intervals.
        seed: Seed of the random draws.

    Raises:
        ConfigError: The files have other label spaces, samples or truths, or no score in common;
            `resamples` or `confidence` is out of range.
    """
    b = aligned(a, b)
    of_a, of_b = point_estimate(a), point_estimate(b)
    resampled_a, resampled_b = bootstrap([a, b], resamples, seed)
    differences = {}
    for key in of_a:
        if key not in of_b or key in COUNTS:
            continue
        scattered = resampled_b[key] - resampled_a[key]
        interval = percentile_interval(scattered, confidence)
        if interval is not None:
            differences[key] = Difference(
                a=of_a[key],
                b=of_b[key],
                difference=of_b[key] - of_a[key],
                p=_p_value(scattered),
                **interval._asdict(),
            )
    if not differences:
        raise ConfigError("the files have no score in common: one has categories, the other affect")
    return Comparison(differences, _mcnemar(a, b))


def _p_value(differences: Floats) -> float:
    defined = differences[~np.isnan(differences)]
    at_least_as_far = 1 + min(np.sum(defined <= 0), np.sum(defined >= 0))
    return min(1.0, float(2 * at_least_as_far / (len(defined) + 1)))


def _mcnemar(a: Predictions, b: Predictions) -> float | None:
    """McNemar 1947, exact: of the samples that one file gets right, is either's share one half?"""
    from scipy.stats import binomtest

    if a.space.multi_label or a.category_pred is None or b.category_pred is None:
        return None
    a_right, b_right = a.category_pred == a.category, b.category_pred == b.category
    only_a, only_b = int(np.sum(a_right & ~b_right)), int(np.sum(b_right & ~a_right))
    if only_a + only_b == 0:
        return 1.0
    return float(binomtest(only_b, only_a + only_b).pvalue)


def aligned(a: Predictions, b: Predictions) -> Predictions:
    """The second file in the order of the first one.

    Raises:
        ConfigError: They have other label spaces, samples or truths.
    """
    if a.space != b.space:
        raise ConfigError(
            f"files of {a.space.name} and {b.space.name} cannot be compared: "
            "evaluate both models on the same data"
        )
    row_a, row_b = ({x: row for row, x in enumerate(file.id.tolist())} for file in (a, b))
    for file, rows, other in ((a, row_a, row_b), (b, row_b, row_a)):
        which = "first" if file is a else "second"
        if len(rows) < len(file):
            raise ConfigError(f"the {which} file has {len(file) - len(rows)} ids twice")
        if missing := [x for x in rows if x not in other]:
            raise ConfigError(
                f"only the {which} file has sample {missing[0]} ({len(missing)} such samples of "
                f"{len(rows)}): compare predictions for the same split"
            )
    b = b.select(np.array([row_b[x] for x in row_a]))
    if a.category is not None and b.category is not None:
        differs = np.not_equal(a.category, b.category).reshape(len(a), -1)
        _check_truth(a, b, "category", differs)
    if a.affect_pred is not None and b.affect_pred is not None:
        differs = ~np.isclose(a.affect, b.affect, rtol=0, atol=_HALF_PRECISION, equal_nan=True)
        _check_truth(a, b, "affect", differs)
    return b


def _check_truth(
    a: Predictions,
    b: Predictions,
    name: Literal["category", "affect"],
    differs: npt.NDArray[np.bool_],
) -> None:
    if (differ := differs.any(axis=1)).any():
        row = int(np.flatnonzero(differ)[0])
        true_a, true_b = (getattr(file, name)[row].tolist() for file in (a, b))
        raise ConfigError(
            f"sample {a.id[row]}: the true {name} is {true_a} in the first file and {true_b} in "
            f"the second ({int(differ.sum())} such samples of {len(a)}): compare predictions for "
            "the same split"
        )
