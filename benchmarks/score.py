"""Cost of bootstrap intervals of all scores, as a ratio to scoring one resample after another.

``python -m benchmarks.score`` writes score.csv beside itself, and score.md; a minute. The baseline
draws the samples and scores them with scikit-learn and NumPy, as evaluation scripts do. It makes
only a few resamples, and its time is scaled up to all of them. The two are measured in turn, in CPU
time, and the median of five rounds counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from sklearn import metrics

from benchmarks.measuring import in_turn, write
from cage_lightning.labels import AFFECTNET_8
from cage_lightning.predictions.table import Predictions, predictions_of
from cage_lightning.scores import intervals

SAMPLES, RESAMPLES, FEW = 4_000, 10_000, 50
BASE = "one after another"


def predictions() -> Predictions:
    rng = np.random.default_rng(0)
    category = np.arange(SAMPLES) % 8
    affect = rng.uniform(-1, 1, (SAMPLES, 2))
    return predictions_of(
        AFFECTNET_8,
        1.5 * np.eye(8)[category] + rng.normal(size=(SAMPLES, 8)),
        0.6 * affect + rng.normal(0, 0.3, (SAMPLES, 2)),
        AFFECTNET_8,
        np.array([str(i) for i in range(SAMPLES)]),
        category,
        affect,
    )


def one_after_another(p: Predictions) -> None:
    rng = np.random.default_rng(0)
    members = [np.flatnonzero(p.category == k) for k in range(8)]
    for _ in range(FEW):
        drawn = p.select(np.concatenate([rng.choice(rows, len(rows)) for rows in members]))
        true, predicted = drawn.category, drawn.category_pred
        metrics.accuracy_score(true, predicted)
        for average in ("weighted", "macro", None):
            metrics.precision_recall_fscore_support(
                true, predicted, average=average, zero_division=0
            )
        metrics.cohen_kappa_score(true, predicted)
        metrics.matthews_corrcoef(true, predicted)
        assert drawn.affect_pred is not None
        pairs = [*zip(drawn.affect_pred.T, drawn.affect.T, strict=True)]
        for x, y in [*pairs, (drawn.affect_pred.ravel(), drawn.affect.ravel())]:
            np.mean((x - y) ** 2)
            np.mean(abs(x - y))
            np.mean(np.sign(x) == np.sign(y))
            moments = np.cov(x, y)
            2 * moments[0, 1] / (np.trace(moments) + (x.mean() - y.mean()) ** 2)


def seconds(function: Callable[[], object], scale: float) -> float:
    start = time.process_time()
    function()
    return (time.process_time() - start) * scale


def main() -> None:
    p = predictions()
    costs = in_turn(
        {
            BASE: lambda: seconds(lambda: one_after_another(p), RESAMPLES / FEW),
            "intervals": lambda: seconds(lambda: intervals(p, RESAMPLES), 1),
        }
    )
    rows = [[name, f"{cost:.2f}", f"{cost / costs[BASE]:.4f}"] for name, cost in costs.items()]
    title = f"All scores of {SAMPLES:,} samples on {RESAMPLES:,} resamples"
    write("score", title, ["way", "CPU s", "of the first"], rows, ("scikit-learn",))


if __name__ == "__main__":
    main()
