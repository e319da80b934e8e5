"""Which pictures of a split there are, under whatever form of their names the disk has."""

from __future__ import annotations

import unicodedata

import numpy as np
import numpy.typing as npt

from cage_lightning.data.files import OnError, list_files
from cage_lightning.data.readers.samples import Samples


def present_pictures(
    samples: Samples, rows: npt.NDArray[np.int64], on_error: OnError
) -> tuple[set[str], list[str]]:
    """The files in the folders of the pictures, and the pictures as the disk writes them.

    An accented letter is one character in some tables and two on some disks: both are tried.

    Args:
        samples: The data set.
        rows: int64 ``[N]``, those of a split.
        on_error: As in `data.source.Source.read`.

    Raises:
        DataError: A picture is a link that leads out of the root.
    """

    def listed(paths: list[str]) -> set[str]:
        return list_files(
            samples.root,
            paths,
            lambda row: samples.where(int(rows[row])),
            links=on_error == "keep",
        )

    pictures = [samples.picture[row] for row in rows.tolist()]
    present = listed(pictures)
    if all(picture in present for picture in pictures):
        return present, pictures
    forms = [[unicodedata.normalize(form, one) for one in pictures] for form in ("NFC", "NFD")]
    present = present.union(*map(listed, forms))
    written = [
        next((path for path in (picture, *others) if path in present), picture)
        for picture, *others in zip(pictures, *forms, strict=True)
    ]
    return present, written
