"""Writing the folder of an export."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from cage_lightning.deploy.folder import CONFIG, WEIGHTS, Export, checksum
from cage_lightning.deploy.loading import MEMBER, Loaded
from cage_lightning.deploy.networks import Networks, Several
from cage_lightning.errors import CheckpointError
from cage_lightning.system.atomic import write_atomic

_PACKAGES = ("cage_lightning", "torch", "torchvision", "timm", "numpy", "pillow")


def write_weights(folder: Path, loaded: Loaded) -> None:
    """Write the weights of a model, of each member of an ensemble, as ``model.safetensors``.

    Raises:
        CheckpointError: The model is no network of PyTorch.
        OutputError: The file cannot be written.
    """
    tensors = {
        f"{MEMBER}{number}.{name}": tensor.contiguous().clone()
        for number, network in enumerate(members(loaded))
        for name, tensor in network.state_dict().items()
    }
    # As bytes: what safetensors writes itself, nobody but its owner may read.
    write_atomic(folder / WEIGHTS, save(tensors))


def members(loaded: Loaded) -> list[torch.nn.Module]:
    """The networks of a model.

    Raises:
        CheckpointError: One of them is no network of PyTorch, or they have calibrations of their
            own.
    """
    whole = loaded.predictor
    parts = list(whole.parts) if isinstance(whole, Several) else [whole]
    networks = [part for part in parts if isinstance(part, Networks)]
    if len(networks) < len(parts):
        raise CheckpointError("only networks of PyTorch can be exported: give a run or its export")
    if len(parts) > 1 and any(part.calibrated for part in networks):
        raise CheckpointError(
            "models that were calibrated one by one cannot be exported as one: give their runs"
        )
    return [network for part in networks for network in part.members]


def write_config(
    folder: Path,
    loaded: Loaded,
    forms: Mapping[str, Mapping[str, Any]],
    scores: Mapping[str, Any],
    made_by: Mapping[str, Any],
) -> Export:
    """Write config.json, the last file of an export: with it the folder is one.

    Args:
        folder: Holds the weights and every file of `forms` already.
        loaded: The model.
        forms: By the name of the form: its ``file``, and what was measured of it.
        scores: Those of metrics.json.
        made_by: Where the model comes from; the versions of the packages are added.

    Raises:
        OutputError: The file cannot be written.
    """
    names = [WEIGHTS]
    for form in forms.values():
        names += [form[key] for key in ("file", "weights") if form.get(key)]
    export = Export(
        loaded.description,
        len(members(loaded)),
        {name: checksum(folder / name) for name in names},
        forms,
        scores,
        dict(made_by) | {"versions": _versions()},
    )
    write_atomic(folder / CONFIG, export.to_json())
    return export


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
