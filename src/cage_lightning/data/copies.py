"""Acting on the copies that `prepare` has found: what leaks, and what belongs together."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cage_lightning.data.annotations import Annotations
from cage_lightning.errors import ConfigError, DataError

log = logging.getLogger(__name__)

Labels = npt.NDArray[np.str_]
Copies = Literal["keep", "drop"]
"""What becomes of copies: nothing, or the leaking ones are dropped from the training split."""


def acted_on(train: Annotations, others: Mapping[str, Annotations], copies: Copies) -> Annotations:
    """The training split without what leaks into it from other splits, or with a word about that.

    Raises:
        ConfigError: The leaks are to be dropped, and nobody has looked for copies.
        DataError: Nothing is left.
    """
    known = all(table.copies is not None for table in (train, *others.values()))
    if copies == "drop" and not known:
        raise ConfigError(
            f"data.copies=drop: the copies in {train.root} are not known. Run python -m "
            "cage_lightning.prepare with the same data settings first (again, if the packed store "
            "is older than this setting), and leave data.store as it is"
        )
    if copies == "drop":
        return without_leaks(train, others)
    found = [leaks(train, other) for other in others.values()] if known else []
    if count := int(np.any(found, axis=0).sum()):
        log.warning(
            "%d of the %d training samples are copies of pictures in the %s split: "
            "data.copies=drop leaves them out",
            count,
            len(train),
            " or ".join(others),
        )
    return train


def kept_together(table: Annotations, group_by: str | None, copies: Copies) -> Labels | None:
    """Groups of rows that must not be on two sides of a hold-out; None where there are none.

    Args:
        table: The training split.
        group_by: The column of `Annotations.groups` whose values stay together.
        copies: With ``drop``, copies of each other stay together as well.
    """
    groups = [] if group_by is None else [table.groups[group_by]]
    if copies == "drop" and table.copies is not None:
        groups.append(table.copies)
    return together(*groups) if len(groups) > 1 else next(iter(groups), None)


def leaks(table: Annotations, other: Annotations) -> npt.NDArray[np.bool_]:
    """Which rows ``[N]`` of a table show a picture that another split holds a copy of.

    In both, somebody must have looked for copies.
    """
    assert table.copies is not None
    assert other.copies is not None
    found: npt.NDArray[np.bool_] = (table.copies != "") & np.isin(table.copies, other.copies)
    return found


def without_leaks(table: Annotations, others: Mapping[str, Annotations]) -> Annotations:
    """A table without the rows that leak from other splits, which are counted as left out.

    Args:
        table: The training split.
        others: Other splits, by name.

    Raises:
        DataError: No row is left.
    """
    left_out = dict(table.left_out)
    for name, other in others.items():
        leaking = leaks(table, other)
        if leaking.all():
            raise DataError(
                f"data.copies=drop leaves no sample: the {name} split of {table.root} has copies "
                "of all pictures of the training split"
            )
        if count := int(leaking.sum()):
            reason = f"copy of a picture in the {name} split"
            left_out[reason] = count
            log.info("train split: %d left out (%s)", count, reason)
        table = table.select(~leaking)
    return replace(table, left_out=left_out)


def together(*groups: Labels) -> Labels:
    """Groups ``[N]`` that join rows which have a label in common in any of several columns.

    Args:
        groups: str ``[N]`` each; empty text says nothing.

    Returns:
        str ``[N]``; empty text for a row that has no label.
    """
    n = len(groups[0])
    rows, nodes, count = [], [], n
    for column in groups:
        named = np.flatnonzero(column != "")
        values, number = np.unique(column[named], return_inverse=True)
        rows.append(named)
        nodes.append(number + count)
        count += len(values)
    row, node = np.concatenate(rows), np.concatenate(nodes)
    graph = coo_array((np.ones(len(row)), (row, node)), shape=(count, count))
    joined: Labels = connected_components(graph, directed=False)[1][:n].astype(np.str_)
    joined[np.setdiff1d(np.arange(n), row)] = ""
    return joined
