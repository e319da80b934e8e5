"""From whichever release lies on disk to the annotation table."""

from __future__ import annotations

import logging
from pathlib import Path

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.files import OnError, no_release
from cage_lightning.data.readers.affectnet.affectnet2017 import AFFECTNET_2017
from cage_lightning.data.readers.affectnet.affectnet2021 import AFFECTNET_2021
from cage_lightning.data.readers.affectnet.affectnet_plus import AFFECTNET_PLUS
from cage_lightning.data.readers.affectnet.annotation_csv import ANNOTATION_CSV
from cage_lightning.data.readers.affectnet.class_folders import CLASS_FOLDERS, advice
from cage_lightning.data.readers.affectnet.release import CODES, Release
from cage_lightning.data.readers.single_label import shares, to_table
from cage_lightning.errors import ConfigError, DataError, check_choice
from cage_lightning.labels import AFFECTNET_8, LabelSpace

# In this order, so that a release itself comes before what was derived from it.
RELEASES = {
    "affectnet2021": AFFECTNET_2021,
    "csv": ANNOTATION_CSV,
    "affectnet2017": AFFECTNET_2017,
    "affectnet_plus": AFFECTNET_PLUS,
    "folders": CLASS_FOLDERS,
}
SPLITS = ("train", "test")

logger = logging.getLogger(__name__)


def read_affectnet(
    root: Path,
    split: str,
    space: LabelSpace,
    release: str = "auto",
    on_error: OnError = "raise",
) -> Annotations:
    """Read one split of AffectNet.

    Rows that `space` does not cover (Contempt for `AFFECTNET_7`, the codes 8-10), that have no
    valence or arousal (-2), or whose face box is empty (2017: a negative width) are left out and
    counted in ``left_out``, as are pictures nobody labelled. Affect is NaN throughout in image
    folders, which do not annotate it.

    Ids are the numbers of the pictures, which are the row numbers, from 0, of the lists of 2017:
    the same sample has the same id in every release but image folders, where it is the path
    without its suffix.

    Nothing may lead out of `root`: an absolute path, ``..``, and a picture or a file of annotations
    that is a link to a file outside are refused. The root and the folders in it may be links, for
    pictures on another disk.

    Args:
        root: Folder that holds the release.
        split: ``train``, or ``test``: the official validation split. Of image folders, ``test`` is
            the folder of that name, or the validation folder if there is none.
        space: `AFFECTNET_8` or `AFFECTNET_7`.
        release: A name in `RELEASES`; ``auto`` takes the first one found, of which both splits are
            there if there is such a one.
        on_error: ``raise``; ``skip`` to leave out rows without a picture and count them; or
            ``keep`` to return the rows as they are, where their pictures are checked later
            or not needed.

    Returns:
        The table, in the order of the picture numbers (of the paths in image folders). From the
        release of 2017 with ``box``; from AffectNet+ with the ``extra`` columns ``soft_label``
        (float32 ``[N, 8]``), ``soft`` (float32 ``[N, K]``: the shares of the categories in it) and,
        as text, ``subset`` (easy, challenging or difficult), ``age``, ``gender`` and ``ethnicity``.

    Raises:
        ConfigError: `split`, `space`, `release` or `on_error` is not one of the above.
        DataError: No release is there; an annotation is no number, incomplete or out of range; a
            picture is missing or outside `root`; the category of an image folder is unknown; no
            row is left.
    """
    check_choice("split", split, SPLITS)
    check_choice("release", release, ("auto", *RELEASES))
    check_choice("on_error", on_error, ("raise", "skip", "keep"))
    if space.dimensions != AFFECTNET_8.dimensions or not set(space.categories) <= set(CODES):
        raise ConfigError(f"AffectNet is not labelled for {space.name!r}: use affectnet8 or 7.")

    source, found = _find(root, split, release)
    rows = found.read(root, source)
    if "soft_label" in rows.extra:
        soft = shares(rows.extra["soft_label"], CODES, space)
        rows = rows._replace(extra={**rows.extra, "soft": soft})
    return to_table(rows, root, source, space, CODES, on_error, found.splits_share_folders)


def _find(root: Path, split: str, release: str) -> tuple[Path, Release]:
    """Where the annotations are, and in which release."""
    tried = RELEASES if release == "auto" else {release: RELEASES[release]}
    found = {name: path for name, r in tried.items() if (path := r.find(root, split))}
    if not found and "folders" in tried and (other := advice(root)):
        raise DataError(f"No AffectNet annotations for the {split} split: {other}")
    if not found:
        raise no_release("AffectNet", split, root, {n: r.layout for n, r in tried.items()})
    # A release with both splits first: training and test should come from the same one.
    name, *others = sorted(found, key=lambda n: not all(tried[n].find(root, s) for s in SPLITS))
    hint = f" (release={others[0]} is there too)" if others else ""
    logger.info("AffectNet %s: reading release %s at %s%s", split, name, found[name], hint)
    return found[name], tried[name]
