"""How many samples a data set has, as far as that is known without reading it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from cage_lightning.affectnet_statistics import AFFECTNET_TRAINING
from cage_lightning.data.packed import map_table
from cage_lightning.demo import faces
from cage_lightning.errors import CageError
from cage_lightning.labels import AFFECTNET_7
from cage_lightning.report.published import test_samples
from cage_lightning.runs.measured import counted_by
from cage_lightning.runs.rates import Measured
from cage_lightning.system.paths import local_path

_AFFECTNET = "cage_lightning.data.datasets.AffectNet"
_DRAWN = "cage_lightning.data.datasets.DemoFaces"


class Counts(NamedTuple):
    """How many samples the splits have, by name, and what says so."""

    samples: Mapping[str, int]
    source: str


def sample_counts(settings: Mapping[str, Any], known: Sequence[Measured]) -> Counts | None:
    """Return the number of samples that a training on these settings would have.

    Args:
        settings: The config, resolved, as plain containers.
        known: What was measured on whichever data.

    Returns:
        As a run or `benchmark` with the same data has counted them; else as the packed store or
        what is published of the data set gives them, where single samples may be missing. None if
        nothing is known.
    """
    counted = counted_by(settings)
    for one in known:
        if one.counted == counted and {"train", "test"} <= one.samples.keys():
            whole = {"val": one.samples["test"]} | dict(one.samples)
            return Counts(whole, "a finished run" if one.from_run else "benchmark")
    return _of_store(settings["data"]) or _published(settings["data"])


def _of_store(data: Mapping[str, Any]) -> Counts | None:
    """As `prepare` has packed the data set."""
    if data.get("store") is None or data.get("label_space") is None:
        return None
    folder = local_path("data.store", str(data["store"])).expanduser() / str(data["label_space"])
    try:
        train, counts = _rows(folder / "train.arrow")
        test, _ = _rows(folder / "test.arrow")
        val = folder / "val.arrow"
        own = _rows(val)[0] if val.is_file() else None
    except (CageError, KeyError):
        return None
    return Counts(_split(data, train, counts, test, own), "the packed store")


def _rows(file: Path) -> tuple[int, list[int]]:
    """How many samples a file of the packed store has, and of each category if it has one each."""
    category = map_table(file)["category"]
    if not pa.types.is_integer(category.type):
        return len(category), []
    values = category.to_numpy()
    return len(values), np.bincount(values[values >= 0]).tolist()


def _published(data: Mapping[str, Any]) -> Counts | None:
    """As the paper has counted them, and the drawn faces, which are drawn in the same shares."""
    if data.get("_target_") not in (_AFFECTNET, _DRAWN):
        return None
    space = str(data["label_space"])
    seven = space == AFFECTNET_7.name
    counts = [
        row.samples
        for name, row in AFFECTNET_TRAINING.items()
        if not seven or name in AFFECTNET_7.categories
    ]
    if data["_target_"] == _AFFECTNET:
        train, test, source = sum(counts), max(test_samples(space)), "what is published"
    else:
        size = faces.SIZES.get(str(data.get("size")))
        if size is None:
            return None
        share = size.train / sum(row.samples for row in AFFECTNET_TRAINING.values())
        counts = [max(1, round(count * share)) for count in counts]
        train, source = sum(counts), "how many are drawn"
        test = size.val * 7 // 8 if seven else size.val - 1
    return Counts(_split(data, train, counts, test, None), source)


def _split(
    data: Mapping[str, Any], train: int, counts: Sequence[int], test: int, own: int | None
) -> dict[str, int]:
    """What the data module makes of the splits of the data set."""
    selection, val = data.get("selection"), own if own is not None else test
    held_out = selection == "holdout" or (selection == "own" and own is None)
    if held_out:
        share = float(data.get("holdout_fraction") or 0)
        val = round(train * share)
        train, counts = train - val, [count - round(count * share) for count in counts]
    if data.get("balance") is True and any(counts):
        occurring = [count for count in counts if count]
        train = len(occurring) * min(occurring)
    return {"train": train, "val": val, "test": test}
