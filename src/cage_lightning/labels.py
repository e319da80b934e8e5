"""The vocabulary: what is annotated, what a batch holds and what a model predicts.

Imports nothing of ours and no torch: reports and the command line use it as well.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


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
        """The inverse of `to_dict`."""
        plain: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**plain)


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
