"""The one division of the scores."""

from __future__ import annotations

import numpy as np

from cage_lightning.predictions.table import Floats


def ratio(numerator: Floats, denominator: Floats, otherwise: float = np.nan) -> Floats:
    """The quotient of two arrays that broadcast; `otherwise` where the denominator is 0.

    >>> ratio(np.array([1.0, 0.0]), np.array([2.0, 0.0]), otherwise=1).tolist()
    [0.5, 1.0]
    """
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    quotient = np.full(numerator.shape, otherwise, np.float64)
    np.divide(numerator, denominator, out=quotient, where=denominator != 0)
    return quotient
