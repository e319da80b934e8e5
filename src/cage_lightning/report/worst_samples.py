"""A picture sheet of the samples that a model is most wrong about."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from cage_lightning.labels import LabelSpace
from cage_lightning.predictions.table import Categories, Floats, Predictions
from cage_lightning.report.figures import Drawing, Row, new_figure

Picture = Callable[[int], Image.Image | npt.NDArray[np.uint8]]
"""The picture of a row of the predictions: of any size, grey or in colour."""

_COLUMNS, _ROWS = 6, 4
_PIXELS = 256  # a side of a picture in the sheet
_LINE = 30  # characters in a line of a caption
_LINES = 3  # of the categories of a sample, at most


def worst_first(predictions: Predictions) -> npt.NDArray[np.int64]:
    """The rows with an error, the worst first, int64 ``[M]``.

    By the confidence in a category that is wrong, where categories are predicted; among equals,
    and in a file without categories, by the affect error.
    """
    confidence, error = _wrong_confidence(predictions), _affect_error(predictions)
    order = np.lexsort((-error, -confidence))
    return order[(confidence + error)[order] > 0]


def worst_samples(predictions: Predictions, picture: Picture) -> Drawing:
    """The pictures of the worst samples with their ids, and what is true and predicted of each."""
    rows = described(predictions, worst_first(predictions)[: _COLUMNS * _ROWS])
    captions = [_caption(row, predictions.space.dimensions) for row in rows]
    columns = min(_COLUMNS, len(rows))
    height = -(-len(rows) // columns)
    lines = max(caption.count("\n") for caption in captions) + 1
    inches = (max(2.1 * columns, 4), height * (2.1 + 0.12 * lines) + 0.4)
    figure = new_figure(*inches, "The samples with the largest errors")
    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.08)
    # Anchored below: else the layout takes the gap above and below a picture for room.
    panels = figure.subplots(height, columns, squeeze=False, subplot_kw={"anchor": "S"})
    for axes in panels.flat[len(rows) :]:
        axes.set_axis_off()
    for axes, row, caption in zip(panels.flat, rows, captions, strict=False):
        shown = picture(row["row"])
        image = Image.fromarray(shown) if isinstance(shown, np.ndarray) else shown
        square = ImageOps.pad(image.convert("RGB"), (_PIXELS, _PIXELS), color="white")
        axes.imshow(np.asarray(square))
        axes.set(xticks=[], yticks=[], frame_on=False)
        axes.set_xlabel(caption, loc="left", family="monospace", fontsize=7, linespacing=1.2)
    return figure, rows


def described(predictions: Predictions, rows: Iterable[int]) -> list[Row]:
    """What is true and predicted of single samples, in the columns of a table.

    Args:
        predictions: The prediction file.
        rows: The numbers of the samples.
    """
    space, known = predictions.space, predictions.probability is not None
    confidence, error = _wrong_confidence(predictions), _affect_error(predictions)
    return [
        {
            "row": int(i),
            "id": str(predictions.id[i]),
            "category_true": _names(predictions.category, space, i),
            "category_pred": _names(predictions.category_pred, space, i),
            "confidence": float(confidence[i]) if known and confidence[i] else None,
            **_affect(predictions, i),
            "affect_error": None if predictions.affect_pred is None else float(error[i]),
        }
        for i in rows
    ]


def _wrong_confidence(predictions: Predictions) -> Floats:
    """Confidence in the wrong category, ``[N]`` in [0, 1]; 0 where nothing is wrong.

    Where several may apply, the largest one of the categories that are wrong: p of one predicted,
    1 - p of one missed. 1 in a file without probabilities.
    """
    true, predicted, probability = (
        predictions.category,
        predictions.category_pred,
        predictions.probability,
    )
    if true is None or predicted is None:
        return np.zeros(len(predictions))
    if probability is None:
        confidence = np.ones(predicted.shape)
    elif predictions.space.multi_label:
        confidence = np.where(predicted, probability, 1 - probability)
    else:
        confidence = probability[np.arange(len(predicted)), predicted]
    wrong = np.where(true != predicted, confidence, 0)
    if predictions.space.multi_label:
        return np.asarray(wrong.max(axis=1))
    return np.asarray(np.where(true >= 0, wrong, 0))


def _affect_error(predictions: Predictions) -> Floats:
    """Distance from predicted to true affect over the annotated dimensions, ``[N]``, 0 or more."""
    if predictions.affect_pred is None:
        return np.zeros(len(predictions))
    squares = (predictions.affect_pred - predictions.affect) ** 2
    return np.asarray(np.sqrt(np.nansum(squares, axis=1)))


def _names(categories: Categories | None, space: LabelSpace, row: int) -> str | None:
    """The categories of a sample, separated by semicolons."""
    if categories is None:
        return None
    own = np.flatnonzero(categories[row]) if space.multi_label else [categories[row]]
    if -1 in own:
        return None  # not annotated
    return ";".join(space.categories[k] for k in own)


def _affect(predictions: Predictions, row: int) -> Row:
    """True and predicted affect of a sample, as columns; None where there is none."""
    return {
        f"{dimension}_{side}": None
        if values is None or np.isnan(values[row, d])
        else values[row, d]
        for side, values in (("true", predictions.affect), ("pred", predictions.affect_pred))
        for d, dimension in enumerate(predictions.space.dimensions)
    }


def _caption(row: Row, dimensions: Sequence[str]) -> str:
    """A few lines of at most `_LINE` characters."""
    name = row["id"]
    lines = [name if len(name) <= _LINE else f"…{name[1 - _LINE :]}"]  # its end tells it apart
    for side in ("true", "pred"):
        if (names := row[f"category_{side}"]) is not None:
            text = f"{side} {names.replace(';', ', ') or 'none'}"
            lines += textwrap.wrap(
                text, _LINE, subsequent_indent=5 * " ", max_lines=_LINES, placeholder=" …"
            )
    if row["confidence"] is not None:
        lines.append(f"wrong with {row['confidence']:.0%} confidence")
    for side in ("true", "pred"):
        values = {d: row[f"{d}_{side}"] for d in dimensions}
        if any(value is not None for value in values.values()):
            shown = (
                f"{d[0].upper()}{'  –  ' if v is None else f'{v:+.2f}'}" for d, v in values.items()
            )
            lines.append(f"{side} {' '.join(shown)}")
    return "\n".join(lines)
