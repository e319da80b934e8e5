"""The vocabulary: what is annotated, what a batch holds and what a model predicts.

Imports nothing of ours and no torch: reports and the command line use it as well.
"""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


# Of a label space in a file: names go into tables, figures and the keys of scores.
_NAME = re.compile(r"\w[\w /&+,.()'-]{0,99}")
_MOST = 1000


@dataclass(frozen=True)
class LabelSpace:
    """What a dataset annotates, in the order of the network's outputs.

    Attributes:
        name: Short name, for example ``affectnet8``.
        categories: Category names in canonical order; column ``k`` of the logits is category ``k``.
        multi_label: Whether any number of categories may apply to one sample (EMOTIC) or exactly
            one (AffectNet).
        dimensions: Affect dimensions in the order of the affect columns.
        native_range: Lowest and highest value of an affect dimension in the dataset's own files.
            Everywhere else affect lies in [-1, 1].
    """

    name: str
    categories: tuple[str, ...]
    multi_label: bool
    dimensions: tuple[str, ...]
    native_range: tuple[float, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain containers, for checkpoints, JSON and file metadata."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    def to_unit(self, native: Any) -> Any:
        """Affect in the dataset's own scale, a number or an array, to [-1, 1].

        The `native_range` goes to [-1, 1] linearly: for EMOTIC, y = (2x - 11) / 9. NaN stays NaN.
        """
        low, high = self.native_range
        return (2 * native - (low + high)) / (high - low)

    def to_native(self, unit: Any) -> Any:
        """The inverse of `to_unit`: for EMOTIC, x = (9y + 11) / 2."""
        low, high = self.native_range
        return ((high - low) * unit + (low + high)) / 2

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> LabelSpace:
        """The inverse of `to_dict`, for values out of a file that may come from anyone.

        Raises:
            ValueError: They do not describe a label space.
        """
        if not isinstance(values, dict) or values.keys() != cls.__dataclass_fields__.keys():
            raise ValueError(f"a label space consists of {', '.join(cls.__dataclass_fields__)}")
        plain: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        space = cls(**plain)
        for names in (space.categories, space.dimensions):
            if not isinstance(names, tuple) or len(names) > _MOST or not all(map(_is_name, names)):
                raise ValueError(f"categories and dimensions are lists of at most {_MOST} names")
            if len(set(names)) < len(names):
                raise ValueError("a category or dimension of the label space occurs twice")
        if not _is_name(space.name) or type(space.multi_label) is not bool:
            raise ValueError("a label space has a name, and multi_label is true or false")
        limits = space.native_range
        if not isinstance(limits, tuple) or [type(x) for x in limits] != [float, float]:
            raise ValueError("native_range of the label space is not two numbers")
        if not -math.inf < limits[0] < limits[1] < math.inf:
            raise ValueError("native_range of the label space is not a lower and a higher number")
        return space


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


AFFECTNET_8 = LabelSpace(
    name="affectnet8",
    categories=(
        "Neutral",
        "Happiness",
        "Sadness",
        "Surprise",
        "Fear",
        "Disgust",
        "Anger",
        "Contempt",
    ),
    multi_label=False,
    dimensions=("valence", "arousal"),
    native_range=(-1.0, 1.0),
)

# Contempt is the last category, so the indices of the other seven stay as they are.
AFFECTNET_7 = replace(AFFECTNET_8, name="affectnet7", categories=AFFECTNET_8.categories[:7])

EMOTIC = LabelSpace(
    name="emotic",
    categories=(
        "Affection",
        "Anger",
        "Annoyance",
        "Anticipation",
        "Aversion",
        "Confidence",
        "Disapproval",
        "Disconnection",
        "Disquietment",
        "Doubt/Confusion",
        "Embarrassment",
        "Engagement",
        "Esteem",
        "Excitement",
        "Fatigue",
        "Fear",
        "Happiness",
        "Pain",
        "Peace",
        "Pleasure",
        "Sadness",
        "Sensitivity",
        "Suffering",
        "Surprise",
        "Sympathy",
        "Yearning",
    ),
    multi_label=True,
    dimensions=("valence", "arousal", "dominance"),
    native_range=(1.0, 10.0),
)

LABEL_SPACES = {space.name: space for space in (AFFECTNET_8, AFFECTNET_7, EMOTIC)}


class Batch(NamedTuple):
    """What every dataset yields and every loss and metric reads.

    Attributes:
        image: uint8 ``[B, 3, H, W]``, RGB; after augmentation float32, normalised.
        category: int64 ``[B]``, or float32 multi-hot ``[B, K]`` when several may apply.
        affect: float32 ``[B, D]`` in [-1, 1], NaN where not annotated.
        index: int64 ``[B]``, the row in the split's annotations. Stays on the CPU.
    """

    image: Tensor
    category: Tensor
    affect: Tensor
    index: Tensor  # type: ignore[assignment]  # hides tuple.index, which nobody calls


class Prediction(NamedTuple):
    """What every mode yields.

    Attributes:
        logits: float ``[B, K]`` before softmax or sigmoid, or None.
        affect: float ``[B, D]``, unbounded (no tanh, no clipping), or None.
    """

    logits: Tensor | None
    affect: Tensor | None
