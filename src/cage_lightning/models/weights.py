"""Loading of weights from files into networks. No file is trusted: only tensors are unpickled."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from cage_lightning.errors import CheckpointError
from cage_lightning.models.containers import (
    find_state_dict,
    shared_prefix,
    unwrapped,
    without_prefix,
)
from cage_lightning.models.published import recognise
from cage_lightning.models.weight_files import read_content

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

    Accepts a state dict, bare or in a container (``{"model": ...}``), in a file of `torch.save` or
    of safetensors; a checkpoint of this suite, from which it takes the tensors of the network and
    drops the prefix ``network.``; a whole pickled network; and a TorchScript archive. The prefixes
    of DataParallel and `torch.compile` are left out, and what is unwrapped is logged. Python
    objects in the file are neither made nor called.

    Args:
        path: The file; its content, not its name, says of which kind it is.

    Returns:
        Tensors by name.

    Raises:
        CheckpointError: The file is missing or unreadable, or holds no state dict or several.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no weight file {path}")
    content = read_content(path)
    found = find_state_dict(path, content)
    network = {
        name.removeprefix(_NETWORK_PREFIX): tensor
        for name, tensor in found.items()
        if name.startswith(_NETWORK_PREFIX)
    }
    return content.tensors(unwrapped(path, network or found))


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
    network: nn.Module,
    source: str | Path | Mapping[str, Tensor],
    *,
    strict: bool = False,
    name: str = "the state dict",
) -> LoadReport:
    """Load weights into a network, in place.

    The names and shapes of all tensors of the backbone must be those of the network; a prefix that
    all names share (``backbone.``) is left out if they fit without it. The head is
    loaded as a whole, or left as it is if any part of it does not fit. The published scripts do the
    same: they load only the backbone when they continue from combined to valence and arousal.

    Args:
        network: The network that receives the weights.
        source: A file for `read_state_dict`, or its result.
        strict: Whether to refuse a head that does not fit, as evaluation needs it.
        name: What messages call a `source` that is no file.

    Returns:
        Whether the head was loaded, and the tensors that were not. A head that was not loaded is
        also logged at level INFO.

    Raises:
        CheckpointError: The file cannot be read, the backbone does not fit, the head does not fit
            and `strict` is true, or the tensors cannot be copied into the network.
    """
    if isinstance(source, Mapping):
        where, given = name, dict(source)
    else:
        where, given = str(source), read_state_dict(source)
    prefixes = tuple(f"{head}." for head in head_of(network))
    wanted = network.state_dict()
    given = _fitting(where, _without_head(wanted, prefixes), prefixes, given)

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


def _fitting(
    where: str, backbone: Mapping[str, Tensor], head: tuple[str, ...], given: dict[str, Tensor]
) -> dict[str, Tensor]:
    """The given tensors, without the shared prefix without which the backbone fits, if any does."""
    dropped, tensors = "", given
    while _misfit(backbone, _without_head(tensors, head)):
        if not (prefix := shared_prefix(tensors)):
            return given
        tensors, dropped = without_prefix(tensors, prefix), dropped + prefix
    if dropped:
        logger.info("%s: all names begin with %r, which is left out", where, dropped)
    return tensors


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
