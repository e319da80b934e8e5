"""Random numbers that depend on a key and on nothing else."""

from __future__ import annotations

import numpy as np


def sample_generator(*key: int) -> np.random.Generator:
    """A generator that is a pure function of its key, for example ``(seed, epoch, index)``.

    Neither the order of calls, the batch, the number of workers nor the device can change what a
    sample draws. Keys of different purposes should differ in length or in a leading constant.

    Args:
        key: Non-negative integers.

    Returns:
        A fresh generator at the start of its stream.
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))
