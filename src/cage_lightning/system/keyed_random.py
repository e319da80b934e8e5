"""Random numbers that depend on a key of integers and on nothing else."""

from __future__ import annotations

import numpy as np


def derived_seed(*key: int) -> int:
    """A 63-bit seed from a key of integers; keys that differ give independent streams."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)


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
