"""FER+: the faces of FER2013 with the votes of ten people, without valence and arousal.

Barsoum, Zhang, Canton Ferrer and Zhang 2016, "Training Deep Networks for Facial Expression
Recognition with Crowd-Sourced Label Distribution".
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.files import OnError, first_file, no_release
from cage_lightning.data.readers.single_label import Rows, shares, to_table
from cage_lightning.errors import DataError, check_choice
from cage_lightning.labels import LabelSpace

# What the list calls a split, and the folder of its pictures.
SPLITS = {
    "train": ("Training", "FER2013Train"),
    "val": ("PublicTest", "FER2013Valid"),
    "test": ("PrivateTest", "FER2013Test"),
}
USAGES = tuple(usage for usage, _ in SPLITS.values())

VOTES = (
    *("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"),
    *("unknown", "NF"),
)
"""The columns of the votes; NF: not a face. AffectNet has the categories in another order."""

RATERS = 10
# A code is the number of the column that leads, or the last one.
CODES = (*(name.capitalize() for name in VOTES[:-1]), "No face", "Tie")

LIST = "fer2013new.csv"
HEADER = ["Usage", "Image name", *VOTES]
LAYOUTS = {
    "one list": f"    {LIST}\n    FER2013Train|FER2013Valid|FER2013Test/fer{{N}}.png",
    "a list per folder": "    FER2013Train|FER2013Valid|FER2013Test/label.csv, fer{N}.png",
}

logger = logging.getLogger(__name__)


def read_ferplus(
    root: Path, split: str, space: LabelSpace, on_error: OnError = "raise"
) -> Annotations:
    """Read one split of FER+.

    The category of a face is the column with the most votes, of all ten. Left out and counted in
    ``left_out`` are faces of which several columns lead (``tie``), of which ``unknown`` or ``no
    face`` leads, and rows with ``no picture name`` or, after its first row, with a ``picture listed
    before``: the authors' list names four pictures twice. Their training code is stricter: it wants
    more than half of the votes, those that are alone in their column not counted.

    The lists in the folders give some faces other votes than the one list of all, which is read
    where both are there; the log says which it was.

    Args:
        root: Folder that holds the release.
        split: ``train`` (Training), ``val`` (PublicTest) or ``test`` (PrivateTest).
        space: `AFFECTNET_8` or `AFFECTNET_7`.
        on_error: As in `read_affectnet`.

    Returns:
        The table in the order of the list, with NaN for affect. Ids are the names of the pictures
        without suffix. ``extra`` holds ``votes``, int64 ``[N, 10]``, in the order of `VOTES`, and
        ``soft``, float32 ``[N, K]``: the share of each category in the votes for those of `space`.

    Raises:
        ConfigError: `split` or `on_error` is not one of the above.
        DataError: No list is there; a row is not as it should be; a picture is missing or outside
            `root`; no row is left.
    """
    check_choice("split", split, SPLITS)
    check_choice("on_error", on_error, ("raise", "skip", "keep"))
    usage, folder = SPLITS[split]
    lists = [path for place in (LIST, f"{folder}/label.csv") if (path := first_file(root, [place]))]
    if not lists:
        raise no_release("FER+", split, root, LAYOUTS)
    source = lists[0]
    for other in lists[1:]:
        logger.info("%s, which gives some faces other votes, is not read", other)
    logger.info("FER+ %s: reading %s", split, source)
    listed = list(_listed(source, usage))
    named = [row for row in listed if row[1]]
    faces = list({row[1]: row for row in reversed(named)}.values())
    faces.sort()  # by the line: each picture with its first row
    votes = np.array([row[2] for row in faces], np.int64).reshape(-1, len(VOTES))
    leads = votes == votes.max(axis=1, keepdims=True)
    code = np.where(leads.sum(axis=1) == 1, leads.argmax(axis=1), CODES.index("Tie"))
    rows = Rows(
        id=np.array([name.removesuffix(".png") for _, name, _ in faces], np.str_),
        picture=[f"{folder}/{name}" for _, name, _ in faces],
        label=code[:, None].astype(np.float64),
        where=lambda row, _: f"{source}, line {faces[row][0]}",
        extra={"votes": votes, "soft": shares(votes, CODES, space)},
        left_out={
            "no picture name": len(listed) - len(named),
            "picture listed before": len(named) - len(faces),
        },
    )
    return to_table(rows, root, source, space, CODES, on_error)


def _listed(source: Path, usage: str) -> Iterator[tuple[int, str, list[int]]]:
    """The line, picture and votes of each face of a split."""
    of_all = source.name == LIST
    header = HEADER if of_all else HEADER[1:]
    with source.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        try:
            if of_all and (first := next(reader, [])) != header:
                raise ValueError(f"the header is {','.join(first)!r}")
            for fields in filter(None, reader):
                start, votes = fields[: -len(VOTES)], [*map(int, fields[-len(VOTES) :])]
                if not of_all:  # older lists of a folder also give the box of the face: all of it
                    whole = start[1:] in ([], ["(0, 0, 48, 48)"])
                    start = [usage, *start[:1]] if whole else start
                if len(start) != 2 or start[0] not in USAGES:
                    raise ValueError(f"the row begins with {start}")
                if min(votes) < 0 or not 1 <= sum(votes) <= RATERS:
                    raise ValueError(f"the votes are {votes}")
                if start[0] == usage:
                    yield reader.line_num, start[1].strip(), votes
        except (ValueError, csv.Error) as error:
            raise DataError(
                f"{source}, line {reader.line_num}: {error}; expected {','.join(header)} and up "
                f"to {RATERS} votes"
            ) from error
