"""Whether scores and the prediction file beside them belong together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cage_lightning.errors import DataError
from cage_lightning.scores.results import SCORED
from cage_lightning.system.paths import is_inside, sha256_of


def check_pair(folder: Path, metrics: Mapping[str, Any]) -> None:
    """Compare the prediction file in a folder with the one that the scores there are of.

    Scores of earlier versions do not say it, and the file need not be there.

    Args:
        folder: A run folder, or one of an evaluation.
        metrics: The content of its metrics.json.

    Raises:
        DataError: It is another file.
    """
    predictions, meta = folder / "predictions.parquet", metrics.get("meta")
    scored = meta.get(SCORED) if isinstance(meta, dict) else None
    if scored is None or not is_inside(folder, predictions):
        return
    if sha256_of(predictions) != scored:
        raise DataError(
            f"{folder / 'metrics.json'} has the scores of other predictions than {predictions} "
            "holds, as when an evaluation was stopped between the two or a file was damaged: "
            f"evaluate again, or `python -m cage_lightning.score predictions={predictions}`"
        )
