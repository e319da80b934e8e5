"""A pickle of a stranger is read without importing or calling anything, or it is refused."""

from __future__ import annotations

import io
import pickle
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cage_lightning.models.inert_pickle import Described, Inert, Name, Storage, read_inert
from tests.untouched import untouched


def read(data: bytes) -> Any:
    return read_inert(io.BytesIO(data)).value


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_are_what_they_were(protocol: int) -> None:
    value: dict[str, Any] = {
        "a": [1, 2.5, None, True, "é\n", b"b", 10**30],
        "b": ((), (1,), (1, 2, 3, 4), {}),
    }
    value["c"] = value["a"]
    found = read(pickle.dumps(value, protocol))
    if protocol < 3:  # bytes are made by a call there
        found["a"][5] = b"b"
    assert found == value
    assert found["c"] is found["a"]


COMMAND = b"X\x09\x00\x00\x00touch ran"
ATTACKS = {
    "reduce": b"cposix\nsystem\n" + COMMAND + b"\x85R.",
    "by text": b"\x8c\x05posix\x8c\x06system\x93" + COMMAND + b"\x85R.",
    "instance": b"(" + COMMAND + b"iposix\nsystem\n.",
    "object": b"(cposix\nsystem\n" + COMMAND + b"o.",
    "new object": b"cposix\nsystem\n" + COMMAND + b"\x85\x81.",
    "new object with keywords": b"cposix\nsystem\n" + COMMAND + b"\x85}\x92.",
    "from memory": b"cposix\nsystem\n\x940h\x00" + COMMAND + b"\x85R.",
    "of a getter": b"cbuiltins\ngetattr\ncposix\nsystem\nX\x08\x00\x00\x00__call__\x86R"
    + COMMAND
    + b"\x85R.",
    "state": b"cbuiltins\nobject\n)\x81}X\x0c\x00\x00\x00__setstate__cposix\nsystem\nsb.",
}


@pytest.mark.parametrize("kind", ATTACKS)
def test_what_an_attack_would_make_is_inert(kind: str, tmp_path: Path) -> None:
    with untouched(tmp_path):
        content = read_inert(io.BytesIO(ATTACKS[kind]))
    assert type(content.value) is Inert
    assert Name("posix", "system") in content.foreign


REFUSED = {
    "extension": b"\x82\x01.",
    "buffer": b"\x97.",
    "empty stack": b"0.",
    "nothing": b"",
    "no end": b"N",
    "memory that nobody wrote": b"h\x05.",
    "no mark": b"t.",
    "other reference": b"X\x04\x00\x00\x00file\x85Q.",
    "long text": b"X\xff\xff\xff\xff.",
    "huge number": b"I" + b"9" * 10_000 + b"\n.",
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_pytorch_does_not_write_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(REFUSED[kind])


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(ValueError):
        read(data + b".")


class Stored:
    """A storage of six numbers beside the pickle."""


class AnyTensor:
    """A tensor of any description."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __reduce__(self) -> Any:
        return torch._utils._rebuild_tensor_v2, (Stored(), *self.arguments)


class Pickler(pickle.Pickler):
    def persistent_id(self, one: Any) -> Any:
        identity = ("storage", torch.FloatStorage, "0", "cpu", 6)
        return identity if isinstance(one, Stored) else None


def tensor(*arguments: Any) -> bytes:
    """A pickle of a tensor, as torch writes it."""
    Pickler(stream := io.BytesIO(), 2).dump(AnyTensor(*arguments))
    return stream.getvalue()


def test_a_tensor_is_a_part_of_its_storage() -> None:
    found = read(tensor(1, (2, 2), (2, 1), False))
    assert found == Described(Storage("FloatStorage", "0", 6), 1, (2, 2), (2, 1))


@pytest.mark.parametrize(
    "arguments",
    [
        (3, (2, 2), (2, 1)),
        (-1, (2,), (1,)),
        (0, (2, -2), (1, 1)),
        (0, (7,), (1,)),
        (0, (2,), (10**30,)),
        (0, (10**15,), (0,)),
        (0, (2, 2), (1,)),
        (0.0, (2,), (1,)),
        (0, (True,), (1,)),
        (0, None, None),
        (0,),
    ],
)
def test_a_tensor_that_reaches_beyond_its_storage_is_refused(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(tensor(*arguments))


def test_depth_does_not_overflow_the_stack_of_the_process() -> None:
    deep = b"N" + b"\x85" * 100_000
    found = read(b"}" + deep + b"Ns.")
    assert found == {}  # hashing the key would have gone 100,000 calls deep
    read(b"]" * 30_000 + b"a" * 29_999 + b".")
    read(b"cx\ny\n)\x81" * 30_000 + b"b" * 29_999 + b".")
