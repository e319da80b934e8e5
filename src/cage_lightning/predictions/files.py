"""Prediction files, written and read.

Ours is a parquet file with one row per sample: ``id``; ``category_true``, ``category_pred`` and
``prob_<category>``; and ``<dimension>_true``, ``<dimension>_pred``. Categories are names (lists of
names where several may apply), affect lies in [-1, 1]; both are null where not annotated. The label
space, and what the model's training split was like, are in the file's metadata. A CSV file may have
the same columns, or those of the published ``inference.csv``.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from cage_lightning.errors import ConfigError, DataError, check_choice, first_line
from cage_lightning.labels import AFFECTNET_7, AFFECTNET_8, EMOTIC, LABEL_SPACES, LabelSpace
from cage_lightning.predictions.table import Categories, Floats, Predictions
from cage_lightning.system.atomic import write_atomic
from cage_lightning.training_statistics import TrainingStatistics

_LABEL_SPACE = b"label_space"
_TRAINING = b"training"
_DIGEST = b"digest"
_LARGEST = np.finfo(np.float32).max
_SEPARATOR = ";"  # of the categories of a sample in a CSV file, where several may apply

# The published inference.csv -> the names of ours.
_PUBLISHED = {
    "cat_true": "category_true",
    "cat_pred": "category_pred",
    "val_true": "valence_true",
    "val_pred": "valence_pred",
    "aro_true": "arousal_true",
    "aro_pred": "arousal_pred",
}


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write a prediction file (parquet), atomically."""
    space = predictions.space
    columns: dict[str, Any] = {"id": predictions.id.tolist()}
    for name in ("category", "category_pred"):
        column = getattr(predictions, name)
        if column is not None:
            key = "category_true" if name == "category" else name
            columns[key] = _names(space, column)
    if predictions.probability is not None:
        for k, category in enumerate(space.categories):
            columns[f"prob_{category}"] = predictions.probability[:, k]
    for d, dimension in enumerate(space.dimensions):
        true = pa.array(predictions.affect[:, d].astype(np.float32), from_pandas=True)
        columns[f"{dimension}_true"] = true  # NaN has become null
        if predictions.affect_pred is not None:
            columns[f"{dimension}_pred"] = predictions.affect_pred[:, d].astype(np.float32)
    metadata = {_LABEL_SPACE: json.dumps(space.to_dict()).encode()}
    if predictions.training is not None:
        metadata[_TRAINING] = json.dumps(asdict(predictions.training)).encode()
    metadata[_DIGEST] = _digest(metadata)
    buffer = io.BytesIO()
    table = pa.table(columns).replace_schema_metadata(metadata)
    pq.write_table(table, buffer, write_page_checksum=True)
    write_atomic(path, buffer.getvalue())


def read_predictions(path: Path, label_space: str | None = None) -> Predictions:
    """Read a prediction file: ours, or a CSV file with its columns or the published ones.

    Args:
        path: The file; by its ending parquet or CSV.
        label_space: Name of the label space of a CSV file; None: recognise it. AffectNet-8 differs
            from AffectNet-7 in that Contempt occurs in the truth.

    Raises:
        ConfigError: No such file; another kind of file; `label_space` contradicts the file.
        DataError: A column is missing, a value unknown or out of range; the file and row are named.
    """
    if label_space is not None:
        check_choice("label_space", label_space, tuple(LABEL_SPACES))
    if not path.is_file():
        raise ConfigError(f"there is no prediction file {path}")
    read = {".parquet": _read_parquet, ".csv": _read_csv}.get(path.suffix.lower())
    if read is None:
        raise ConfigError(f"{path}: a prediction file ends in .parquet or .csv")
    try:
        table = read(path)
        table.validate(full=True)
        columns = {_PUBLISHED.get(n, n): table[n].to_pylist() for n in table.column_names}
        space, training = _metadata(table.schema.metadata or {})
    except (pa.ArrowException, OSError, ValueError, RecursionError) as error:
        what = first_line(error)
        raise DataError(f"{path}: not a readable {path.suffix} file: {what}") from None
    if space is None:
        space = LABEL_SPACES[label_space] if label_space else _recognise(path, columns)
    elif label_space not in (None, space.name):
        raise ConfigError(f"{path} is of {space.name}, not of label_space={label_space}")
    return _from_columns(path, space, columns, training)


def _metadata(
    metadata: Mapping[bytes, bytes],
) -> tuple[LabelSpace | None, TrainingStatistics | None]:
    """Label space and training statistics in the metadata of a file; None where it has none.

    Raises:
        ValueError: It has changed since it was written, or is none of ours.
    """
    if metadata.get(_DIGEST, expected := _digest(metadata)) != expected:
        raise ValueError("its label space or training statistics have changed")
    if _LABEL_SPACE not in metadata:
        return None, None
    space = LabelSpace.from_dict(json.loads(metadata[_LABEL_SPACE]))
    known = metadata.get(_TRAINING)
    return space, TrainingStatistics.from_dict(json.loads(known), space) if known else None


def has_finite_outputs(path: Path) -> bool:
    """Whether every probability and predicted affect of one of our parquet files is a number."""
    file = pq.ParquetFile(path)
    outputs = [
        name
        for name in file.schema_arrow.names
        if name.startswith("prob_") or (name.endswith("_pred") and name != "category_pred")
    ]
    columns = file.read(columns=outputs).itercolumns()
    return all(np.isfinite(column.to_numpy()).all() for column in columns)


def _digest(metadata: Mapping[bytes, bytes]) -> bytes:
    """The checksum of the metadata of a file; its pages have checksums of their own."""
    content = b"\0".join(metadata.get(key, b"") for key in (_LABEL_SPACE, _TRAINING))
    return hashlib.sha256(content).hexdigest().encode()


def _read_parquet(path: Path) -> pa.Table:
    return pq.read_table(path, page_checksum_verification=True)


def _read_csv(path: Path) -> pa.Table:
    return pa.csv.read_csv(path)


def _recognise(path: Path, columns: Mapping[str, Any]) -> LabelSpace:
    """The label space of a CSV file from its columns and categories."""
    named = tuple(name.removeprefix("prob_") for name in columns if name.startswith("prob_"))
    for space in LABEL_SPACES.values():
        if named == space.categories:
            return space
    if "dominance_true" in columns:
        return EMOTIC
    true, predicted = (set(columns.get(f"category_{side}", ())) for side in ("true", "pred"))
    if not true | predicted:
        return AFFECTNET_8  # its categories are not used
    for codes in (set(range(8)), set(AFFECTNET_8.categories)):
        if true <= codes and predicted <= codes:
            contempt = codes - set(range(7)) - set(AFFECTNET_7.categories)
            if contempt <= true:
                return AFFECTNET_8
            if not contempt & predicted:
                return AFFECTNET_7
    raise ConfigError(
        f"{path} does not say which categories it has: name them with label_space="
        f"{'|'.join(LABEL_SPACES)}"
    )


def _from_columns(
    path: Path,
    space: LabelSpace,
    columns: Mapping[str, list[Any]],
    training: TrainingStatistics | None,
) -> Predictions:
    n = len(next(iter(columns.values()), []))
    if not n:
        raise DataError(f"{path}: there is no row in it")

    def category(name: str) -> Categories | None:
        return _categories(path, name, space, columns[name]) if name in columns else None

    def numbers(prefix: str, suffix: str, names: Sequence[str], needed: bool) -> Floats | None:
        there = [f"{prefix}{name}{suffix}" for name in names]
        missing = [name for name in there if name not in columns]
        if len(missing) == len(there) and not needed:
            return None
        if missing:
            raise DataError(
                f"{path}: there is no column {missing[0]!r}; it has {', '.join(columns)}"
            )
        return np.stack([_numbers(path, name, columns[name]) for name in there], axis=1)

    affect_pred = numbers("", "_pred", space.dimensions, needed=False)
    affect = numbers("", "_true", space.dimensions, needed=affect_pred is not None)
    probability = numbers("prob_", "", space.categories, needed=False)
    chosen, true = category("category_pred"), category("category_true")
    if chosen is not None and true is None:
        raise DataError(f"{path}: there is no column 'category_true' to compare 'category_pred' to")
    if chosen is None and affect_pred is None:
        raise DataError(
            f"{path}: nothing is predicted in it: expected 'category_pred', or "
            f"{', '.join(f'{d}_pred' for d in space.dimensions)} (or the published names "
            f"{', '.join(_PUBLISHED)}); it has {', '.join(columns)}"
        )
    nothing = np.full((n, len(space.dimensions)), np.nan)
    for name, values, low, high in (
        ("predicted affect", affect_pred, -_LARGEST, _LARGEST),
        ("probability", probability, 0, 1),
        ("true affect", None if affect is None else np.nan_to_num(affect), -1, 1),
    ):
        if values is not None and not (sound := ((values >= low) & (values <= high)).all(1)).all():
            row = int(np.flatnonzero(~sound)[0])
            raise DataError(
                f"{path}: row {row}: {name} {values[row].tolist()} is no number or out of range "
                f"({int((~sound).sum())} such rows of {n})"
            )
    return Predictions(
        space=space,
        id=np.array([str(x) for x in columns.get("id", range(n))], np.str_),
        category=true,
        affect=nothing if affect is None else affect,
        category_pred=chosen,
        probability=probability,
        affect_pred=affect_pred,
        training=training,
    )


def _numbers(path: Path, name: str, values: list[Any]) -> Floats:
    for row, value in enumerate(values):
        if not (value is None or isinstance(value, int | float)):
            raise DataError(f"{path}: row {row}: {name} is {value!r}, not a number")
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _categories(path: Path, name: str, space: LabelSpace, values: list[Any]) -> Categories:
    """Categories from names or numbers; where several may apply, from lists or joined names.

    A single true category may be null.
    """
    number: dict[Any, int] = {category: k for k, category in enumerate(space.categories)}
    number |= {k: k for k in range(len(space.categories))}
    multi_hot = np.zeros((len(values), len(space.categories)), dtype=bool)
    for row, value in enumerate(values):
        several = value if isinstance(value, list) else [value]
        if space.multi_label and isinstance(value, str):
            several = value.split(_SEPARATOR) if value else []
        elif value is None and name == "category_true":
            several = []
        for one in several:
            if one not in number:
                raise DataError(
                    f"{path}: row {row}: {name} is {one!r}, which is no category of {space.name}: "
                    f"expected {', '.join(space.categories)}, or their numbers from 0"
                )
            multi_hot[row, number[one]] = True
    if space.multi_label:
        return multi_hot
    return np.where(multi_hot.any(axis=1), multi_hot.argmax(axis=1), -1)


def _names(space: LabelSpace, category: Categories) -> list[Any]:
    if category.ndim == 1:
        return [space.categories[k] if k >= 0 else None for k in category.tolist()]
    return [[space.categories[k] for k in np.flatnonzero(row)] for row in category]
