"""The size of a dataset and the weights of its categories: Tables 3 and 4 of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cage_lightning.data.class_weights import (
    PAPER_CLASS_WEIGHTS,
    inverse_frequency,
    positive_weights,
)
from cage_lightning.labels import LABEL_SPACES, LabelSpace
from cage_lightning.report.dataset_figures import Splits, annotated
from cage_lightning.report.figures import Row
from cage_lightning.system.atomic import write_atomic, write_csv
from cage_lightning.system.markdown import markdown_table

_SPLITS = {"train": "Train", "val": "Validation", "test": "Test"}
_DIMENSIONS = ("valence", "arousal", "dominance")  # a data set that people know has some of them


def table3(title: str, space: LabelSpace, splits: Splits) -> list[Row]:
    """Samples per split, categories, dimensions and their scale in the dataset's own files.

    A dimension that no sample has is not one of the dataset's.
    """
    present = annotated(space, *splits.values())
    dimensions = _DIMENSIONS if space.name in LABEL_SPACES else space.dimensions
    sizes = {split: len(splits[split]) if split in splits else 0 for split in _SPLITS}
    properties: dict[str, object] = {
        **{f"{name} samples": f"{sizes[split]:,}" for split, name in _SPLITS.items()},
        "Distinct categories": len(space.categories),
        "Categories of a sample": "any number" if space.multi_label else "one",
        **{name.capitalize(): "yes" if name in present else "no" for name in dimensions},
    }
    if present:
        low, high = space.native_range
        scale = f"[{low:g}, {high:g}] ({_kind(space, splits)})"
        properties[f"Scale of {', '.join(present)}"] = scale
    return [{"property": name, title: value} for name, value in properties.items()]


def table4(space: LabelSpace, splits: Splits, of_the_paper: bool = True) -> list[Row]:
    """Training samples of each category and its weight in the cross-entropy.

    `inverse_frequency` of the counts, beside the published weights where the paper has them; or
    `positive_weights` where several categories may apply. A category without a sample has none.

    Args:
        space: What is annotated.
        splits: The splits by name.
        of_the_paper: Whether it is a data set of the paper, or drawn after one; others may have
            the same categories.
    """
    counts, n = splits["train"].class_counts().tolist(), len(splits["train"])
    occurring = [k for k, count in enumerate(counts) if count]
    present = [counts[k] for k in occurring]
    if space.multi_label:
        column, values = "positive_weight", positive_weights(present, n)
    else:
        column, values = "weight", inverse_frequency(present)
    weights = dict(zip(occurring, values, strict=True))
    paper = PAPER_CLASS_WEIGHTS.get(space.name) if of_the_paper else None
    return [
        {
            "category": name,
            "train_samples": counts[k],
            column: f"{weights[k]:.6f}" if k in weights else None,
            **({} if paper is None else {"paper": f"{paper[k]:.6f}"}),
        }
        for k, name in enumerate(space.categories)
    ]


def save_table(folder: Path, name: str, heading: str, rows: Sequence[Row]) -> None:
    """Write ``<name>.csv`` and, under `heading`, ``<name>.md``."""
    columns = list(rows[0])
    write_csv(folder / f"{name}.csv", columns, rows)
    texts = [["" if row[c] is None else str(row[c]) for c in columns] for row in rows]
    table = markdown_table(columns, texts, right=range(1, len(columns)))
    write_atomic(folder / f"{name}.md", f"# {heading}\n\n{table}")


def _kind(space: LabelSpace, splits: Splits) -> str:
    """Whether the affect values are whole numbers in their own scale, up to float32."""
    values = np.concatenate([space.to_native(table.affect).ravel() for table in splits.values()])
    values = values[~np.isnan(values)]
    return "integers" if np.allclose(values, np.round(values), atol=1e-4) else "floats"
