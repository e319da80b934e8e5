"""Figures by category: which are confused, how reliable the confidence is, and the affect error.

Each function returns a figure and the numbers it shows, as rows of a CSV file.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cage_lightning.predictions.table import Predictions
from cage_lightning.report.affect_figures import ALL, compared_dimensions
from cage_lightning.report.figures import (
    ACCENT,
    PALETTE,
    Drawing,
    Row,
    category_bars,
    legend_below,
    new_figure,
)
from cage_lightning.scores.calibration import BINS, EDGES, bins_of, calibration_error, surplus


def confusion_matrix(predictions: Predictions) -> Drawing:
    """Figure 9: samples of each true category by what was predicted, as counts and as shares."""
    names, true, predicted = (
        predictions.space.categories,
        predictions.category,
        predictions.category_pred,
    )
    assert true is not None
    assert predicted is not None
    count = np.zeros((len(names), len(names)), np.int64)
    np.add.at(count, (true, predicted), 1)
    with np.errstate(invalid="ignore"):
        share = count / count.sum(axis=1, keepdims=True)  # NaN: no sample of the category
    size = 0.55 * len(names) + 1.5
    figure = new_figure(2 * size, size + 0.5, f"Confusion matrix (n = {len(predictions):,})")
    panels = figure.subplots(1, 2, sharey=True, subplot_kw={"anchor": "S"})
    texts = np.where(np.isnan(share), "–", np.char.mod("%.2f", share))
    for axes, title, values, text, most in (
        (panels[0], "number of samples", count, count.astype(str), count.max()),
        (panels[1], "share of the true category", np.nan_to_num(share), texts, 1),
    ):
        axes.imshow(values, cmap="Blues", vmin=0, vmax=most)
        for (i, k), value in np.ndenumerate(values):
            color = "white" if value > 0.5 * most else "black"
            axes.text(k, i, text[i, k], color=color, ha="center", va="center", fontsize=9)
        axes.set_title(title, fontsize=10)
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_xlabel("predicted")
    panels[0].set_yticks(range(len(names)), names)
    panels[0].set_ylabel("true")
    return figure, [
        {
            "category_true": row,
            "category_pred": column,
            "count": int(count[i, k]),
            "share": None if np.isnan(share[i, k]) else float(share[i, k]),
        }
        for i, row in enumerate(names)
        for k, column in enumerate(names)
    ]


def category_rates(predictions: Predictions) -> Drawing:
    """How often a category is predicted where it applies, and where it does not.

    What a confusion matrix shows where several categories may apply to one sample.
    """
    names, true, predicted = (
        predictions.space.categories,
        predictions.category,
        predictions.category_pred,
    )
    assert true is not None
    assert predicted is not None
    rows: list[dict[str, Any]] = [{"category": name} for name in names]
    title = f"Predicted categories (n = {len(predictions):,}); beside the bar: of how many"
    figure = new_figure(11, 0.27 * len(names) + 1.5, title)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, kind, samples, of, where, color in (
        (panels[0], "true_positive", true, "positives", "applies", PALETTE[0]),
        (panels[1], "false_positive", ~true, "negatives", "does not apply", PALETTE[1]),
    ):
        n, counts = samples.sum(axis=0).tolist(), (samples & predicted).sum(axis=0).tolist()
        for k, row in enumerate(rows):
            rate = counts[k] / n[k] if n[k] else None
            row |= {f"{kind}s": counts[k], of: n[k], f"{kind}_rate": rate}
        bars = [(100 * (row[f"{kind}_rate"] or 0), row[of]) for row in rows]
        category_bars(axes, names, {kind: bars}, {kind: color})
        axes.set_xlabel(f"{kind.replace('_', '-')} rate: predicted where it {where} (%)")
    return figure, rows


def error_by_category(predictions: Predictions) -> Drawing:
    """Mean absolute error of each dimension by true category, and of all samples.

    A sample counts in every category that applies to it.
    """
    space, category, predicted = predictions.space, predictions.category, predictions.affect_pred
    assert category is not None
    assert predicted is not None
    groups = {ALL: np.ones(len(predictions), bool)} | {
        name: np.asarray(category[:, k] if space.multi_label else category == k)
        for k, name in enumerate(space.categories)
    }
    dimensions = compared_dimensions(predictions)
    width, height = max(3.6 * len(dimensions) + 1.6, 7), 0.27 * len(groups) + 1.6
    title = "Affect error by true category; beside the bar: number of samples"
    figure = new_figure(width, height, title)
    panels = figure.subplots(1, len(dimensions), sharey=True, squeeze=False)[0]
    rows: list[Row] = []
    for axes, (dimension, d) in zip(panels, dimensions.items(), strict=True):
        errors = np.abs(predicted[:, d] - predictions.affect[:, d])
        bars = []
        for name, group in groups.items():
            own = errors[group & ~np.isnan(errors)]
            mae = float(own.mean()) if len(own) else None
            rows.append({"dimension": dimension, "category": name, "n": len(own), "mae": mae})
            bars.append((mae or 0.0, len(own)))
        category_bars(axes, list(groups), {dimension: bars}, {dimension: PALETTE[d]})
        axes.set_xlabel(f"MAE of {dimension}, affect in [-1, 1]")
    return figure, rows


def reliability(predictions: Predictions) -> Drawing:
    """Reliability diagram: accuracy against confidence in bins of equal width, and their sizes.

    What the bins and the calibration error in the title are is in `scores.calibration`.
    """
    probability, category = predictions.probability, predictions.category
    assert probability is not None
    assert category is not None
    confidence = probability.max(axis=1)
    correct = probability.argmax(axis=1) == category
    bins = bins_of(confidence)
    rows: list[Row] = []
    for i in range(BINS):
        own = bins == i
        row = dict.fromkeys(("confidence", "accuracy", "gap"))
        if own.any():
            sure, right = float(confidence[own].mean()), float(correct[own].mean())
            row = {"confidence": sure, "accuracy": right, "gap": sure - right}
        span = {"from": round(float(EDGES[i]), 6), "to": round(float(EDGES[i + 1]), 6)}
        rows.append({**span, "n": int(own.sum()), **row})
    sums = surplus(probability, category).sum(axis=0, keepdims=True)
    (ece,) = calibration_error(sums, np.array([len(predictions)]))
    title = f"Reliability (n = {len(predictions):,}): ECE = {ece:.3f} ({BINS} bins)"
    figure = new_figure(6, 7, title)
    upper, lower = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    filled = [row for row in rows if row["n"]]
    left = [row["from"] for row in filled]
    accuracy = [row["accuracy"] for row in filled]
    gap = [row["gap"] for row in filled]
    place = {"x": left, "width": 1 / BINS, "align": "edge"}
    upper.bar(height=accuracy, color=PALETTE[4], edgecolor="white", label="accuracy", **place)
    label = "gap to the mean confidence"
    upper.bar(height=gap, bottom=accuracy, fc="none", ec=ACCENT, hatch="//", label=label, **place)
    upper.plot([0, 1], [0, 1], "--", color="0.3", lw=1, label="calibrated")
    upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
    shares = [100 * row["n"] / len(predictions) for row in filled]
    lower.bar(height=shares, color="0.6", edgecolor="white", **place)
    lower.set(xlabel="confidence", ylabel="samples (%)")
    legend_below(figure)
    return figure, rows
