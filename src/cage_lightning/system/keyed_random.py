"""Random numbers that depend on a key of integers and on nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint32]
_Long = npt.NDArray[np.uint64]

# Constants of NumPy's SeedSequence (after O'Neill's randutils) and of PCG64.
_INIT_A, _FACTOR_A = 0x43B0D7E5, 0x931E8875
_INIT_B, _FACTOR_B = 0x8B51F9DD, 0x58F38DED
_OWN, _OTHER = np.uint32(0xCA01F9DD), np.uint32(0x4973F715)
_HALF = np.uint32(16)
_POOL = 4
_MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645
_NUMBER = (float, int)
_32, _64, _128 = (1 << 32) - 1, (1 << 64) - 1, (1 << 128) - 1


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


def sample_generators(key: Sequence[int], last: Sequence[int]) -> list[np.random.Generator]:
    """``[sample_generator(*key, number) for number in last]``, in a fraction of the time.

    Args:
        key: Non-negative integers.
        last: The last part of each key: non-negative integers.

    Returns:
        What draws the same numbers as these generators, in Python: see `_Stream`.
    """
    if max((*key, *last), default=0) > _32:
        return [sample_generator(*key, number) for number in last]
    words = [np.full(len(last), number, np.uint32) for number in key]
    state = _state([*words, np.array(last, np.uint32)])
    streams = (_Stream(a << 64 | b, c << 64 | d) for a, b, c, d in zip(*state, strict=True))
    return [cast(np.random.Generator, stream) for stream in streams]


class _Stream:
    """The numbers that a NumPy generator with PCG64 draws, without the cost of making one.

    For a handful of numbers, that cost is several times as high as that of drawing them. Methods
    and arguments that are not here come from a NumPy generator that takes over at this place.

    Args:
        start: First half of the seed, 128 bits.
        sequence: Second half, likewise.
    """

    def __init__(self, start: int, sequence: int) -> None:
        self._step = (sequence << 1 | 1) & _128
        self._state = ((self._step + start) * _MULTIPLIER + self._step) & _128
        self._half: int | None = None

    def random(self, *args: Any, **kwargs: Any) -> Any:
        """As of `numpy.random.Generator`; likewise all others."""
        if args or kwargs:
            return self._numpy().random(*args, **kwargs)
        return (self._next() >> 11) * 2.0**-53

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
        if (
            size is not None
            or not isinstance(low, float | int)
            or not isinstance(high, float | int)
        ):
            return self._numpy().uniform(low, high, size)
        return low + (high - low) * ((self._next() >> 11) * 2.0**-53)

    def integers(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs or len(args) != 1 or type(args[0]) is not int or not 0 < args[0] <= _32:
            return self._numpy().integers(*args, **kwargs)
        return self._below(args[0])

    def permutation(self, x: Any, axis: int = 0) -> Any:
        if not isinstance(x, int):
            return self._numpy().permutation(x, axis)
        order = list(range(x))
        for last in range(x - 1, 0, -1):
            other = self._up_to(last)
            order[last], order[other] = order[other], order[last]
        return np.array(order)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._numpy(), name)

    def _next(self) -> int:
        """64 bits: XSL-RR of the next state."""
        state = self._state = (self._state * _MULTIPLIER + self._step) & _128
        word, turn = (state >> 64 ^ state) & _64, state >> 122
        return (word >> turn | word << 64 - turn) & _64

    def _next_half(self) -> int:
        """32 bits; of 64 the lower half first."""
        if self._half is None:
            whole = self._next()
            self._half = whole >> 32
            return whole & _32
        half, self._half = self._half, None
        return half

    def _below(self, limit: int) -> int:
        """A whole number from 0 to ``limit - 1``, by Lemire's method in 32 bits."""
        if limit == 1:
            return 0
        product = self._next_half() * limit
        if product & _32 < limit:
            least = (_32 + 1 - limit) % limit
            while product & _32 < least:
                product = self._next_half() * limit
        return product >> 32

    def _up_to(self, largest: int) -> int:
        """A whole number from 0 to `largest`: bits of 32, drawn again where they are too large."""
        mask = (1 << largest.bit_length()) - 1
        while (number := self._next_half() & mask) > largest:
            pass
        return number

    def _numpy(self) -> np.random.Generator:
        """A NumPy generator at this place of the stream, which draws everything from now on."""
        bits = np.random.PCG64(0)
        bits.state = {
            "bit_generator": "PCG64",
            "state": {"state": self._state, "inc": self._step},
            "has_uint32": int(self._half is not None),
            "uinteger": self._half or 0,
        }
        generator = np.random.Generator(bits)
        self.__dict__["_numpy"] = lambda: generator
        for name in ("random", "uniform", "integers", "permutation"):
            self.__dict__[name] = getattr(generator, name)
        return generator


class _Hash:
    """The hash of SeedSequence, whose constants go on from call to call."""

    def __init__(self, constant: int, factor: int) -> None:
        self._constant, self._factor = constant, factor

    def __call__(self, words: Words) -> Words:
        words = words ^ np.uint32(self._constant)
        self._constant = self._constant * self._factor & _32
        words = words * np.uint32(self._constant)
        return words ^ words >> _HALF


def _state(entropy: Sequence[Words]) -> list[list[int]]:
    """``SeedSequence(key).generate_state(4, np.uint64)`` of many keys: four lists ``[N]``.

    Args:
        entropy: The first parts of all keys, the second ones, ...: ``[N]`` each.
    """
    scramble, padding = _Hash(_INIT_A, _FACTOR_A), np.zeros_like(entropy[0])
    first = [*entropy, *[padding] * _POOL][:_POOL]
    pool = [scramble(words) for words in first]
    for source in range(_POOL):
        for target in range(_POOL):
            if source != target:
                pool[target] = _mixed(pool[target], scramble(pool[source]))
    for words in entropy[_POOL:]:
        pool = [_mixed(own, scramble(words)) for own in pool]
    spread = _Hash(_INIT_B, _FACTOR_B)
    halves = [spread(pool[place % _POOL]).astype(np.uint64) for place in range(2 * _POOL)]
    wide: list[_Long] = [
        low | high << np.uint64(32) for low, high in zip(halves[::2], halves[1::2], strict=True)
    ]
    return [words.tolist() for words in wide]


def _mixed(own: Words, other: Words) -> Words:
    mixed: Words = own * _OWN - other * _OTHER
    return mixed ^ mixed >> _HALF
