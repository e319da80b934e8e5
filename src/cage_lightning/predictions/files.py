"""Prediction files, written and read.

Ours is a parquet file with one row per sample: ``id``; ``category_true``, ``category_pred`` and
``prob_<category>``; and ``<dimension>_true``, ``<dimension>_pred``. Categories are names (lists of
names where several may apply), affect lies in [-1, 1]; both are null where not annotated.
``group_<name>`` says in words what else is known of a sample, such as its video. The label
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
import pyarrow.parquet as pq

from cage_lightning.errors import ConfigError, DataError, check_choice, first_line
from cage_lightning.labels import AFFECTNET_8, LABEL_SPACES, LabelSpace, space_in_order
from cage_lightning.predictions.columns import GROUP, Columns, is_known, recognise, to_predictions
from cage_lightning.predictions.table import Categories, Predictions
from cage_lightning.system.atomic import write_atomic
from cage_lightning.system.delimited import read_delimited
from cage_lightning.system.parquet import open_parquet, read_whole
from cage_lightning.training_statistics import TrainingStatistics

_LABEL_SPACE = b"label_space"
_TRAINING = b"training"
_DIGEST = b"digest"
_COLUMNS = b"column_digests"

_Found = Sequence[tuple[str, list[Any]]]  # the columns of a file


def write_predictions(path: Path, predictions: Predictions) -> str:
    """Write a prediction file (parquet), atomically.

    Returns:
        The SHA-256 of the file, in hexadecimal.
    """
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
    columns |= {f"{GROUP}{name}": column.tolist() for name, column in predictions.groups.items()}
    metadata = {_LABEL_SPACE: json.dumps(space.to_dict()).encode()}
    if predictions.training is not None:
        metadata[_TRAINING] = json.dumps(asdict(predictions.training)).encode()
    table = pa.table(columns)
    metadata[_COLUMNS] = json.dumps(_digests(table)).encode()
    metadata[_DIGEST] = _digest(metadata)
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata), buffer, write_page_checksum=True)
    write_atomic(path, buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def read_predictions(
    path: Path, label_space: str | None = None, categories: Sequence[str] | None = None
) -> Predictions:
    """Read a prediction file: ours, or a CSV file with its columns or the published ones.

    Args:
        path: The file; by its ending parquet or CSV (in UTF-8, UTF-16 or Latin-1, separated by
            comma, semicolon, tab or bar).
        label_space: Name of the label space of a CSV file; None: recognise it. AffectNet-8 differs
            from AffectNet-7 in that Contempt occurs in the truth.
        categories: What the numbers 0, 1, ... in the columns of categories, and in names such as
            ``prob_0``, mean, if that is not the order of the label space.

    Raises:
        ConfigError: No such file; another kind of file; `label_space` or `categories` contradicts
            the file.
        DataError: A column is missing or there twice, a value unknown, missing or out of range, an
            id occurs twice; the file and row are named.
    """
    if label_space is not None:
        check_choice("label_space", label_space, tuple(LABEL_SPACES))
    if not path.is_file():
        raise ConfigError(f"there is no prediction file {path}")
    suffix = path.suffix.lower()
    if suffix not in (".parquet", ".csv", ".tsv"):
        raise ConfigError(f"{path}: a prediction file ends in .parquet or .csv")
    try:
        found, metadata = _read_parquet(path) if suffix == ".parquet" else _read_text(path)
        space, training = _metadata(metadata)
    except (pa.ArrowException, OSError, ValueError, OverflowError, RecursionError) as error:
        what = first_line(error)
        raise DataError(f"{path}: not a readable {suffix} file: {what}") from None
    order = _order(path, space, label_space, categories)
    columns = Columns.of(
        path, found, order.categories if order else (), space.categories if space else ()
    )
    if space is None:
        space = order or (LABEL_SPACES[label_space] if label_space else recognise(columns))
        space = LABEL_SPACES[space.name]
    elif label_space not in (None, space.name):
        raise ConfigError(f"{path} is of {space.name}, not of label_space={label_space}")
    return to_predictions(columns, space, training, order.categories if order else ())


def _order(
    path: Path, space: LabelSpace | None, label_space: str | None, categories: Sequence[str] | None
) -> LabelSpace | None:
    """A label space with the categories in the order that a user names; None if none is named.

    Raises:
        ConfigError: They are not those of a label space, or the file says what it has.
    """
    if categories is None:
        return None
    if space is not None:
        raise ConfigError(f"{path} names its categories itself: leave categories=... out")
    try:
        order = space_in_order(categories, AFFECTNET_8)
    except ValueError as error:
        raise ConfigError(f"categories: {error}") from error
    if order.name not in (LABEL_SPACES if label_space is None else (label_space,)):
        raise ConfigError(
            f"categories names {', '.join(order.categories)}, which are not all the categories of "
            f"{label_space or 'one of ' + ', '.join(LABEL_SPACES)}"
        )
    return order


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
    """Whether every probability and predicted affect of one of our parquet files is a number.

    Raises:
        DataError: It cannot be read.
    """
    try:
        file = open_parquet(path)
        outputs = [
            name
            for name in file.schema_arrow.names
            if name.startswith("prob_") or (name.endswith("_pred") and name != "category_pred")
        ]
        columns = read_whole(path, file, outputs).itercolumns()
        return all(np.isfinite(column.to_numpy()).all() for column in columns)
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        raise DataError(f"{path} is unreadable: {first_line(error)}") from error


def _digest(metadata: Mapping[bytes, bytes]) -> bytes:
    """The checksum of what a file says of its label space and of the training split."""
    content = b"\0".join(metadata.get(key, b"") for key in (_LABEL_SPACE, _TRAINING))
    return hashlib.sha256(content).hexdigest().encode()


def _digests(table: pa.Table) -> dict[str, str]:
    """The checksum of each column of a file, by its name.

    The pages of a file have checksums of their own, but not what says how they are to be read.
    """
    return {
        name: hashlib.sha256(_bytes(column)).hexdigest()[:16]
        for name, column in zip(table.column_names, table.columns, strict=True)
    }


def _bytes(column: pa.ChunkedArray) -> bytes:
    if not pa.types.is_floating(column.type):
        return repr(column.to_pylist()).encode()
    values = column.to_numpy() + 0  # as in a dictionary of Parquet, there is one zero and one NaN
    return b"%d " % column.null_count + np.where(np.isnan(values), np.nan, values).tobytes()


def _check_columns(table: pa.Table, metadata: Mapping[bytes, bytes]) -> None:
    """Compare the columns with their checksums; older files, and those of others, have none.

    Raises:
        ValueError: One has changed since the file was written, or is missing.
    """
    if _COLUMNS not in metadata:
        return
    written, found = json.loads(metadata[_COLUMNS]), _digests(table)
    if not isinstance(written, dict):
        raise ValueError("its checksums have changed since it was written")
    for name, digest in written.items():
        if found.get(name) != digest:
            raise ValueError(f"its column {name!r} has changed since it was written")


def _read_parquet(path: Path) -> tuple[_Found, dict[bytes, bytes]]:
    # Not `read_table`, which refuses a column that is there twice without saying where.
    table = read_whole(path, open_parquet(path))
    table.validate(full=True)
    metadata = table.schema.metadata or {}
    _check_columns(table, metadata)
    columns = zip(table.column_names, table.columns, strict=True)
    return [(name, column.to_pylist()) for name, column in columns], metadata


def _read_text(path: Path) -> tuple[_Found, dict[bytes, bytes]]:
    return read_delimited(path, is_known), {}


def _names(space: LabelSpace, category: Categories) -> list[Any]:
    if category.ndim == 1:
        return [space.categories[k] if k >= 0 else None for k in category.tolist()]
    return [[space.categories[k] for k in np.flatnonzero(row)] for row in category]
