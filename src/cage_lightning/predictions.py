"""The prediction file: one row per sample of the test split, with the label space in its metadata.

Columns: ``id``; ``category_true``, ``category_pred`` and ``prob_<category>``; and
``<dimension>_true``, ``<dimension>_pred``. Categories are names (lists of names where several may
apply), affect lies in [-1, 1], null where not annotated.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cage_lightning.atomic import write_atomic
from cage_lightning.labels import LabelSpace

_LABEL_SPACE = b"label_space"


def write_predictions(
    path: Path,
    space: LabelSpace,
    ids: Sequence[str],
    category: np.ndarray[Any, Any],
    affect: np.ndarray[Any, Any],
    logits: np.ndarray[Any, Any] | None,
    affect_pred: np.ndarray[Any, Any] | None,
) -> None:
    """Write a prediction file, atomically.

    Args:
        path: The parquet file.
        space: The label space of the columns.
        ids: ``[N]`` sample ids.
        category: True categories, int ``[N]`` or multi-hot ``[N, K]``.
        affect: True affect ``[N, D]`` in [-1, 1], NaN where not annotated.
        logits: ``[N, K]``, or None for a model without categories.
        affect_pred: ``[N, D]``, or None for a model without affect.
    """
    columns: dict[str, Any] = {"id": list(ids), "category_true": _names(space, category)}
    if logits is not None:
        probability = _probability(logits.astype(np.float64), space.multi_label)
        chosen = probability >= 0.5 if space.multi_label else probability.argmax(axis=1)
        columns["category_pred"] = _names(space, chosen)
        for k, name in enumerate(space.categories):
            columns[f"prob_{name}"] = probability[:, k]
    for d, name in enumerate(space.dimensions):
        columns[f"{name}_true"] = pa.array(affect[:, d], from_pandas=True)  # NaN becomes null
        if affect_pred is not None:
            columns[f"{name}_pred"] = affect_pred[:, d]
    table = pa.table(columns).replace_schema_metadata(
        {_LABEL_SPACE: json.dumps(space.to_dict()).encode()}
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    write_atomic(path, buffer.getvalue())


def read_predictions(path: Path) -> tuple[pa.Table, LabelSpace]:
    """Read a prediction file written by `write_predictions`."""
    table = pq.read_table(path)
    return table, LabelSpace.from_dict(json.loads(table.schema.metadata[_LABEL_SPACE]))


def _names(space: LabelSpace, category: np.ndarray[Any, Any]) -> list[Any]:
    if category.ndim == 1:
        return [space.categories[int(k)] for k in category]
    return [[space.categories[k] for k in np.flatnonzero(row)] for row in category]


def _probability(logits: np.ndarray[Any, Any], multi_label: bool) -> np.ndarray[Any, Any]:
    """Sigmoid where several categories may apply, softmax where exactly one does."""
    if multi_label:
        probability = np.exp(-np.logaddexp(0, -logits))
    else:
        exponent = np.exp(logits - logits.max(axis=1, keepdims=True))
        probability = exponent / exponent.sum(axis=1, keepdims=True)
    return np.asarray(probability)
