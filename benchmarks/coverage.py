"""How often intervals over seeds and test samples contain the truth, and how often tests err.

``python benchmarks/coverage.py`` writes coverage.csv and coverage.md beside itself; some minutes
on one core. In each experiment, runs of four settings are made up and tested on the same samples;
what they would score on the whole population, and on average over all seeds, is known. The scores
come from the scorers of the suite, and the intervals are those that `collect` shows, beside simpler
ones. Arousal varies more with the seeds than with the samples, valence less, accuracy as much.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.special import stdtrit
from scipy.stats import norm

from cage_lightning.labels import own_space
from cage_lightning.predictions.table import Floats, Predictions
from cage_lightning.scores import Scorer
from cage_lightning.scores.bootstrap import resample_weights, strata_of
from cage_lightning.scores.nested import Group, estimate
from cage_lightning.system.markdown import markdown_table

Design = Literal["one group", "paired", "not paired"]
Key = tuple[Design, int, str, str, bool]  # seeds, score, method, whether the settings differ
Outcome = tuple[Key, bool, float]  # whether the interval contains the truth, its width

EXPERIMENTS, RESAMPLES, SEEDS = 1000, 300, (3, 5, 10)
DIMENSIONS = ("valence", "arousal")
METRICS = ("accuracy", "ccc_valence", "ccc_arousal", "rmse_arousal")
JOINT = "seeds and samples"
METHODS = (JOINT, "with Satterthwaite's t", "percentile of both", "seeds alone", "samples alone")
SPACE = own_space("made up", ["a", "b", "c", "d"], DIMENSIONS)
PER_CATEGORY = 100
TRUE_MEANS, OFFSETS = np.array([-0.5, 0.3, 0.6, -0.1]), np.array([0.1, -0.1, 0.05, 0.0])
SD_TRUE, SD_PREDICTED, CORRELATION = 0.25, 0.2, 0.5
THRESHOLDS = norm.ppf([0.5, 0.6, 0.7, 0.8])  # of a category: the share that is recognised
# How far runs of a setting differ: in the threshold, and in the correlation of each dimension.
OF_RUNS = np.array([0.04, 0.02, 0.08])
# What the luck of a run with a sample is shared with: all runs, those of its setting, no other.
SHARES = np.sqrt([0.5, 0.15, 0.35])
ALIKE = 0.5  # correlation of what runs of the same seed are like
BETTER = 0.08


def truth(better: float) -> dict[str, float]:
    """What a setting scores on the whole population, in the mean over all seeds."""
    accuracy = norm.cdf((THRESHOLDS + better) / np.sqrt(1 + OF_RUNS[0] ** 2)).mean()
    x = TRUE_MEANS + OFFSETS
    covariance, distance = np.cov(x, TRUE_MEANS, ddof=0)[0, 1], OFFSETS.mean() ** 2
    whole = x.var() + SD_PREDICTED**2 + TRUE_MEANS.var() + SD_TRUE**2 + distance
    nodes, weights = np.polynomial.hermite_e.hermegauss(12)
    found = {"accuracy": float(accuracy)}
    for name, spread in zip(DIMENSIONS, OF_RUNS[1:], strict=True):
        correlation = CORRELATION + better + spread * nodes
        common = covariance + correlation * SD_TRUE * SD_PREDICTED
        for score, values in (
            ("ccc", 2 * common / whole),
            ("rmse", np.sqrt(whole - 2 * common)),
        ):
            found[f"{score}_{name}"] = float(np.average(values, weights=weights))
    return found


class Experiment:
    """Test samples, and runs of several settings that were tested on them."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._category = np.repeat(np.arange(4), PER_CATEGORY)
        n = len(self._category)
        self._common, self._luck = rng.normal(size=(2, n)), rng.normal(size=(3, n))
        self._means = TRUE_MEANS[self._category]

    def runs(self, like: Floats, better: float = 0.0) -> list[Predictions]:
        """Runs of a setting, each with three numbers that say what it is like, ``[S, 3]``."""
        of_setting = self._rng.normal(size=self._luck.shape)
        return [self._run(better + OF_RUNS * own, of_setting) for own in like]

    def _run(self, quality: Floats, of_setting: Floats) -> Predictions:
        own = self._rng.normal(size=self._luck.shape)
        luck = SHARES[0] * self._luck + SHARES[1] * of_setting + SHARES[2] * own
        correlation = CORRELATION + quality[1:, None]
        noise = correlation * self._common + np.sqrt(1 - correlation**2) * luck[1:]
        k = self._category
        right = luck[0] < THRESHOLDS[k] + quality[0]
        return Predictions(
            space=SPACE,
            id=np.arange(len(k)).astype(str),
            category=k,
            affect=(self._means + SD_TRUE * self._common).T,
            category_pred=np.where(right, k, (k + 1) % 4),
            probability=None,
            affect_pred=(self._means + OFFSETS[k] + SD_PREDICTED * noise).T,
        )


def groups(rng: np.random.Generator, seeds: int, resamples: int) -> list[dict[str, Group]]:
    """Four settings: the first, an equal and a better one of its seeds, an equal one of others."""
    experiment = Experiment(rng)
    first, other, *own = rng.normal(size=(4, seeds, 3))
    equal, better = (ALIKE * first + np.sqrt(1 - ALIKE**2) * mine for mine in own)
    settings = [(first, 0.0), (equal, 0.0), (better, BETTER), (other, 0.0)]
    files = [file for like, by in settings for file in experiment.runs(like, by)]
    drawn = resample_weights(len(files[0]), strata_of(files[0]), resamples, rng)
    weights = np.concatenate([np.ones((1, len(files[0]))), *drawn])
    scores = [Scorer(file)(weights) for file in files]  # the first ones are of the samples as drawn
    return [
        {
            metric: Group(range(seeds), found[:, 0], found[:, 1:], len(files[0]))
            for metric in METRICS
            for found in [np.stack([one[metric] for one in scores[start : start + seeds]])]
        }
        for start in range(0, len(files), seeds)
    ]


def limits(rng: np.random.Generator, *compared: Group) -> Iterator[tuple[str, float, float]]:
    """The interval of each method: of the mean of a group, or the second minus the first."""
    found = estimate(*compared)
    assert found is not None, "every resample defines the scores"
    yield JOINT, *found.interval()
    signs = (1,) if len(compared) == 1 else (-1, 1)
    nested, samples = np.zeros((2, compared[0].resampled.shape[1]))
    for sign, group in zip(signs, compared, strict=True):
        drawn = rng.integers(len(group.values), size=group.resampled.shape)
        nested += sign * np.take_along_axis(group.resampled, drawn, axis=0).mean(axis=0)
        samples += sign * group.resampled.mean(axis=0)
    of_nested, of_samples = np.quantile([nested, samples], [0.025, 0.975], axis=1).T
    yield METHODS[2], *of_nested
    parts = [(spread.variance / spread.n, spread.n - 1) for spread in found.spreads]
    variance = sum(part for part, _ in parts)
    uncertain = sum(part**2 / n for part, n in parts)
    both = uncertain + found.samples**2 / (found.units - 1)
    for method, whole, part in (
        (METHODS[1], found.error**2, both),
        (METHODS[3], variance, uncertain),
    ):
        half = stdtrit(whole**2 / part if part else 1.0, 0.975) * np.sqrt(whole)
        yield method, found.value - half, found.value + half
    yield METHODS[4], *of_samples


def compared(
    found: Sequence[Mapping[str, Group]], metric: str, seeds: int
) -> Iterator[tuple[Design, bool, tuple[Group, ...]]]:
    """What is estimated with the first seeds, and whether the settings differ."""
    first, equal, better, other = (group[metric].of(range(seeds)) for group in found)
    yield "one group", True, (first,)
    yield "paired", True, (better.minus(first),)
    yield "paired", False, (equal.minus(first),)
    yield "not paired", True, (other, better)
    yield "not paired", False, (other, first)


def outcomes(experiment: int, resamples: int, seeds: Sequence[int]) -> Iterator[Outcome]:
    """What each method does in an experiment, which has a number that decides it."""
    rng = np.random.default_rng(experiment)
    found = groups(rng, max(seeds), resamples)
    plain, better = truth(0.0), truth(BETTER)
    for metric in METRICS:
        for n in seeds:
            for design, differ, parts in compared(found, metric, n):
                value = (better[metric] - plain[metric]) * differ
                value = plain[metric] if design == "one group" else value
                for method, low, high in limits(rng, *parts):
                    key = (design, n, metric, method, differ)
                    yield key, bool(low <= value <= high), float(high - low)


def shares(found: Iterable[Outcome]) -> list[dict[str, Any]]:
    """The shares of experiments, a row for each design, number of seeds, score and method.

    Returns:
        ``coverage``: how often the interval contains the truth. ``error_rate``: how often it lacks
        0 where there is no difference; None for one group. ``width``: its mean width.
    """
    hits: dict[tuple[Any, ...], list[tuple[bool, float]]] = defaultdict(list)
    for key, inside, width in found:
        hits[key].append((inside, width))
    return [
        dict(zip(("design", "seeds", "score", "method"), key, strict=True))
        | {
            "experiments": len(row),
            "coverage": _share(row),
            "error_rate": 1 - _share(hits[*key, False]) if (*key, False) in hits else None,
            "width": float(np.mean([width for _, width in row])),
        }
        for (*key, differ), row in hits.items()
        if differ
    ]


def study(
    experiments: int, resamples: int = RESAMPLES, seeds: Sequence[int] = SEEDS
) -> list[dict[str, Any]]:
    """The `shares` of so many experiments."""
    numbers = range(experiments)
    return shares(outcome for k in numbers for outcome in outcomes(k, resamples, seeds))


def _share(row: Sequence[tuple[bool, float]]) -> float:
    return float(np.mean([inside for inside, _ in row]))


def written(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as Markdown: those of `JOINT`, and the range of all methods."""
    ours = [row for row in rows if row["method"] == JOINT]
    lines: dict[tuple[str, int], list[str]] = defaultdict(list)
    for row in sorted(ours, key=lambda row: METRICS.index(row["score"])):
        error = "" if row["error_rate"] is None else f" / {row['error_rate']:.1%}"
        lines[row["design"], row["seeds"]].append(f"{row['coverage']:.1%}{error}")
    table = markdown_table(
        ["", "seeds", *METRICS],
        [[design, str(seeds), *cells] for (design, seeds), cells in lines.items()],
    )
    ranges = markdown_table(
        ["interval", *(f"{n} seeds" for n in SEEDS)],
        [[method, *(_range(rows, method, n) for n in SEEDS)] for method in METHODS],
    )
    return (
        "# Coverage of 95 % intervals\n\n"
        f"{ours[0]['experiments']:,} experiments, {4 * PER_CATEGORY} test samples, {RESAMPLES} "
        "resamples: how often the interval over seeds and samples contains the truth / how often "
        f"it lacks 0 where there is no difference.\n\n{table}\n"
        "The lowest and the highest coverage of these rows, and the highest rate of errors, beside "
        f"those of simpler intervals:\n\n{ranges}"
    )


def _range(rows: Sequence[Mapping[str, Any]], method: str, seeds: int) -> str:
    ours = [row for row in rows if (row["method"], row["seeds"]) == (method, seeds)]
    covered = [row["coverage"] for row in ours]
    errors = max(row["error_rate"] for row in ours if row["error_rate"] is not None)
    return f"{min(covered):.1%} to {max(covered):.1%} / {errors:.1%}"


def write(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with (folder / "coverage.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    (folder / "coverage.md").write_text(written(rows), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent, study(EXPERIMENTS))
