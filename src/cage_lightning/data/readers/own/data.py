"""A data set of somebody's own: what is settled before a split is read, and its annotations."""

from __future__ import annotations

import logging
from collections import Counter

import numpy as np
import numpy.typing as npt

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.files import OnError
from cage_lightning.data.formats import is_picture
from cage_lightning.data.readers.faults import WrongRows
from cage_lightning.data.readers.own.categories import (
    check_categories,
    order_of,
    refuse_names,
    space_of,
    to_arrays,
    without_left_out,
)
from cage_lightning.data.readers.own.pictures import present_pictures
from cage_lightning.data.readers.own.rules import Rules
from cage_lightning.data.readers.own.splits import check_splits, group_of, labelled, make_splits
from cage_lightning.data.readers.samples import NO_SPLIT, NOTHING, Samples, ids_of
from cage_lightning.errors import DataError

logger = logging.getLogger(__name__)


class OwnData:
    """A data set of somebody's own.

    Attributes:
        space: Its categories and dimensions.
        splits: Those it has, of ``train``, ``val`` and ``test``.
        group_by: The group of which no value is in two splits; None where there is none.
        faults: What is wrong in the rows that cannot be used.
        wrong: The error that tells of them; None if there are none, or they are left out.
        rows_left_out: Their number, if they are.

    Args:
        samples: As they were read.
        rules: The settings.
        skip: Leave out and count the rows that cannot be used; if not, `annotations` raises.

    Raises:
        ConfigError: A setting contradicts the data set.
        DataError: There are no labels, or no test split.
    """

    def __init__(self, samples: Samples, rules: Rules, skip: bool) -> None:
        self.group_by = group_of(samples, rules)
        self._named = frozenset(samples.picture)
        samples = without_left_out(samples, rules)
        order = order_of(samples, rules)
        refuse_names(samples, rules, order)
        _refuse_repeated(samples)
        samples.faults.sort(key=lambda fault: -1 if fault[0] is None else fault[0])
        bad = {row for row, _ in samples.faults if row is not None}
        count = len(bad) + sum(row is None for row, _ in samples.faults)
        self.faults = tuple(fault for _, fault in samples.faults)
        wrong = WrongRows(self.faults, count) if count else None
        self.wrong, self.rows_left_out = (None, count) if skip else (wrong, 0)
        if skip and wrong is not None:
            logger.warning("%d rows are left out: %s", count, wrong)
            for row in sorted(bad):
                samples.leave_out(row, "wrong row")
            samples.left_out["train", "wrong row"] += count - len(bad)
        sound = np.array([row not in bad for row in range(len(samples))], dtype=bool)
        self.samples = _with_labels(samples, sound)
        self.space = space_of(self.samples, rules, order)
        self.category, self.soft = to_arrays(self.samples, self.space)
        make_splits(self.samples, self.category, rules, self.group_by)
        there = {"train", "test"} if self.wrong else set(self.samples.split)
        self.splits = tuple(split for split in ("train", "val", "test") if split in there)
        if self.wrong is None:
            if wrong is not None and not len(self.samples):
                raise wrong
            check_categories(self.samples, self.space)
            check_splits(self.samples, rules, self.group_by)

    def annotations(self, split: str, on_error: OnError) -> Annotations:
        """One of `splits`; see `data.source.Source.read`.

        Raises:
            WrongRows: There are rows that cannot be used.
            DataError: A picture is missing or outside the root, or no row is left.
        """
        if self.wrong is not None:
            raise self.wrong
        samples, rows = self.samples, self.samples.rows_of(split)
        if not rows.size:
            raise DataError(f"{samples.origin}: there is no row of the {split} split")
        present, pictures = present_pictures(samples, rows, on_error)
        absent = np.array([picture not in present for picture in pictures], dtype=bool)
        missing = [pictures[k] for k in np.flatnonzero(absent).tolist()]
        if missing and on_error == "raise":
            raise DataError(
                f"{samples.where(int(rows[absent.argmax()]))}: {len(missing)} of {len(rows)} "
                f"pictures are missing under {samples.root}, first {', '.join(missing[:3])}. "
                "Restore them, set data.root or data.strip, or leave them out with "
                "data.on_error=skip."
            )
        take = np.arange(len(rows)) if on_error == "keep" else np.flatnonzero(~absent)
        if not take.size:
            raise DataError(f"{samples.origin}: none of the pictures is under {samples.root}")
        left_out = Counter({why: n for (of, why), n in samples.left_out.items() if of == split})
        left_out["missing picture"] = len(rows) - len(take)
        if split == "train":  # once: the splits may share their folders
            unnamed = present.difference(self._named, pictures)
            left_out["picture without row"] = sum(map(is_picture, unnamed))
        return self._table(rows[take], [pictures[k] for k in take.tolist()], left_out)

    def _table(
        self, rows: npt.NDArray[np.int64], pictures: list[str], left_out: Counter[str]
    ) -> Annotations:
        samples, space = self.samples, self.space
        groups = {name: np.array(text, np.str_)[rows] for name, text in samples.groups.items()}
        return Annotations(
            space=space,
            root=samples.root,
            id=np.array(samples.ids(), np.str_)[rows],
            path=np.array(pictures, np.str_),
            category=self.category[rows],
            affect=space.to_unit(samples.affect[rows]).astype(np.float32),
            left_out={reason: n for reason, n in sorted(left_out.items()) if n},
            box=None if samples.box is None else samples.box[rows].astype(np.float32),
            extra=groups if self.soft is None else {**groups, "soft": self.soft[rows]},
        )


def _refuse_repeated(samples: Samples) -> None:
    """Note ids that are missing or twice in a split; without ids and boxes, pictures that are."""
    if samples.id is None and samples.box is not None:
        samples.id = _numbered(ids_of(samples.picture))
        return
    role = "picture" if samples.id is None else "id"
    more = ": one row for each sample, or give them ids" if role == "picture" else ""
    first: dict[tuple[str, str], int] = {}
    for row, name in enumerate(samples.picture if samples.id is None else samples.id):
        if role == "id" and name.casefold() in NOTHING:
            samples.refuse(row, role, name, "is no id: each sample needs one of its own")
        elif name and (other := first.setdefault((samples.split[row], name), row)) != row:
            samples.refuse(row, role, name, f"is in {samples.place[other]} too{more}")


def _numbered(names: list[str]) -> list[str]:
    """Names of which each but the first of several equal ones gets a number."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return found


def _with_labels(samples: Samples, sound: npt.NDArray[np.bool_]) -> Samples:
    """The sound samples that have a label and a split; the others are counted."""
    label = labelled(samples)
    divided = np.array([split != NO_SPLIT for split in samples.split], dtype=bool)
    for row in np.flatnonzero(sound & ~(label & divided)).tolist():
        samples.leave_out(row, "no label" if divided[row] else "no split")
    return samples.select(sound & label & divided)
