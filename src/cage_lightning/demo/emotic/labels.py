"""From a person's latent affect to the categories and affect that annotators report.

The constants are aggregated label statistics of EMOTIC, so the drawn persons have its frequent and
rare categories and its correlations between categories and affect.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cage_lightning.labels import EMOTIC

Affect = npt.NDArray[np.float64]
"""``[3]``: valence, arousal and dominance from 1 to 10."""

LATENT_MEAN = np.array([5.9, 5.7, 6.3])
LATENT_SD = np.array([1.2, 1.5, 1.2])
_CORRELATION = np.array([[1.0, 0.08, 0.30], [0.08, 1.0, 0.30], [0.30, 0.30, 1.0]])
_LATENT_ROOT = np.linalg.cholesky(_CORRELATION * np.outer(LATENT_SD, LATENT_SD))

ANNOTATORS = {"train": 1, "val": 5, "test": 3}
_ANNOTATOR_SD = 0.6
_UNRATED = 0.02  # share of train persons whose affect nobody rated
_REPORTED = 0.5  # chance that an annotator reports a category that applies

# The test split of EMOTIC: its persons, and mean and sd of their affect.
_TEST_PERSONS = 7_280
_TEST_MEAN, _TEST_SD = np.array([5.82, 5.71, 6.37]), np.array([1.20, 1.52, 1.24])

# For each category, in the order of the label space: the test persons it applies to, and their mean
# valence, arousal and dominance.
_CATEGORIES = np.array(
    [
        [977, 6.44, 5.33, 6.39],  # Affection
        [178, 4.63, 5.81, 5.92],  # Anger
        [356, 4.74, 5.28, 5.67],  # Annoyance
        [3_424, 5.73, 5.86, 6.45],  # Anticipation
        [222, 4.78, 5.19, 5.56],  # Aversion
        [3_453, 5.87, 6.28, 6.71],  # Confidence
        [331, 4.52, 5.27, 5.60],  # Disapproval
        [1_131, 5.33, 4.91, 6.04],  # Disconnection
        [905, 5.08, 5.69, 6.19],  # Disquietment
        [1_057, 5.26, 5.40, 6.19],  # Doubt/Confusion
        [137, 5.47, 5.30, 5.85],  # Embarrassment
        [5_631, 5.82, 5.79, 6.41],  # Engagement
        [993, 5.97, 5.84, 6.58],  # Esteem
        [3_490, 6.10, 6.19, 6.62],  # Excitement
        [430, 5.12, 5.09, 5.90],  # Fatigue
        [233, 4.76, 5.86, 5.63],  # Fear
        [3_491, 6.43, 5.53, 6.40],  # Happiness
        [143, 4.37, 5.27, 5.19],  # Pain
        [1_064, 5.96, 5.11, 6.42],  # Peace
        [2_110, 6.43, 5.62, 6.54],  # Pleasure
        [389, 4.16, 4.77, 5.12],  # Sadness
        [213, 4.85, 5.24, 5.79],  # Sensitivity
        [255, 3.83, 4.94, 4.85],  # Suffering
        [445, 5.90, 5.48, 6.16],  # Surprise
        [616, 5.86, 5.26, 6.34],  # Sympathy
        [471, 5.55, 5.50, 6.28],  # Yearning
    ]
)
_BASE_LOGIT = np.log(_CATEGORIES[:, 0] / (_TEST_PERSONS - _CATEGORIES[:, 0]))
_SLOPE = (_CATEGORIES[:, 1:] - _TEST_MEAN) / _TEST_SD**2

_GENDERS = {"Male": 0.64, "Female": 0.36}
_AGES = {"Adult": 0.85, "Teenager": 0.08, "Kid": 0.07}


class Report(NamedTuple):
    """The answers of one annotator: category indices, sorted, and valence, arousal, dominance."""

    categories: tuple[int, ...]
    affect: tuple[float, ...]
    """Whole numbers from 1 to 10, or NaN throughout."""


class Person(NamedTuple):
    """One person of a scene.

    Attributes:
        latent: What the drawing shows.
        reports: One per annotator.
        gender: As EMOTIC writes it.
        age: As EMOTIC writes it.
    """

    latent: Affect
    reports: tuple[Report, ...]
    gender: str
    age: str

    @property
    def categories(self) -> tuple[int, ...]:
        """Every category that some annotator reports, sorted."""
        return tuple(sorted({k for report in self.reports for k in report.categories}))

    @property
    def affect(self) -> tuple[float, ...]:
        """Rounded mean of the annotators."""
        means = np.mean([report.affect for report in self.reports], axis=0)
        return tuple(np.rint(means).tolist())


def draw_person(rng: np.random.Generator, split: str, required: int | None = None) -> Person:
    """A random person with the annotators of the split.

    Args:
        rng: Used for this person alone or for several in turn.
        split: A key of `ANNOTATORS`.
        required: A category that applies in any case, and that the first annotator reports.
    """
    latent = LATENT_MEAN + _LATENT_ROOT @ rng.standard_normal(len(LATENT_MEAN))
    applies = rng.random(len(EMOTIC.categories)) < category_probability(latent)
    if required is not None:
        applies[required] = True
    if not applies.any():
        applies[int(category_probability(latent).argmax())] = True
    reports = []
    for annotator in range(ANNOTATORS[split]):
        reported = applies & (rng.random(len(applies)) < _REPORTED)
        if required is not None and annotator == 0:
            reported[required] = True
        if not reported.any():
            reported[rng.choice(np.flatnonzero(applies))] = True
        noisy = latent + rng.normal(0.0, _ANNOTATOR_SD, len(latent))
        affect = np.clip(np.rint(noisy), *EMOTIC.native_range)
        if split == "train" and rng.random() < _UNRATED:
            affect[:] = np.nan
        reports.append(Report(tuple(np.flatnonzero(reported).tolist()), tuple(affect.tolist())))
    gender = str(rng.choice(list(_GENDERS), p=list(_GENDERS.values())))
    age = str(rng.choice(list(_AGES), p=list(_AGES.values())))
    return Person(latent, tuple(reports), gender, age)


def category_probability(latent: Affect) -> npt.NDArray[np.float64]:
    """Chance ``[26]`` that each category applies to a person of this affect.

    The log-odds of its base rate, and for each dimension what a Gaussian of the category's mean and
    the common deviation adds to them.
    """
    logit = _BASE_LOGIT + _SLOPE @ (latent - _TEST_MEAN)
    probability: npt.NDArray[np.float64] = 1 / (1 + np.exp(-logit))
    return probability
