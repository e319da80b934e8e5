"""Reading of the tensors in a pickle without unpickling it.

A pickle is a program for a small machine with a stack. Python's own machine imports what the
program names and calls it. The one here has no import and no call: a class or function that the
program names is kept as its name, and what the program would make by calling it is kept as an
`Inert` object. The only results of calls that are understood are plain containers and tensors, and
of a tensor only the description: which part of which storage it is.
"""

from __future__ import annotations

import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partialmethod
from typing import IO, Any, NamedTuple


class Name(NamedTuple):
    """The name of a class or function, which nobody imports."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Storage(NamedTuple):
    """A storage beside the pickle: the name of its type, its key, and its number of elements."""

    type: str
    key: str
    elements: int


class Described(NamedTuple):
    """A tensor as a part of a storage; offset and strides count elements."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass(eq=False)
class Inert:
    """What a call would have returned: the state that it would have got, and no behaviour."""

    state: Any = None


@dataclass
class Content:
    """What a pickle describes.

    Attributes:
        value: Plain values and containers, `Described`, `Storage`, `Name` and `Inert`.
        foreign: The names of what is neither a container nor a tensor, in their order.
        storages: The storages beside it, by key.
    """

    value: Any
    foreign: tuple[Name, ...]
    storages: dict[str, Storage]


def read_inert(stream: IO[bytes]) -> Content:
    """Read one pickle, without calling or importing anything that it names.

    Args:
        stream: Bytes in memory; afterwards it stands behind the pickle.

    Raises:
        ValueError: This is no pickle, or one that does what PyTorch's do not.
    """
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            machine.step(opcode.name, argument)
        return Content(machine.stack.pop(), tuple(machine.foreign), machine.storages)
    except (IndexError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no sound pickle ({type(error).__name__})") from error


_MAPPINGS = (Name("collections", "OrderedDict"), Name("collections", "defaultdict"))
_SETS = (Name("builtins", "set"), Name("__builtin__", "set"))
_TENSORS = (Name("torch._utils", "_rebuild_tensor_v2"), Name("torch._utils", "_rebuild_tensor"))
_PARAMETERS = (
    Name("torch._utils", "_rebuild_parameter"),
    Name("torch._utils", "_rebuild_parameter_with_state"),
)
_UNDERSTOOD = frozenset((*_MAPPINGS, *_SETS, *_TENSORS, *_PARAMETERS))

_EMPTY: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_SET": list,  # its elements need not be hashable here
    "EMPTY_DICT": dict,
}
_LITERALS = frozenset(
    opcode.name
    for opcode in pickletools.opcodes
    if opcode.arg is not None and not opcode.stack_before and len(opcode.stack_after) == 1
) - {"GLOBAL", "PERSID", "GET", "BINGET", "LONG_BINGET", "EXT1", "EXT2", "EXT4"}
_MOST_ELEMENTS = 2**40  # with a stride of 0 a tensor may be larger than its storage
_KEYS = (str, int, float, bytes, type(None))


@dataclass
class _Machine:
    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    foreign: dict[Name, None] = field(default_factory=dict)  # an ordered set
    storages: dict[str, Storage] = field(default_factory=dict)

    def step(self, name: str, argument: Any) -> None:
        if name in _LITERALS:
            self.stack.append(argument)
        elif name in _EMPTY:
            self.stack.append(_EMPTY[name]())
        elif name not in ("PROTO", "FRAME", "STOP"):
            step = getattr(self, f"_{name.lower()}", None)
            if step is None:
                raise ValueError(f"the pickle has the operation {name}")
            step(argument)

    def _since_mark(self) -> list[Any]:
        start = self.marks.pop()
        above = self.stack[start:]
        del self.stack[start:]
        return above

    def _named(self, name: Name) -> None:
        storage = name.module in ("torch", "torch.storage") and name.name.endswith("Storage")
        if name not in _UNDERSTOOD and not storage:
            self.foreign[name] = None
        self.stack.append(name)

    def _mark(self, _: None) -> None:
        self.marks.append(len(self.stack))

    def _pop(self, _: None) -> None:
        (self.marks if self.marks[-1:] == [len(self.stack)] else self.stack).pop()

    def _pop_mark(self, _: None) -> None:
        self._since_mark()

    def _dup(self, _: None) -> None:
        self.stack.append(self.stack[-1])

    def _put(self, key: int) -> None:
        self.memo[key] = self.stack[-1]

    def _memoize(self, _: None) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _get(self, key: int) -> None:
        self.stack.append(self.memo[key])

    _binput = _long_binput = _put
    _binget = _long_binget = _get

    def _tuple(self, _: None) -> None:
        self.stack.append(tuple(self._since_mark()))

    def _last(self, count: int, _: None) -> None:
        last = tuple(self.stack[-count:])
        del self.stack[-count:]
        self.stack.append(last)

    _tuple1 = partialmethod(_last, 1)
    _tuple2 = partialmethod(_last, 2)
    _tuple3 = partialmethod(_last, 3)

    def _list(self, _: None) -> None:
        self.stack.append(self._since_mark())

    _frozenset = _list

    def _dict(self, _: None) -> None:
        values = self._since_mark()
        self.stack.append({})
        self._store(values)

    def _appends(self, _: None) -> None:
        values = self._since_mark()
        if isinstance(target := self.stack[-1], list):
            target.extend(values)

    _additems = _appends

    def _append(self, _: None) -> None:
        value = self.stack.pop()
        if isinstance(target := self.stack[-1], list):
            target.append(value)

    def _setitems(self, _: None) -> None:
        self._store(self._since_mark())

    def _setitem(self, _: None) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._store([key, value])

    def _store(self, values: list[Any]) -> None:
        """Keys and values in turn, into the mapping on top; only plain keys are kept."""
        # Hashing a tuple of tuples of tuples... would overflow the stack of the process.
        if isinstance(target := self.stack[-1], dict):
            pairs = zip(values[::2], values[1::2], strict=True)
            target.update((key, value) for key, value in pairs if isinstance(key, _KEYS))

    def _global(self, argument: str) -> None:
        self._named(Name(*argument.split(" ", 1)))

    def _stack_global(self, _: None) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise ValueError("the pickle names something by what is no text")
        self._named(Name(module, name))

    def _reduce(self, _: None) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        self.stack.append(_result(function, arguments))

    def _instead_of(self, count: int, _: None) -> None:
        del self.stack[-count:]
        self.stack.append(Inert())

    _newobj = partialmethod(_instead_of, 2)
    _newobj_ex = partialmethod(_instead_of, 3)

    def _inst(self, argument: str) -> None:
        self._since_mark()
        self._global(argument)
        self.stack[-1] = Inert()

    def _obj(self, _: None) -> None:
        self._since_mark()
        self.stack.append(Inert())

    def _build(self, _: None) -> None:
        state = self.stack.pop()
        if isinstance(target := self.stack[-1], Inert):
            target.state = state

    def _binpersid(self, _: None) -> None:
        there = _persistent(self.stack.pop())
        self.stack.append(there)
        if isinstance(there, Storage):
            self.storages[there.key] = there


def _result(function: Any, arguments: Any) -> Any:
    """What a call that is understood returns; an inert object in the place of any other."""
    if not isinstance(function, Name) or not isinstance(arguments, tuple):
        return Inert()
    if function in _MAPPINGS:
        return {}
    if function in _SETS:
        return list(arguments[0]) if arguments and isinstance(arguments[0], list) else []
    if function in _PARAMETERS and arguments:
        return arguments[0]
    if function in _TENSORS:
        return _described(*arguments[:4])
    return Inert()


def _described(storage: Any, offset: Any, size: Any, stride: Any) -> Described:
    """A tensor, all of which lies inside its storage.

    Raises:
        ValueError: It does not.
    """
    numbers = (offset, *size, *stride)
    if not isinstance(storage, Storage) or not all(type(x) is int and x >= 0 for x in numbers):
        raise ValueError("a tensor is not described by a storage and counts")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if (0 not in size and last >= storage.elements) or math.prod(size) > _MOST_ELEMENTS:
        raise ValueError("a tensor reaches beyond its storage")
    return Described(storage, offset, tuple(size), tuple(stride))


def _persistent(identity: Any) -> Any:
    """What lies beside the pickle: a storage, or the class of a network with its source."""
    kind, *rest = identity
    if kind == "module" and rest and isinstance(rest[0], Name):
        return rest[0]
    if kind != "storage" or len(rest) < 4 or any(more is not None for more in rest[4:]):
        raise ValueError("the pickle refers to something that is no storage")
    of, key, _, elements = rest[:4]
    if not (isinstance(of, Name) and isinstance(key, str) and type(elements) is int):
        raise ValueError("the pickle refers to a storage that it does not describe")
    return Storage(of.name, key, elements)
