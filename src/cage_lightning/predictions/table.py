"""What a model predicted for every sample of a split, the truth, and statistics of its training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from cage_lightning.errors import ConfigError, DivergedError
from cage_lightning.labels import LabelSpace
from cage_lightning.predictions.matching import Meaning, matched
from cage_lightning.training_statistics import TrainingStatistics

Floats = npt.NDArray[np.float64]
# One category of each sample, int64 [N], or whether each applies, bool [N, K].
Categories = npt.NDArray[np.int64] | npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Predictions:
    """A prediction file in memory.

    Attributes:
        space: What the columns mean.
        id: str ``[N]``.
        category: True categories: int64 ``[N]``, -1 where not annotated, or bool ``[N, K]`` where
            several may apply; None in a file without.
        affect: True affect, float64 ``[N, D]`` in [-1, 1], NaN where not annotated.
        category_pred: Like `category`; None for a model without categories.
        probability: float64 ``[N, K]`` of the categories; None if the file does not have it.
        affect_pred: float64 ``[N, D]``, not bounded; None for a model without affect.
        training: Statistics of the training split of the model; None if unknown.
        groups: What describes the samples besides their labels (age, person, video, ...): by name,
            str ``[N]``, empty where it is not known.
    """

    space: LabelSpace
    id: npt.NDArray[np.str_]
    category: Categories | None
    affect: Floats
    category_pred: Categories | None
    probability: Floats | None
    affect_pred: Floats | None
    training: TrainingStatistics | None = None
    groups: Mapping[str, npt.NDArray[np.str_]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.id)

    def select(self, rows: npt.NDArray[Any]) -> Predictions:
        """The given rows: numbers ``[M]``, or a mask ``[N]``."""
        columns = {
            name: None if (column := getattr(self, name)) is None else column[rows]
            for name in ("id", "category", "affect", "category_pred", "probability", "affect_pred")
        }
        groups = {name: column[rows] for name, column in self.groups.items()}
        return replace(self, groups=groups, **columns)  # type: ignore[arg-type]


def common_space(
    model: LabelSpace, data: LabelSpace, mapping: Mapping[Any, Any] | None = None
) -> LabelSpace:
    """What a model of one label space can be scored on in data of another: what both know.

    Categories and dimensions come in the order of `data`, and its scale and its rule of one or
    several categories apply.

    Args:
        model: The label space of the model.
        data: The label space of the data.
        mapping: See `matched`, which decides what the categories are.

    Raises:
        ConfigError: They have nothing in common, or the mapping is wrong.
    """
    return _shared(model, data, matched(model, data, mapping))


def _shared(model: LabelSpace, data: LabelSpace, meaning: Meaning) -> LabelSpace:
    """See `common_space`.

    Args:
        model: The label space of the model.
        data: The label space of the data.
        meaning: What each category of the model is in the data.
    """
    same = meaning == {name: name for name in data.categories}
    if same and replace(model, categories=data.categories) == data:  # in whatever order
        return data
    named = set(meaning.values())
    space = replace(
        data,
        name=f"{model.name} on {data.name}",
        categories=tuple(name for name in data.categories if name in named),
        dimensions=tuple(name for name in data.dimensions if name in model.dimensions),
    )
    if not space.categories and not space.dimensions:
        raise ConfigError(f"{model.name} and {data.name} have no category or dimension in common")
    return space


def predictions_of(
    model_space: LabelSpace,
    logits: npt.NDArray[Any] | None,
    affect_pred: npt.NDArray[Any] | None,
    data_space: LabelSpace,
    ids: npt.NDArray[np.str_],
    category: npt.NDArray[Any],
    affect: npt.NDArray[Any],
    training: TrainingStatistics | None = None,
    groups: Mapping[str, npt.NDArray[np.str_]] | None = None,
    mapping: Mapping[Any, Any] | None = None,
) -> Predictions:
    """Predictions from the outputs of a network and the truth, in the label space they share.

    Outputs for categories that the data does not have are left out *before* one is chosen: an
    AffectNet-8 model on AffectNet-7 never predicts Contempt. Where several categories apply to a
    sample of the data, a model that chooses one predicts that one and no other.

    Args:
        model_space: Label space of the model, K categories, D dimensions.
        logits: ``[N, K]``, or None for a model without categories.
        affect_pred: ``[N, D]``, or None for a model without affect.
        data_space: Label space of the data, K' categories, D' dimensions.
        ids: ``[N]`` sample ids.
        category: True categories, int ``[N]``, -1 where not annotated, or multi-hot ``[N, K']``.
        affect: True affect ``[N, D']`` in [-1, 1], NaN where not annotated.
        training: Statistics of the training split of the model.
        groups: See `Predictions`.
        mapping: What some categories of the model are in the data, see `matching.matched`.

    Raises:
        ConfigError: The label spaces have nothing in common, or the mapping is wrong.
        DivergedError: An output is not finite.
    """
    meaning = matched(model_space, data_space, mapping)
    space = _shared(model_space, data_space, meaning)
    for values in (logits, affect_pred):
        if values is not None:
            _check_finite(ids, values)
    named = [*meaning.values()]
    outputs = [
        [k for k, name in enumerate(named) if name == category] for category in space.categories
    ]
    labels = [data_space.categories.index(name) for name in space.categories]
    dimensions = [model_space.dimensions.index(name) for name in space.dimensions]
    truth: Categories
    if space.multi_label:
        truth = category[:, labels].astype(bool)
    else:
        number = np.full(len(data_space.categories) + 1, -1)  # the last: not annotated
        number[labels] = range(len(labels))
        truth = number[category]
    probability = chosen = None
    if logits is not None and outputs:
        probability, chosen = _decide(
            logits.astype(np.float64), outputs, model_space.multi_label, space.multi_label
        )
    return Predictions(
        space=space,
        id=ids,
        category=truth if space.categories else None,
        affect=affect[:, [data_space.dimensions.index(d) for d in space.dimensions]].astype(float),
        category_pred=chosen,
        probability=probability,
        affect_pred=(
            affect_pred[:, dimensions].astype(float)
            if affect_pred is not None and dimensions
            else None
        ),
        groups=groups or {},
        training=None
        if training is None
        else training.together(outputs).select(range(len(outputs)), dimensions),
    )


def _check_finite(ids: npt.NDArray[np.str_], outputs: npt.NDArray[Any]) -> None:
    """Refuse outputs that are not finite: NaN, too, has a largest element, which means nothing."""
    broken = np.flatnonzero(~np.isfinite(outputs).all(axis=1))
    if len(broken):
        raise DivergedError(
            f"the outputs of the model are not finite for {len(broken)} of {len(ids)} samples "
            f"(the first: {ids[broken[0]]}): its training diverged, or its weights are broken; "
            "there is no result"
        )


def _decide(
    logits: Floats, outputs: list[list[int]], several: bool, several_true: bool
) -> tuple[Floats, Categories]:
    """Probabilities ``[N, K]`` of groups of outputs, and the categories that follow from them."""
    from scipy.special import log_expit, log_softmax, softmax

    log_probability = log_expit(logits) if several else log_softmax(logits, axis=1)
    if not several_true:  # given that one of these applies
        probability = softmax(_together(log_probability, outputs), axis=1)
        return probability, probability.argmax(axis=1)
    probability = np.exp(_together(log_probability, outputs))
    if several:
        return probability, probability >= 0.5
    others = [[k] for k in range(logits.shape[1]) if not any(k in group for group in outputs)]
    candidates = sorted([*outputs, *others])
    first = _together(log_probability, candidates).argmax(axis=1)
    return probability, first[:, None] == [candidates.index(group) for group in outputs]


def _together(log_probability: Floats, groups: list[list[int]]) -> Floats:
    """The logarithm of the sum of the probabilities in each group of columns, ``[N, groups]``.

    The columns lie one after the other, as those of `log_probability[:, columns]` do: the last bit
    of a sum over eight columns or more depends on it.
    """
    return np.stack([np.logaddexp.reduce(log_probability[:, group], axis=1) for group in groups]).T
