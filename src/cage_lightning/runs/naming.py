"""How the name of a run folder is made from settings.

The rule for sweeps: the settings that a sweep chose, and that the name does not contain otherwise,
become the tag (`tag_of`). A tag that the user gives takes precedence.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

_LONGEST = 48  # characters of the readable part of a tag; a digest may follow
_DIGEST = 8  # hexadecimal digits
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
_NO_WORDS = {"true", "false", "null", "nan", "inf"}  # how values that are no texts are written
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_NAMES = ("runs", "group", "tag", "seed", "choices.data", "choices.model", "choices.loss")
_REFERENCE = re.compile(r"\$\{(?:hydra:runtime\.)?([\w.]+)\}")


def tag_of(settings: Mapping[str, Any]) -> str:
    """Return a tag for settings: at most 57 characters, safe in file names and on command lines.

    ``{"optimizer.lr": 1e-3, "augment": "none"}`` becomes ``augment-none-lr0.001``. A number follows
    the last part of its key directly, any other value follows a dash. The keys are sorted, and
    equal values give the same text (1 and 1.0). Different settings have different tags: where the
    readable text is not unique, a digest of all settings follows it.

    Args:
        settings: Values by key: numbers, texts, None, lists and mappings.
    """
    keys = sorted(settings)
    labels = _labels(keys)
    texts = [_text(settings[key]) for key in keys]
    readable = "-".join(
        f"{label}{text}" if _is_number(settings[key]) else f"{label}-{text}"
        for key, label, (text, _) in zip(keys, labels, texts, strict=True)
    )
    # A dash inside a text looks like the dash between two settings.
    dashes = any(isinstance(value, str) and "-" in value for value in settings.values())
    unique = all(exact for _, exact in texts) and not (dashes and len(keys) > 1)
    if unique and len(readable) <= _LONGEST and len(set(labels)) == len(keys):
        return readable
    return f"{readable[:_LONGEST]}-{_digest({key: settings[key] for key in keys})}"


def run_name(data: str, model: str, loss: str, seed: int, tag: str | None) -> str:
    """What a run folder is called: ``<data>-<model>-<loss>-s<seed>[-<tag>]``."""
    name = f"{data}-{name_of(model)}-{loss}-s{seed}"
    return name if tag is None else f"{name}-{tag}"


def name_of(text: str) -> str:
    """Return a text as part of a folder's name; different texts give different names."""
    readable, exact = _text(text)
    return text if exact else f"{readable}-{_digest(text)}"


def named_settings(config: DictConfig) -> set[str]:
    """Return the keys of the settings that the path of the run folder already contains.

    Args:
        config: The config of a training, not resolved: ``group=lr${optimizer.lr}`` contains the key
            ``optimizer.lr``.
    """
    raw: Any = OmegaConf.to_container(config, resolve=False)
    found, left = set[str](), list(_NAMES)
    while left:
        key = left.pop()
        if key not in found:
            found |= {key, key.removeprefix("choices.")}
            left += _REFERENCE.findall(str(_at(raw, key)))
    return found


def _at(node: Any, key: str) -> Any:
    """Return the value under a key with dots, or None if there is none."""
    for part in key.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def _labels(keys: Collection[str]) -> list[str]:
    """Return the last part of each key, or the whole key where two last parts are equal."""
    last = [re.split(r"[./]", key)[-1] for key in keys]
    labels = [key if last.count(end) > 1 else end for key, end in zip(keys, last, strict=True)]
    return [_UNSAFE.sub(".", label) for label in labels]


def _text(value: Any) -> tuple[str, bool]:
    """Return a value as readable text, and whether no other value has the same text."""
    value = plain(value)
    if isinstance(value, str):
        exact = _PLAIN.fullmatch(value) is not None and value.lower() not in _NO_WORDS
        return (_UNSAFE.sub("_", value).strip("_-.") or "text"), exact
    if isinstance(value, list) and len(value) > 1 and all(_is_number(one) for one in value):
        return "_".join(_text(one)[0] for one in value), True
    if isinstance(value, list | dict):
        return _text(json.dumps(value))[0], False
    return json.dumps(value).replace("+", ""), True


def plain(value: Any) -> Any:
    """Return the same value for equal settings: 1 for 1.0, 0 for -0.0, a list for a tuple."""
    if isinstance(value, Mapping):
        return {str(key): plain(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(plain(value)).encode()).hexdigest()[:_DIGEST]
