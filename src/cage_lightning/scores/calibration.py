"""Calibration: whether a prediction is right as often as its probability promises.

The confidence in a sample is the probability of its most probable category. Bin i of M = 15 holds
the samples with (i - 1) / M < confidence <= i / M. The expected calibration error is the sum over
the bins of n_i / n |accuracy_i - confidence_i|, with the mean accuracy and confidence of the
samples in the bin (Guo et al. 2017, equation 3).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cage_lightning.predictions.table import Categories, Floats
from cage_lightning.scores.ratio import ratio

BINS = 15
EDGES: Floats = np.linspace(0, 1, BINS + 1)
"""The limits of the bins, ``[BINS + 1]``."""


def bins_of(confidence: Floats) -> npt.NDArray[np.int64]:
    """The number of the bin of each confidence ``[N]`` in [0, 1], from 0.

    >>> bins_of(np.array([0.0, 1 / 15, 0.07, 1.0])).tolist()
    [0, 0, 1, 14]
    """
    return np.searchsorted(EDGES[1:-1], confidence)


def surplus(probability: Floats, true: Categories) -> Floats:
    """Correct (1 or 0) minus confidence of each sample, in the column of its bin.

    Args:
        probability: ``[N, K]``.
        true: The category ``[N]``.

    Returns:
        ``[N, BINS]``, 0 in all other columns.
    """
    confidence = probability.max(axis=1)
    difference = (probability.argmax(axis=1) == true) - confidence
    return np.asarray(np.eye(BINS)[bins_of(confidence)] * difference[:, None])


def calibration_error(sums: Floats, n: Floats) -> Floats:
    """The expected calibration error ``[R]``, NaN without a sample.

    >>> probability, true = np.array([[0.8, 0.2], [0.6, 0.4]]), np.array([0, 1])
    >>> of_each = surplus(probability, true)  # 0.2 in one bin, -0.6 in another
    >>> calibration_error(of_each.sum(axis=0)[None], np.array([2.0])).round(6).tolist()
    [0.4]

    Args:
        sums: The weighted sums of `surplus`, ``[R, BINS]``.
        n: The sums of the weights, ``[R]``.
    """
    return ratio(np.abs(sums).sum(axis=1), n)
