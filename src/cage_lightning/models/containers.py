"""Finding the state dict in what a weight file holds: containers, wrappers and whole networks."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from cage_lightning.errors import CheckpointError
from cage_lightning.models.inert_pickle import Described, Inert
from cage_lightning.models.weight_files import FileContent

logger = logging.getLogger(__name__)

Tensors = Mapping[str, Tensor | Described]

# What training code calls the weights in its files, in the order in which they are looked for.
_AVERAGED = ("model_ema", "state_dict_ema", "ema_state_dict", "ema", "params_ema")
_PLAIN = (
    *("state_dict", "model_state_dict", "model_state", "model", "net", "network", "net_state_dict"),
    *("weights", "params", "module"),
)
_LIGHTNING = "state_dict"  # of Lightning, and of ours: other entries do not matter
_WRAPPERS = ("module.", "_orig_mod.")  # of DataParallel and of torch.compile
_COUNT = "n_averaged"  # beside the network in a torch.optim.swa_utils.AveragedModel
_MOST_MODULES = 100_000
_SHOWN = 3  # names in a message
_LONGEST = 200  # characters of them


def find_state_dict(path: Path, content: FileContent) -> Tensors:
    """The tensors of one network in the content of a file.

    Which entry was chosen and what was not read is logged. Where a file has a network and the
    moving average of its weights, the average is taken, as timm does.

    Raises:
        CheckpointError: There is no state dict in it, or there are several.
    """
    tensors = _tensors(content.value)
    if tensors is None:
        name, tensors = _contained(path, content)
        if name != _LIGHTNING:
            logger.info("%s: the weights are those of its entry %r", path, name)
    if content.foreign and not content.archive:
        logger.warning(
            "%s holds Python objects (%s), which could run code: none of them was made, only the "
            "tensors were read",
            path,
            _some(content.foreign),
        )
    return tensors


def shared_prefix(names: Mapping[str, Any]) -> str:
    """The first part of all names, with its dot (``backbone.``); empty if they share none."""
    first = {name.partition(".")[0] for name in names}
    if len(first) != 1 or not all("." in name for name in names):
        return ""
    return f"{first.pop()}."


def without_prefix(tensors: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The same tensors, their names without a prefix that all of them have."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}


def unwrapped(path: Path, tensors: Tensors) -> Tensors:
    """The same tensors without the prefixes of DataParallel and `torch.compile`, if all have them.

    What is left out is logged, except the counter of a `torch.optim.swa_utils.AveragedModel`.
    """
    rest = {name: tensor for name, tensor in tensors.items() if name != _COUNT}
    if len(rest) < len(tensors) and shared_prefix(rest) == "module.":
        tensors = rest
    dropped = ""
    while (prefix := shared_prefix(tensors)) in _WRAPPERS:
        tensors, dropped = without_prefix(tensors, prefix), dropped + prefix
    if dropped:
        logger.info("%s: all names begin with %r, which is left out", path, dropped)
    return tensors


def _contained(path: Path, content: FileContent) -> tuple[str, Tensors]:
    """The entry of a container that holds the weights, by name."""
    value = content.value
    entries = value if isinstance(value, dict) else {}
    found = {
        name: tensors
        for name, entry in entries.items()
        if isinstance(name, str) and (tensors := _tensors(entry)) is not None
    }
    if not found:
        raise _nothing_in(path, content)
    name = _choice(path, tuple(found))
    return name, found[name]


def _choice(path: Path, found: tuple[str, ...]) -> str:
    """Which of several entries is the network.

    Raises:
        CheckpointError: The names of the entries do not tell.
    """
    averaged = [name for name in _AVERAGED if name in found]
    plain = [name for name in _PLAIN if name in found]
    if averaged and plain:
        logger.warning(
            "%s holds a network (%r) and the moving average of its weights (%r): the average is "
            "taken",
            *(path, plain[0], averaged[0]),
        )
        return averaged[0]
    choices = plain or averaged or found
    if len(choices) > 1 and choices[0] != _LIGHTNING:
        raise CheckpointError(
            f"{path} holds several state dicts ({_some(choices)}): save the one that is meant "
            f"alone, with torch.save(torch.load({path.name!r}, weights_only=True)[NAME], FILE)"
        )
    return choices[0]


def _nothing_in(path: Path, content: FileContent) -> CheckpointError:
    if content.archive:
        return CheckpointError(
            f"{path} is a TorchScript archive without parameters of its own (frozen?): save the "
            "weights of the network it was made from, with torch.save(model.state_dict(), FILE)"
        )
    if content.foreign:
        return CheckpointError(
            f"{path} holds the Python object {_some(content.foreign[:1])}, which could run code, "
            "so it is not loaded, and no tensors by name beside it: save the weights alone with "
            "torch.save(model.state_dict(), FILE). Who has only the file does that in a container "
            f'to throw away: docker run --rm --network none -v "$PWD":/w -w /w IMAGE python -c '
            f'"import torch; m = torch.load({path.name!r}, weights_only=False); ..."'
        )
    value = content.value
    if isinstance(value, dict):
        value = next((v for k in _PLAIN if isinstance(v := value.get(k), dict) and v), value)
        for name, entry in value.items():
            if not isinstance(name, str) or not isinstance(entry, Tensor):
                return CheckpointError(
                    f"{path} holds no state dict: its entry {name!r} is a {type(entry).__name__}, "
                    "not a tensor"
                )
    return CheckpointError(f"{path} holds no state dict")


def _tensors(value: Any) -> Tensors | None:
    """The tensors of a state dict or of a whole network; None if it is neither."""
    if isinstance(value, Inert):
        return _of_network(value) or None
    if not isinstance(value, dict) or not value:
        return None
    if all(isinstance(k, str) and isinstance(v, Tensor | Described) for k, v in value.items()):
        return dict(value)  # a plain dict drops the metadata of a state dict
    return None


def _of_network(network: Inert) -> dict[str, Tensor | Described]:
    """What `state_dict` of a network would return; nothing if it is endless or has no tensors."""
    tensors: dict[str, Tensor | Described] = {}
    pending, seen = [("", network)], 0
    while pending:
        prefix, module = pending.pop()
        if (seen := seen + 1) > _MOST_MODULES or len(prefix) > 1000:
            return {}
        for name, value in _parts(module.state).items():
            if isinstance(value, Tensor | Described):
                tensors[f"{prefix}{name}"] = value
            elif isinstance(value, Inert):
                pending.append((f"{prefix}{name}.", value))
    return tensors


def _parts(state: Any) -> dict[Any, Any]:
    """The tensors and modules of a module by name.

    An archive of TorchScript has them among its attributes, a pickled module in three mappings.
    """
    if not isinstance(state, dict) or "_modules" not in state:
        return state if isinstance(state, dict) else {}
    parts: dict[Any, Any] = {}
    for key in ("_parameters", "_buffers", "_modules"):
        parts |= part if isinstance(part := state.get(key), dict) else {}
    passing = state.get("_non_persistent_buffers_set")
    for name in passing if isinstance(passing, list) else ():
        if isinstance(name, str):
            parts.pop(name, None)
    return parts


def _some(names: Sequence[str]) -> str:
    """The first of the names of a stranger, on one line."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    shown = "".join(c if c.isprintable() else "?" for c in ", ".join(names[:_SHOWN])[:_LONGEST])
    return f"{shown}{more}"
