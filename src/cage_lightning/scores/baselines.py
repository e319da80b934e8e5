"""Simple predictors that do not look at the picture, to compare a model with."""

from __future__ import annotations

from dataclasses import replace
from math import comb
from typing import Any

import numpy as np

from cage_lightning.affectnet_statistics import AFFECTNET_TRAINING, SOURCE
from cage_lightning.labels import LabelSpace
from cage_lightning.predictions.table import Categories, Floats, Predictions
from cage_lightning.scores.multilabel import TOP
from cage_lightning.training_statistics import TrainingStatistics


def published_training(space: LabelSpace) -> TrainingStatistics | None:
    """Statistics of AffectNet's training set; None for another label space than AffectNet's.

    They are aggregates of the 40 x 40 histograms of valence and arousal by category in the notebook
    that `source` names.
    """
    if space.name not in ("affectnet7", "affectnet8"):
        return None
    rows = np.array([AFFECTNET_TRAINING[name] for name in space.categories])
    counts, means = rows[:, 0], rows[:, 1:]
    return TrainingStatistics(
        source=SOURCE,
        n=int(counts.sum()),
        counts=counts.astype(int).tolist(),
        affect=(counts @ means / counts.sum()).tolist(),
        affect_by_category=means.tolist(),
    )


def baselines(predictions: Predictions) -> dict[str, Predictions]:
    """Predictions for the same samples by simple rules, to be scored like any other.

    They use the training split of the model, or that of AffectNet (`published_training`):

    - ``constant``: the training means of affect, the frequencies of the categories as
      probabilities and thus the most frequent category;
    - ``constant_balanced``: the mean over the categories of their training means of affect;
    - ``lookup``: the training mean of affect of the *predicted* category; of several ones the mean
      of theirs, of none the mean of all samples;
    - ``nearest``: the category whose training mean of affect is nearest to the *predicted* affect;
      only where exactly one category applies.

    Those that the file or the statistics do not allow are absent. `Predictions.training` of a
    baseline holds the statistics it uses.
    """
    training = predictions.training or published_training(predictions.space)
    if training is None:
        return {}
    silent = replace(
        predictions, training=training, category_pred=None, probability=None, affect_pred=None
    )
    mean = np.array(training.affect, np.float64)
    means = np.array(training.affect_by_category, np.float64)
    means = means.reshape(len(training.counts), len(mean))
    complete = np.flatnonzero(~np.isnan(means).any(axis=1))
    everyone = np.ones((len(predictions), 1))
    affect, chosen = predictions.affect_pred, predictions.category_pred

    columns = {"constant": _affect(everyone * mean) | _frequencies(predictions, training)}
    if len(complete):
        columns["constant_balanced"] = _affect(everyone * means[complete].mean(axis=0))
    if chosen is not None:
        columns["lookup"] = _affect(_lookup(chosen, means, mean))
    one_category = predictions.category is not None and not predictions.space.multi_label
    if affect is not None and one_category and len(complete):
        distance = ((affect[:, None] - means[complete]) ** 2).sum(axis=2)
        columns["nearest"] = {"category_pred": complete[distance.argmin(axis=1)]}
    return {name: replace(silent, **predicted) for name, predicted in columns.items() if predicted}


def chance(predictions: Predictions) -> dict[str, float]:
    """Scores to be expected of guessing categories at random, all alike.

    One of K categories: ``accuracy`` = ``recall_weighted`` = 1 / K. Several: ``map`` is the mean
    share of samples that a category applies to, over those that apply to any (what a constant gets;
    random order slightly more in a small set). With three of K categories drawn for each person, of
    whose categories m are true: ``top3_recall`` = ``top3_label`` = ``top3_category`` = 3 / K,
    ``top3_precision`` = mean(m) / K, ``top3_any`` = mean(1 - C(K - m, 3) / C(K, 3)).

    Empty where the true categories are unknown.
    """
    k = len(predictions.space.categories)
    if predictions.category is None:
        return {}
    if not predictions.space.multi_label:
        return {"accuracy": 1 / k, "recall_weighted": 1 / k}
    true = predictions.category
    prevalence, m = true.mean(axis=0), true.sum(axis=1)
    if not true.any():
        return {}
    drawn = min(TOP, k)
    miss = np.array([comb(k - i, drawn) / comb(k, drawn) for i in range(k + 1)])
    return {
        "map": float(prevalence[prevalence > 0].mean()),
        f"top{TOP}_any": float((1 - miss[m]).mean()),
        f"top{TOP}_precision": float(m.mean() / k),
        f"top{TOP}_recall": drawn / k,
        f"top{TOP}_label": drawn / k,
        f"top{TOP}_category": drawn / k,
    }


def _affect(values: Floats) -> dict[str, Any]:
    """The column of predicted affect; nothing if a training mean is unknown."""
    return {"affect_pred": values} if values.size and not np.isnan(values).any() else {}


def _frequencies(predictions: Predictions, training: TrainingStatistics) -> dict[str, Any]:
    """How often each category was seen as its probability, and what follows."""
    several = predictions.space.multi_label
    total = training.n if several else sum(training.counts)
    if predictions.category is None or not total:
        return {}
    probability = np.tile(np.array(training.counts) / total, (len(predictions), 1))
    chosen = probability >= 0.5 if several else probability.argmax(axis=1)
    return {"probability": probability, "category_pred": chosen}


def _lookup(chosen: Categories, means: Floats, mean: Floats) -> Floats:
    """``[N, D]`` from categories ``[N]`` or ``[N, K]``, means ``[K, D]`` and ``[D]``."""
    means = np.where(np.isnan(means), mean, means)
    if chosen.ndim == 1:
        return np.asarray(means[chosen])
    several = chosen.sum(axis=1, keepdims=True)
    return np.where(several > 0, chosen @ means / np.maximum(several, 1), mean)
