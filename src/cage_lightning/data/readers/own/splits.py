"""The splits of a data set of somebody's own: given ones, and those that are drawn."""

from __future__ import annotations

import logging

import numpy as np
import numpy.typing as npt

from cage_lightning.data.readers.own.categories import Category
from cage_lightning.data.readers.own.rules import Rules
from cage_lightning.data.readers.samples import Samples
from cage_lightning.data.subsets import stratified_holdout
from cage_lightning.errors import ConfigError, DataError

logger = logging.getLogger(__name__)

_GROUPS = ("person", "video")


def group_of(samples: Samples, rules: Rules) -> str | None:
    """The group of which no value may be in two splits; None where there is none.

    Raises:
        ConfigError: The settings name one that is not read.
    """
    groups, wanted = samples.groups, rules.group_by
    if wanted == "auto":
        return next((name for name in _GROUPS if name in groups), None)
    if wanted is not None and wanted not in groups:
        there = ", ".join(groups) or "none"
        raise ConfigError(
            f"data.group_by={wanted}: the groups that are read are {there}; name its column with "
            f"data.groups={{{wanted}: COLUMN}}, or set data.group_by=null"
        )
    return wanted


def make_splits(samples: Samples, category: Category, rules: Rules, group_by: str | None) -> None:
    """Draw the splits that there are not, into `samples.split`.

    Each is a share of every category, drawn with the seed from the samples in the order of their
    ids, so that the order of the file does not matter. Groups stay whole.

    Raises:
        ConfigError: There are fewer than two groups.
    """
    splits = samples.split
    if "" in splits:
        _draw(samples, category, ("", "test", rules.test_fraction), rules.seed, group_by)
        splits[:] = [split or "train" for split in splits]
    elif "val" in splits and "test" not in splits:
        logger.info("there is no test split: val is reported")
        samples.rename_split("val", "test")
    if "val" not in splits and rules.val_fraction is not None:
        _draw(samples, category, ("train", "val", rules.val_fraction), rules.seed, group_by)


def _draw(
    samples: Samples,
    category: Category,
    share: tuple[str, str, float],
    seed: int,
    group_by: str | None,
) -> None:
    """Give a share of one split the name of another: (of, name, share)."""
    of, name, fraction = share
    rows = samples.rows_of(of)
    rows = rows[np.argsort(np.array(samples.ids(), np.str_)[rows], kind="stable")]
    if fraction < 1:
        stratum = category[rows]
        if stratum.ndim == 1:  # those without a category are a class of their own
            stratum = np.where(stratum < 0, stratum.max(initial=0) + 1, stratum)
        groups = None if group_by is None else np.array(samples.groups[group_by], np.str_)[rows]
        rows = rows[stratified_holdout(stratum, fraction, seed, groups)[1]]
    for row in rows.tolist():
        samples.split[row] = name
    whole = "" if group_by is None else f", each {group_by} whole"
    logger.info("%s split: %d samples drawn with seed %d%s", name, len(rows), seed, whole)


def check_splits(samples: Samples, rules: Rules, group_by: str | None) -> None:
    """Refuse a data set without a test split, or with a group in two splits.

    Such a group is only told of where nobody asked for it.

    Raises:
        DataError: Names the first group.
    """
    if "test" not in samples.split:
        left_out = ", ".join(f"{why}: {n}" for (_, why), n in samples.left_out.items()) or "none"
        there = ", ".join(dict.fromkeys(samples.split)) or "no row"
        raise DataError(
            f"{samples.origin}: there is no row of the test split, only {there} (left out: "
            f"{left_out}): mark rows as test, or have it drawn with data.columns.split=''"
        )
    if group_by is None:
        return
    sides: dict[str, set[str]] = {}
    for group, split in zip(samples.groups[group_by], samples.split, strict=True):
        sides.setdefault(group, set()).add(split)
    sides.pop("", None)
    torn = [group for group, splits in sides.items() if len(splits) > 1]
    if not torn:
        return
    problem = (
        f"{samples.origin}: {len(torn)} of {len(sides)} values of {group_by} are in more than one "
        f"split (the first: {torn[0]!r} in {', '.join(sorted(sides[torn[0]]))})"
    )
    if rules.group_by == group_by:
        raise DataError(f"{problem}: correct the splits, or set data.group_by=null")
    logger.warning("%s: results on such a test split are too good", problem)


def labelled(samples: Samples) -> npt.NDArray[np.bool_]:
    """Which samples have any label."""
    found = ~np.isnan(samples.affect).all(axis=1)
    found |= np.array([bool(names) for names in samples.names], dtype=bool)
    if samples.soft is not None:
        found |= samples.soft.any(axis=1)
    return found
