"""The shared types: label spaces, batches and predictions.

The module imports no torch and nothing else of this package, because reports and the command line
use it too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


# Names that a file may give: they are used in tables, figures and the keys of scores.
_NAME = re.compile(r"\w[\w /&+,.()'-]{0,99}")
_MOST = 1000  # names in a list of such a file


@dataclass(frozen=True)
class LabelSpace:
    """The categories and affect dimensions of a data set, in the order of the network's outputs.

    Attributes:
        name: Short name, for example ``affectnet8``.
        categories: Category names in canonical order; column ``k`` of the logits is category ``k``.
        multi_label: Whether any number of categories may apply to one sample (EMOTIC) or exactly
            one (AffectNet).
        dimensions: Affect dimensions in the order of the affect columns.
        native_range: Lowest and highest value of an affect dimension in the files of the data set.
            Everywhere else affect is scaled to [-1, 1].
    """

    name: str
    categories: tuple[str, ...]
    multi_label: bool
    dimensions: tuple[str, ...]
    native_range: tuple[float, float]

    def to_dict(self) -> dict[str, Any]:
        """Return the label space as plain containers, for checkpoints, JSON and file metadata."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    def to_unit(self, native: Any) -> Any:
        """Scale affect from the `native_range` linearly to [-1, 1]: for EMOTIC, y = (2x - 11) / 9.

        Args:
            native: A number, an array or a tensor of any shape. NaN (not annotated) remains NaN.
        """
        low, high = self.native_range
        return (2 * native - (low + high)) / (high - low)

    def to_native(self, unit: Any) -> Any:
        """Scale affect from [-1, 1] linearly to the `native_range`: for EMOTIC, x = (9y + 11) / 2.

        Args:
            unit: A number, an array or a tensor of any shape. NaN (not annotated) remains NaN.
        """
        low, high = self.native_range
        return ((high - low) * unit + (low + high)) / 2

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> LabelSpace:
        """Make a label space from the result of `to_dict`, read from a file of a stranger.

        Raises:
            ValueError: The values do not describe a label space.
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


def own_space(
    name: str,
    categories: Sequence[str],
    dimensions: Sequence[str],
    native_range: tuple[float, float] = (-1.0, 1.0),
    multi_label: bool = False,
) -> LabelSpace:
    """The label space of a data set of somebody's own.

    Args:
        name: What the data set is called.
        categories: Names in the order of the network's outputs; none where only affect is known.
        dimensions: Names of the affect dimensions; none where only categories are known.
        native_range: Lowest and highest value of affect in the files.
        multi_label: Whether several categories may apply to one sample.

    Raises:
        ValueError: A name occurs twice or cannot be a name in tables and keys, or the range is
            none.
    """
    for names in ([name], categories, dimensions):
        wrong = [one for one in names if not _is_name(one)]
        if wrong:
            raise ValueError(
                f"{wrong[0]!r} cannot be a name: that begins with a letter or digit, is at most "
                "100 characters long, and has only letters, digits, blanks and _/&+,.()'- in it"
            )
    low, high = map(float, native_range)
    values = LabelSpace(name, tuple(categories), multi_label, tuple(dimensions), (low, high))
    return LabelSpace.from_dict(values.to_dict())


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

SYNONYMS = {
    "Neutral": ("neutral", "neutrality"),
    "Happiness": ("happiness", "happy", "joy", "joyful"),
    "Sadness": ("sadness", "sad"),
    "Surprise": ("surprise", "surprised"),
    "Fear": ("fear", "fearful", "afraid", "scared"),
    "Disgust": ("disgust", "disgusted"),
    "Anger": ("anger", "angry"),
    "Contempt": ("contempt", "contemptuous"),
}
"""What people call the categories: in class folders, prediction files and lists of outputs."""


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name.casefold()).strip()


_CANONICAL = {_plain(name): name for space in LABEL_SPACES.values() for name in space.categories}
_CANONICAL |= {synonym: name for name, synonyms in SYNONYMS.items() for synonym in synonyms}


def canonical_category(name: str) -> str | None:
    """The name that the label spaces give to a category; None if nothing is called so.

    Case, blanks and punctuation do not matter.

    >>> canonical_category("Happy"), canonical_category("doubt_confusion"), canonical_category("0")
    ('Happiness', 'Doubt/Confusion', None)
    """
    return _CANONICAL.get(_plain(name))


def canonical_categories(names: Sequence[str]) -> tuple[str, ...]:
    """The canonical names of several categories, in the same order.

    Raises:
        ValueError: A name is unknown, or two of them mean the same category.
    """
    found: dict[str, str] = {}
    for name in names:
        category = canonical_category(name)
        if category is None:
            raise ValueError(
                f"{name!r} is no category: known are {', '.join(AFFECTNET_8.categories)}, names "
                "such as happy, sad or afraid for them, and the categories of EMOTIC"
            )
        if category in found:
            raise ValueError(f"{found[category]!r} and {name!r} both mean {category}")
        found[category] = name
    return tuple(found)


def space_in_order(names: Sequence[str], like: LabelSpace) -> LabelSpace:
    """A label space with the given categories in the given order.

    Args:
        names: What the outputs of a network of somebody else are called.
        like: Dimensions and scale of a space whose categories no label space has.

    Returns:
        The label space with these categories, in this order; or `like` with them.

    Raises:
        ValueError: A name is unknown, or two of them mean the same category.
    """
    categories = canonical_categories(names)
    same = (s for s in LABEL_SPACES.values() if set(s.categories) == set(categories))
    space = next(same, None) or replace(like, name=f"{len(categories)} categories")
    return replace(space, categories=categories)


@dataclass(frozen=True)
class OutputLayout:
    """What the columns of a network's output are: logits of the categories, then affect.

    Attributes:
        space: The categories and affect dimensions.
        categories: Whether there is a logit for each category.
        affect: Whether there is a value for each affect dimension.
    """

    space: LabelSpace
    categories: bool
    affect: bool

    @property
    def logits(self) -> int:
        """The number of logits: K, or 0."""
        return len(self.space.categories) if self.categories else 0

    @property
    def width(self) -> int:
        """The number of columns: K logits and D affect values, as far as they are predicted."""
        return self.logits + (len(self.space.dimensions) if self.affect else 0)

    def read(self, outputs: Any) -> Prediction:
        """Split outputs ``[B, width]``, a tensor or an array, by their meaning."""
        return Prediction(
            logits=outputs[:, : self.logits] if self.categories else None,
            affect=outputs[:, self.logits :] if self.affect else None,
        )


class Batch(NamedTuple):
    """A batch of samples, which every data set yields and every loss and metric reads.

    B is the number of samples, K that of the categories and D that of the affect dimensions.

    Attributes:
        image: uint8 ``[B, 3, H, W]``, RGB, 0 to 255; after augmentation float32, normalised.
        category: int64 ``[B]``, 0 to K - 1, or -1 where not annotated; in a multi-label space
            float32 ``[B, K]``, 0 or 1. Of a training on soft labels float32 ``[B, K]``, the shares
            of the categories: rows sum to 1, or are 0 where not annotated.
        affect: float32 ``[B, D]`` in [-1, 1], NaN where not annotated.
        index: int64 ``[B]``, the row in the split's annotations; in a training that repeats rows
            within an epoch, plus the number of rows for each time before. It stays on the CPU.
    """

    image: Tensor
    category: Tensor
    affect: Tensor
    index: Tensor  # type: ignore[assignment]  # hides tuple.index, which nobody calls


class Prediction(NamedTuple):
    """The predictions for a batch, which every mode yields.

    Attributes:
        logits: float ``[B, K]`` before softmax (multi-label: before sigmoid); None if the mode
            predicts no categories.
        affect: float ``[B, D]``, in the paper's modes unbounded (no tanh, no clipping); None if
            the mode predicts no affect.
    """

    logits: Tensor | None
    affect: Tensor | None
