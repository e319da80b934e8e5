"""From a path to a model: a checkpoint, a run folder, or an export in any of its forms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cage_lightning.deploy.description import Description
from cage_lightning.deploy.folder import WEIGHTS, checked, is_export, read_export
from cage_lightning.deploy.foreign import description_beside, open_foreign
from cage_lightning.deploy.forms import FORMS, form_of_file, open_form
from cage_lightning.deploy.hub import fetch
from cage_lightning.deploy.networks import Networks, Predictor, Several
from cage_lightning.errors import CheckpointError
from cage_lightning.models import load_weights, read_state_dict
from cage_lightning.system.hub import SCHEME
from cage_lightning.system.paths import local_path, refuse_outside

MEMBER = "members."  # of the names of an ensemble's tensors, before the number of the network


@dataclass(frozen=True)
class Loaded:
    """A model that was read from a file.

    Attributes:
        description: What it is.
        predictor: The model itself, in evaluation mode, on the CPU.
        form: What it was read from: ``checkpoint``, ``safetensors``, the name of a form, or
            ``foreign_onnx`` for one of another system, ``ensemble`` for several.
    """

    description: Description
    predictor: Predictor
    form: str = "checkpoint"


def load(path: str | Path | Sequence[str | Path]) -> Loaded:
    """Load a model.

    Args:
        path: A run folder (its best checkpoint), a checkpoint, the folder of an export, or a file
            in one, an ONNX file with a YAML file that describes it, or an export on the Hugging
            Face hub as ``hf://USER/NAME``; or several of them, whose predictions are averaged.

    Raises:
        CheckpointError: There is no such file, it is damaged, it asks for something that no model
            has, or several do not fit together.
    """
    places = places_of(path)
    if not places:
        raise CheckpointError("there is no checkpoint: an empty list was given")
    loaded = [_load(place) for place in places]
    first = loaded[0].description
    for one, place in zip(loaded, places, strict=True):
        for part in ("layout", "preprocessing"):
            if getattr(one.description, part) != getattr(first, part):
                raise CheckpointError(
                    f"{place} and {places[0]} cannot be averaged: their {part} differs"
                )
    if not loaded[1:]:
        return loaded[0]
    # Each part applies its own calibration.
    description = replace(first, calibration=None)
    return Loaded(description, Several([one.predictor for one in loaded]).eval(), "ensemble")


def places_of(path: str | Path | Sequence[str | Path]) -> list[Path]:
    """The files or folders that one path or several mean; what is on the hub is downloaded.

    Raises:
        CheckpointError: It cannot be downloaded.
        ConfigError: One of them is another address.
    """
    if isinstance(path, str | Path) or not isinstance(path, Sequence):  # a number is a name
        return [_place_of(path)]
    return [_place_of(one) for one in path]


def _place_of(path: str | Path) -> Path:
    """The file or folder that a path means; one of ``hf://USER/NAME`` is downloaded.

    Raises:
        CheckpointError: It cannot be downloaded.
        ConfigError: It is another address.
    """
    if str(path).startswith(SCHEME):
        return fetch(str(path))
    return local_path("checkpoint", str(path)).expanduser()


def checkpoint_of(place: Path) -> Path:
    """The checkpoint that a path means: a file itself, or the best one of a run folder.

    Raises:
        CheckpointError: There is none.
        DataError: It is a link that leads out of the run folder.
    """
    file = place / "checkpoints" / "best.ckpt" if place.is_dir() else place
    if not file.is_file():
        hint = ": that run has no best epoch yet" if place.is_dir() else ""
        raise CheckpointError(f"there is no checkpoint {file}{hint}")
    if file != place:
        refuse_outside(place, file)
    return file


def _load(place: Path) -> Loaded:
    if place.is_file() and (beside := description_beside(place)) is not None:
        description, foreign = open_foreign(place, beside)
        return Loaded(description, foreign.eval(), "foreign_onnx")
    if is_export(place):
        return _load_export(place)
    if place.suffix == ".onnx" and place.is_file():
        raise CheckpointError(
            f"{place} does not say what its inputs and outputs mean: write a file "
            f"{place.with_suffix('.yaml').name} beside it, as docs/export.md shows"
        )
    file = checkpoint_of(place)
    try:
        from cage_lightning.deploy.checkpoints import describe  # imports Lightning
    except ModuleNotFoundError as error:
        raise CheckpointError(
            f"{file} is a checkpoint of a run, which needs the package {error.name}: install it, "
            "or load an export, which does not (python -m cage_lightning.export)"
        ) from error
    description = describe(file).description
    network = description.build(str(file))
    load_weights(network, file, strict=True)
    return Loaded(description, Networks([network], description.layout).eval())


def _load_export(place: Path) -> Loaded:
    folder, name = (place, WEIGHTS) if place.is_dir() else (place.parent, place.name)
    export = read_export(folder)
    form = form_of_file(name)
    file = checked(folder, name if form is None else FORMS[form].file, export)
    description = export.description
    if form is not None:
        for part in FORMS[form].files:
            checked(folder, part, export)
        return Loaded(description, open_form(form, file, description).eval(), form)
    tensors = read_state_dict(file)
    members = []
    for number in range(export.members):
        prefix = f"{MEMBER}{number}."
        own = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
        network = description.build(str(folder))
        load_weights(network, own, strict=True)
        members.append(network)
    predictor = Networks(members, description.layout, description.calibration)
    return Loaded(description, predictor.eval(), "safetensors")
