"""Loading of weights from files into networks. No file is trusted: only tensors are unpickled."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from cage_lightning.errors import CheckpointError
from cage_lightning.models.published import recognise

logger = logging.getLogger(__name__)

_NETWORK_PREFIX = "network."  # the attribute of our LightningModules that holds the network


@dataclass(frozen=True)
class LoadReport:
    """The result of `load_weights`.

    Attributes:
        head_loaded: Whether the head was loaded; the backbone always is.
        left_out: Head tensors of the file that were not loaded.
    """

    head_loaded: bool
    left_out: tuple[str, ...]


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a network from a file, onto the CPU.

    Accepts a bare state dict (``.pt``, ``.pth``, ``.safetensors``) and a Lightning checkpoint of
    this suite, from which it takes the tensors of the network and drops the prefix ``network.``.

    Args:
        path: The file.

    Returns:
        Tensors by name.

    Raises:
        CheckpointError: The file is missing or unreadable, contains something else than tensors, or
            contains Python objects, which could run code.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no weight file {path}")
    try:
        content: Any
        if path.suffix == ".safetensors":
            content = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        if code := re.search(r"GLOBAL (\S+)", str(error)):
            raise CheckpointError(
                f"{path} holds the Python object {code[1]}, which could run code, so it is not "
                "loaded: save the weights alone with torch.save(model.state_dict(), FILE)"
            ) from error
        raise _unreadable(path) from error
    # torch reports damaged files by many kinds of errors: KeyError, EOFError, RuntimeError...
    except Exception as error:
        raise _unreadable(path) from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not content:
        raise CheckpointError(f"{path} holds no state dict")
    network = {
        name.removeprefix(_NETWORK_PREFIX): tensor
        for name, tensor in content.items()
        if isinstance(name, str) and name.startswith(_NETWORK_PREFIX)
    }
    state_dict = network or dict(content)  # a plain dict drops the metadata of a state dict
    for name, value in state_dict.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise CheckpointError(
                f"{path} holds no state dict: its entry {name!r} is a {type(value).__name__}, "
                "not a tensor"
            )
    return state_dict


def _unreadable(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path} is damaged or no weight file: give a state dict or a checkpoint of this suite"
    )


def head_of(network: nn.Module) -> tuple[str, ...]:
    """Return the names of the submodules that map features to outputs.

    torchvision calls the head ``classifier``, ``head``, ``heads`` or ``fc``. Networks of timm
    return it from ``get_classifier``; distilled ones return two.
    """
    if callable(get_classifier := getattr(network, "get_classifier", None)):
        found = get_classifier()
        heads = found if isinstance(found, tuple) else (found,)
        return tuple(
            name for name, module in network.named_modules() if any(module is h for h in heads)
        )
    return tuple(name for name in ("classifier", "head", "heads", "fc") if hasattr(network, name))


def load_weights(
    network: nn.Module, source: str | Path | Mapping[str, Tensor], *, strict: bool = False
) -> LoadReport:
    """Load weights into a network, in place.

    The names and shapes of all tensors of the backbone must be those of the network. The head is
    loaded as a whole, or left as it is if any part of it does not fit. The published scripts do the
    same: they load only the backbone when they continue from combined to valence and arousal.

    Args:
        network: The network that receives the weights.
        source: A file for `read_state_dict`, or its result.
        strict: Whether to refuse a head that does not fit, as evaluation needs it.

    Returns:
        Whether the head was loaded, and the tensors that were not. A head that was not loaded is
        also logged at level INFO.

    Raises:
        CheckpointError: The file cannot be read, the backbone does not fit, the head does not fit
            and `strict` is true, or the tensors cannot be copied into the network.
    """
    if isinstance(source, Mapping):
        where, given = "the state dict", dict(source)
    else:
        where, given = str(source), read_state_dict(source)
    prefixes = tuple(f"{name}." for name in head_of(network))
    wanted = network.state_dict()

    backbone = _without_head(given, prefixes)
    if misfit := _misfit(_without_head(wanted, prefixes), backbone):
        raise CheckpointError(
            f"{where} holds weights of another network than {type(network).__name__}: {misfit}; "
            f"{_looks_like(given)}"
        )
    head_misfit = _misfit(wanted, given)
    if head_misfit and strict:
        raise CheckpointError(
            f"{where} holds another head than this network: {head_misfit}; {_looks_like(given)}"
        )
    if head_misfit:
        logger.info("%s: head not loaded, it starts anew: %s", where, head_misfit)
    try:
        network.load_state_dict(backbone if head_misfit else given, strict=not head_misfit)
    except RuntimeError as error:  # the shapes fit, but a tensor is quantized, for example
        reason = str(error).strip().rpartition("\n")[2].strip()
        raise CheckpointError(f"{where} holds tensors that are no weights: {reason}") from error
    left_out = tuple(name for name in given if name not in backbone) if head_misfit else ()
    return LoadReport(head_loaded=not head_misfit, left_out=left_out)


def _without_head(tensors: Mapping[str, Tensor], prefixes: tuple[str, ...]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(prefixes)}


def _misfit(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], shown: int = 3) -> str:
    """Describe the first few differences in names and shapes; an empty text if there are none."""
    differences = {
        "missing": [name for name in wanted if name not in given],
        "unexpected": [name for name in given if name not in wanted],
        "of another shape": [
            f"{name} {list(given[name].shape)} instead of {list(wanted[name].shape)}"
            for name in wanted
            if name in given and given[name].shape != wanted[name].shape
        ],
    }
    return "; ".join(
        f"{kind}: {', '.join(names[:shown])}"
        + (f" and {len(names) - shown} more" if len(names) > shown else "")
        for kind, names in differences.items()
        if names
    )


def _looks_like(state_dict: Mapping[str, Tensor]) -> str:
    try:
        return f"it looks like {recognise(state_dict)}: choose the model, loss and data to match"
    except CheckpointError as error:
        return str(error)
