"""The settings of a node of the config against the signature of what its `_target_` names."""

from __future__ import annotations

import inspect
import json
import math
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hydra._internal.utils import _locate as locate
from omegaconf import DictConfig, ListConfig, OmegaConf

from cage_lightning.errors import ConfigError

_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    NoneType: "null",
}


def check_settings(node: Any, given: Collection[str] = (), place: str | None = None) -> None:
    """Refuse what a node sets beyond its signature or of another type than annotated.

    Parameters without an annotation, and types that no yaml can express, are not checked.

    Args:
        node: With a `_target_`, or a container of such nodes; anything else is passed over.
        given: Settings that something else takes the place of.
        place: The key of the node, with dots; by default where it stands in its config.

    Raises:
        ConfigError: Names the key, its value and what is needed.
    """
    if not isinstance(node, (DictConfig, ListConfig)) or node._is_none():
        return
    place = key_of(node) if place is None else place
    if isinstance(node, DictConfig) and node.get("_target_") is not None:
        _check_values(node, given, place)
    keys: list[Any] = [*node] if isinstance(node, DictConfig) else [*range(len(node))]
    for key in keys:
        if not OmegaConf.is_missing(node, key):
            check_settings(node[key], place=f"{place}.{key}" if place else str(key))


def taken_by(node: DictConfig) -> tuple[str, ...]:
    """The names of the settings that what a node's `_target_` names takes.

    Raises:
        ConfigError: It names no class or function.
    """
    parameters, _ = _parameters(_locate(f"{key_of(node)}._target_", node.get("_target_")))
    return tuple(parameters)


def key_of(node: Any) -> str:
    """Where a node stands in its config, with dots."""
    key: str = node._get_full_key(None)
    return re.sub(r"\[(\d+)\]", r".\1", key)


def _check_values(node: DictConfig, given: Collection[str], place: str) -> None:
    target = _locate(f"{place}._target_", node["_target_"])
    parameters, takes_more = _parameters(target)
    for name in (str(key) for key in node if key not in given and not str(key).startswith("_")):
        key = f"{place}.{name}"
        if OmegaConf.is_missing(node, name):
            raise ConfigError(f"{key}=... is needed; --help shows how")
        if name not in parameters and not takes_more:
            raise ConfigError(
                f"there is no setting '{key}': {target.__name__} takes {', '.join(parameters)}"
            )
        value = node[name]
        plain = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
        default, annotation = parameters.get(name, (None, Any))
        if plain != default and not _has_target(plain) and not _accepts(annotation, plain):
            raise ConfigError(f"{key}={shown(plain)}: {_in_words(annotation)} is needed")


def _locate(key: str, name: Any) -> Any:
    if not isinstance(name, str):
        raise ConfigError(f"{key}={shown(name)}: the name of a class or function is needed")
    try:
        found = locate(name)
    except Exception as error:
        raise ConfigError(f"{key}={shown(name)}: there is no such class or function") from error
    if not callable(found):
        raise ConfigError(f"{key}={shown(name)} is neither a class nor a function")
    return found


def shown(value: Any) -> str:
    """A value as it is typed."""
    if isinstance(value, str):
        return value
    plain = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
    return json.dumps(plain, ensure_ascii=False, default=str)


def _parameters(target: Any) -> tuple[dict[str, tuple[Any, Any]], bool]:
    """Default and annotation of each parameter, and whether it takes further ones by name."""
    found: dict[str, tuple[Any, Any]] = {}
    takes_more = [True]
    for function in _called(target):
        hints = _hints(function)
        kinds = inspect.signature(function).parameters.values()
        for one in kinds:
            if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL) and one.name != "self":
                found.setdefault(one.name, (one.default, hints.get(one.name, Any)))
        takes_more.append(any(one.kind is one.VAR_KEYWORD for one in kinds))
        if not takes_more[-1]:
            break
    # Further ones may go elsewhere than to the base class: what takes any refuses none here.
    return found, takes_more[1] if len(takes_more) > 1 else True


def _called(target: Any) -> Iterator[Callable[..., Any]]:
    """What the settings go to: a function, or the constructors of a class and its bases."""
    if not isinstance(target, type):
        yield target
        return
    for base in target.__mro__[:-1]:
        if "__init__" in vars(base):
            yield vars(base)["__init__"]


def _hints(function: Any) -> dict[str, Any]:
    try:
        return get_type_hints(function)
    except (NameError, TypeError, AttributeError):  # annotations for type checkers alone
        return {}


def _has_target(value: Any) -> bool:
    """Whether it becomes an object, or contains what does."""
    if isinstance(value, dict):
        return "_target_" in value or any(map(_has_target, value.values()))
    return isinstance(value, list) and any(map(_has_target, value))


def _accepts(annotation: Any, value: Any) -> bool:
    """Whether a plain value has the annotated type; true where that cannot be told."""
    if annotation is Any:  # a class since Python 3.11, but none for isinstance
        return True
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return any(_accepts(one, value) for one in arguments)
    if origin is Literal:
        return any(value == one and type(value) is type(one) for one in arguments)
    kind = origin or annotation
    if kind is NoneType:
        return value is None
    if not isinstance(kind, type) or kind.__name__ == "Callable":
        return True
    if kind in (int, float):
        number = isinstance(value, int if kind is int else (int, float))
        return number and not isinstance(value, bool) and not math.isnan(value)
    if issubclass(kind, os.PathLike):
        return isinstance(value, str)
    if _is_container(kind):
        return _accepts_items(kind, arguments, value)
    return isinstance(value, kind)


def _is_container(kind: type) -> bool:
    """Whether it is one of Python's own; a tensor has items as well, but no list becomes one."""
    return kind in (list, tuple, dict) or kind.__module__ == "collections.abc"


def _accepts_items(kind: type, arguments: tuple[Any, ...], value: Any) -> bool:
    if issubclass(kind, Mapping):
        return isinstance(value, dict)
    if not isinstance(value, list):
        return False
    if kind is tuple and Ellipsis not in arguments and arguments:
        return len(arguments) == len(value) and all(map(_accepts, arguments, value))
    return all(_accepts(arguments[0], item) for item in value) if arguments else True


def _in_words(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        words = dict.fromkeys(_in_words(one) for one in arguments if _from_yaml(one))
        if _WORDS[float] in words:
            words.pop(_WORDS[int], None)
        return " or ".join(words)
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    kind = origin or annotation
    if not _is_container(kind):
        return "a text" if issubclass(kind, os.PathLike) else _WORDS.get(kind, kind.__name__)
    if issubclass(kind, Mapping):
        return "a mapping"
    items = ", ".join(_in_words(one) for one in arguments if one is not Ellipsis)
    return f"a list ({items})" if items else "a list"


def _from_yaml(annotation: Any) -> bool:
    """Whether a value of this type can be written into a config."""
    kind = get_origin(annotation) or annotation
    if kind in (*_WORDS, Literal, Union, UnionType):
        return True
    return isinstance(kind, type) and (_is_container(kind) or issubclass(kind, os.PathLike))
