"""Bootstrap intervals: how far scores would scatter over other samples of the same population."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cage_lightning.errors import ConfigError
from cage_lightning.predictions.table import Categories, Floats, Predictions
from cage_lightning.scores.scorer import COUNTS, Scorer, point_estimate
from cage_lightning.scores.videos import VIDEO, VideoScorer

TOGETHER = ("person", VIDEO, "picture")
"""Groups whose samples are no independent draws; the first that a file names is drawn whole."""
_CHUNK = 2**20  # weights at a time: 8 MiB


class Interval(NamedTuple):
    """A percentile interval.

    Attributes:
        low: Lower limit.
        high: Upper limit.
        undefined: Share of the resamples that do not define the score; the limits leave them out.
    """

    low: float
    high: float
    undefined: float


def strata_of(predictions: Predictions) -> Categories | None:
    """The true category ``[N]`` where there is exactly one, else None: one stratum.

    The test splits of AffectNet have a fixed number of samples of each category, so a resample has
    to have it too.
    """
    return None if predictions.space.multi_label else predictions.category


def resample_weights(
    n: int, strata: Categories | None, resamples: int, rng: np.random.Generator
) -> Iterator[Floats]:
    """How often each sample is drawn, with replacement.

    Args:
        n: Number of samples.
        strata: ``[N]``; the number of samples drawn from a stratum is its size. None: only one.
        resamples: Number of resamples.
        rng: Where the draws come from.

    Yields:
        ``[R, N]``, `resamples` rows in all.
    """
    groups = [np.arange(n)]
    if strata is not None:
        groups = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    chunk = max(1, _CHUNK // n)
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        weights = np.empty((rows, n))
        for members in groups:
            size = len(members)
            drawn = rng.integers(size, size=(rows, size))
            drawn += size * np.arange(rows)[:, None]
            counts = np.bincount(drawn.ravel(), minlength=rows * size)
            weights[:, members] = counts.reshape(rows, size)
        yield weights


def drawn_whole(predictions: Predictions) -> str | None:
    """The group of `TOGETHER` that is drawn as a whole; None where each sample is drawn by itself.

    That is so where the file names no such group, or only one person, video or picture.
    """
    for name in TOGETHER:
        known = np.unique(predictions.groups.get(name, ""))
        if np.count_nonzero(known != "") > 1:
            return name
    return None


def units_of(files: Sequence[Predictions]) -> npt.NDArray[np.int64] | None:
    """The number, from 0, of what each sample ``[N]`` of the files is drawn with.

    That is its person, video or picture (`drawn_whole`); a sample that names none is drawn alone.
    None where every sample is.
    """
    name = next((found for file in files if (found := drawn_whole(file)) is not None), None)
    if name is None:
        return None
    groups = next(file.groups[name] for file in files if name in file.groups)
    alone = np.flatnonzero(groups == "")
    _, unit = np.unique(groups, return_inverse=True)
    unit[alone] = unit.max() + 1 + np.arange(len(alone))
    return np.unique(unit, return_inverse=True)[1]


def drawn_weights(files: Sequence[Predictions], resamples: int, seed: int) -> Iterator[Floats]:
    """How often each sample of the files is drawn: by itself, or with its unit (`units_of`).

    Args:
        files: Predictions for the same samples in the same order.
        resamples: Number of resamples.
        seed: Seed of the random draws.

    Yields:
        ``[R, N]``, `resamples` rows in all.

    Raises:
        ConfigError: `resamples` is not positive.
    """
    if resamples < 1:
        raise ConfigError(f"resamples={resamples}: at least 1 is needed")
    rng, unit = np.random.default_rng(seed), units_of(files)
    if unit is None:
        strata = next((s for file in files if (s := strata_of(file)) is not None), None)
        yield from resample_weights(len(files[0]), strata, resamples, rng)
        return
    for weights in resample_weights(int(unit.max()) + 1, None, resamples, rng):
        yield from _spread(weights, unit)


def _spread(weights: Floats, unit: npt.NDArray[np.int64]) -> Iterator[Floats]:
    """Weights of units ``[R, U]`` as those of their samples ``[R, N]``, a few rows at a time."""
    rows = max(1, _CHUNK // len(unit))
    for start in range(0, len(weights), rows):
        yield weights[start : start + rows, unit]


def bootstrap(files: Sequence[Predictions], resamples: int, seed: int) -> list[dict[str, Floats]]:
    """The scores of resamples, the same resamples for all files.

    Args:
        files: Predictions for the same samples in the same order.
        resamples: Number of resamples.
        seed: Seed of the random draws.

    Where the files name the person, video or picture of their samples, these are drawn as a whole
    (`drawn_whole`; Field and Welsh, 2007, "Bootstrapping clustered data"), in whatever category;
    else samples within each category. The scores of `VideoScorer` are always those of whole videos.

    Returns:
        For each file float64 ``[resamples]`` by score, NaN where a resample does not define it.

    Raises:
        ConfigError: `resamples` is not positive.
    """
    scorers = [Scorer(file) for file in files]
    chunks = [
        [scorer(weights) for scorer in scorers] for weights in drawn_weights(files, resamples, seed)
    ]
    return [
        {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        | _of_videos(file, resamples, seed)
        for file, parts in zip(files, zip(*chunks, strict=True), strict=True)
    ]


def _of_videos(file: Predictions, resamples: int, seed: int) -> dict[str, Floats]:
    """The scores of the videos in resamples of them, the same for files with the same videos."""
    scorer = VideoScorer(file)
    if not scorer.count:
        return {}
    rng = np.random.default_rng(seed)
    parts = [scorer(weights) for weights in resample_weights(scorer.count, None, resamples, rng)]
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def percentile_interval(values: Floats, confidence: float) -> Interval | None:
    """The central `confidence` of the values ``[R]`` that are not NaN; None if there is none.

    >>> percentile_interval(np.array([*range(101), np.nan]), confidence=0.5)
    Interval(low=25.0, high=75.0, undefined=0.00980392156862...)

    Raises:
        ConfigError: `confidence` does not lie between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ConfigError(f"confidence={confidence}: choose a share between 0 and 1, as in 0.95")
    defined = values[~np.isnan(values)]
    if not len(defined):
        return None
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high), 1 - len(defined) / len(values))


def intervals(
    predictions: Predictions, resamples: int = 10_000, confidence: float = 0.95, seed: int = 0
) -> dict[str, Interval]:
    """Percentile bootstrap intervals of the scores that `point_estimate` has, but for the counts.

    Within each true category as many samples are drawn as there are (`strata_of`), or whole
    persons, videos or pictures where the file names them (`drawn_whole`).

    Args:
        predictions: The file.
        resamples: Number of resamples.
        confidence: Share of the resamples within the interval.
        seed: Seed of the random draws.

    Raises:
        ConfigError: `resamples` or `confidence` is out of range.
    """
    (scores,) = bootstrap([predictions], resamples, seed)
    found = {
        key: percentile_interval(scores[key], confidence)
        for key in point_estimate(predictions)
        if key not in COUNTS
    }
    return {key: interval for key, interval in found.items() if interval is not None}


def independent_units(predictions: Predictions) -> int:
    """How many samples, or groups of them (`drawn_whole`), are drawn independently."""
    name = drawn_whole(predictions)
    if name is None:
        return len(predictions)
    groups = predictions.groups[name]
    return int(np.count_nonzero(groups == "")) + len(np.unique(groups[groups != ""]))
