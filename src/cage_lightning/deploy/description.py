"""What a trained network is, apart from its weights: enough to build it and to use it."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from cage_lightning.deploy.calibration import Calibration
from cage_lightning.deploy.preprocessing import Preprocessing
from cage_lightning.errors import CheckpointError, first_line
from cage_lightning.labels import LabelSpace, OutputLayout
from cage_lightning.models import build_network
from cage_lightning.training_statistics import TrainingStatistics

_PARTS = ("label_space", "outputs", "backbone", "preprocessing", "calibration", "training")
_NAME = re.compile(r"[\w.-]{1,100}", re.ASCII)  # of a network: no path, no address


@dataclass(frozen=True)
class Backbone:
    """A network of `cage_lightning.models`.

    Attributes:
        name: As `build_network` takes it.
        head_dropout: The probability of the dropout before its last layer; None without one.

    Raises:
        ValueError: A value that no network has; the message begins with its name.
    """

    name: str
    head_dropout: float | None = None

    def __post_init__(self) -> None:
        """Check the values, which may come from a file of anyone."""
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ValueError(f"name is {self.name!r:.100}, not the name of a network")
        dropout = self.head_dropout
        if dropout is not None and (type(dropout) not in (int, float) or not 0 <= dropout <= 1):
            raise ValueError(f"head_dropout is {dropout!r:.100}, not a probability")


@dataclass(frozen=True)
class Description:
    """What a trained network is, apart from its weights.

    Attributes:
        layout: What its outputs mean.
        backbone: The network; None for one of another system, which is not built here.
        preprocessing: What is done to a picture before it.
        calibration: A correction of its outputs that was fitted afterwards; None without one.
        training: What its training split was like; None if unknown.
    """

    layout: OutputLayout
    backbone: Backbone | None
    preprocessing: Preprocessing
    calibration: Calibration | None = None
    training: TrainingStatistics | None = None

    @property
    def label_space(self) -> LabelSpace:
        """The categories and affect dimensions."""
        return self.layout.space

    def build(self, name: str) -> nn.Module:
        """The network with random weights, in evaluation mode.

        Args:
            name: What messages call the file that the description is from.

        Raises:
            CheckpointError: There is no such network, or none of that image size.
        """
        assert self.backbone is not None
        try:
            network = build_network(
                self.backbone.name,
                self.layout.width,
                weights="none",
                image_size=self.preprocessing.image_size,
                head_dropout=self.backbone.head_dropout,
            )
        except Exception as error:  # torchvision's or timm's, about a size that no network has
            raise CheckpointError(f"{name} is refused: {first_line(error)}") from error
        return network.eval()

    def to_dict(self) -> dict[str, Any]:
        """Plain containers for JSON; the inverse of `from_dict`."""
        return {
            "label_space": self.label_space.to_dict(),
            "outputs": {"categories": self.layout.categories, "affect": self.layout.affect},
            "backbone": None if self.backbone is None else asdict(self.backbone),
            "preprocessing": asdict(self.preprocessing),
            "calibration": None if self.calibration is None else asdict(self.calibration),
            "training": None if self.training is None else asdict(self.training),
        }

    @classmethod
    def from_dict(cls, values: Any) -> Description:
        """Read the result of `to_dict` out of a file, which may come from anyone.

        Raises:
            ValueError: The values do not describe a network.
        """
        parts = mapping(values, "the description", _PARTS)
        space = LabelSpace.from_dict(parts["label_space"])
        outputs = mapping(parts["outputs"], "outputs", ("categories", "affect"))
        if not all(type(value) is bool for value in outputs.values()) or not any(outputs.values()):
            raise ValueError(
                "outputs says true or false of categories and of affect, one of them true"
            )
        layout = OutputLayout(space, **outputs)
        calibration, training = parts["calibration"], parts["training"]
        return cls(
            layout,
            _backbone(parts["backbone"]),
            _preprocessing(parts["preprocessing"]),
            None if calibration is None else Calibration.from_dict(calibration, layout),
            None if training is None else TrainingStatistics.from_dict(training, space),
        )


def mapping(values: Any, name: str, keys: tuple[str, ...]) -> dict[str, Any]:
    """A mapping with exactly these keys.

    Raises:
        ValueError: `values` is something else.
    """
    if not isinstance(values, dict) or values.keys() != set(keys):
        raise ValueError(f"{name} does not consist of {', '.join(keys)}")
    return values


def _backbone(values: Any) -> Backbone | None:
    if values is None:
        return None
    return Backbone(**mapping(values, "backbone", ("name", "head_dropout")))


def _preprocessing(values: Any) -> Preprocessing:
    keys = ("image_size", "mean", "std", "margin")
    found = mapping(values, "preprocessing", keys)
    if not all(isinstance(found[name], list) for name in ("mean", "std")):
        raise ValueError("mean and std are lists of three numbers")
    return Preprocessing(**found | {name: tuple(found[name]) for name in ("mean", "std")})
