"""Streams in Python draw the numbers of NumPy's generators, whatever they are asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cage_lightning.system.keyed_random import sample_generator, sample_generators

words = st.integers(0, 2**32 - 1)
calls = st.one_of(
    st.just(("random", ())),
    st.tuples(st.just("uniform"), st.tuples(st.floats(-9, 0), st.floats(0, 9) | st.integers(0, 9))),
    st.tuples(st.just("integers"), st.tuples(st.integers(1, 40) | st.integers(1, 2**40))),
    st.tuples(st.just("permutation"), st.tuples(st.integers(0, 9))),
)
# What a NumPy generator does in place of the stream, and whatever follows.
others = st.sampled_from(
    [
        ("random", (3,)),
        ("uniform", (0.0, 1.0, 2)),
        ("uniform", ()),
        ("integers", (2, 7)),
        ("permutation", ([5, 6, 7],)),
        ("standard_normal", ()),
        ("beta", (0.3, 0.3)),
    ]
)


def drawn(generator: np.random.Generator, called: list[tuple[str, tuple[Any, ...]]]) -> list[Any]:
    return [np.asarray(getattr(generator, name)(*args)).tolist() for name, args in called]


@given(
    key=st.lists(words, min_size=0, max_size=5),
    last=st.lists(words, min_size=1, max_size=4),
    called=st.lists(calls, max_size=30),
    more=st.lists(calls | others, max_size=8),
)
def test_streams_draw_what_numpy_draws(
    key: list[int], last: list[int], called: list[Any], more: list[Any]
) -> None:
    streams = sample_generators(key, last)
    assert len(streams) == len(last)
    for number, stream in zip(last, streams, strict=True):
        found = drawn(stream, [*called, *more])
        expected = drawn(sample_generator(*key, number), [*called, *more])
        assert found == expected


def test_a_key_beyond_32_bits_is_numpys() -> None:
    (stream,) = sample_generators((2**32, 1), [5])
    assert stream.random() == sample_generator(2**32, 1, 5).random()


def test_of_no_keys_there_are_no_streams() -> None:
    assert sample_generators((1, 2), []) == []
