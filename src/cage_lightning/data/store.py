"""The packed store of a release: one Arrow file per split, see `store_file`.

<data.root>.store/<label space>/{train,val,test}.arrow
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.files import OnError
from cage_lightning.data.packed import REMEDY
from cage_lightning.data.release_files import NOTE, Note, is_as_noted, list_release, write_note
from cage_lightning.data.store_file import read_store
from cage_lightning.errors import DataError, OutputError
from cage_lightning.labels import LabelSpace

log = logging.getLogger(__name__)


class Store:
    """The packed store of a release for one label space.

    Args:
        folder: Where its files lie.
        root: The release. One that is not there is not compared: the store stands for it.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder, self.root = folder, root
        self._has_told = False

    def file(self, split: str) -> Path:
        """The file of a split."""
        return self.folder / f"{split}.arrow"

    def has(self, split: str) -> bool:
        """Whether there is a file for the split."""
        return self.file(split).is_file()

    @property
    def release(self) -> str | None:
        """Fingerprint of the release as it is now, by all of its files; None if it is not there."""
        return None if self._note is None else self._note.release

    @cached_property
    def _note(self) -> Note | None:
        return list_release(self.root, self.folder).note() if self.root.is_dir() else None

    def has_changed_since(self, release: str) -> bool:
        """Whether the release is another one than that of a fingerprint.

        One that is not there is not. Every file is looked at only where folders have changed.
        """
        if is_as_noted(self.folder / NOTE, self.root, release) or self._note is None:
            return False
        if self._note.release != release:
            return True
        with suppress(OutputError):  # the store may be where nothing can be written
            write_note(self.folder / NOTE, self._note)
        return False

    def read(
        self,
        split: str,
        space: LabelSpace,
        settings: Mapping[str, Any],
        image_size: int | None,
        on_error: OnError,
    ) -> Annotations:
        """The annotations of a split, with their pictures.

        Args:
            split: Which.
            space: The categories that are asked for.
            settings: With which the release would be read.
            image_size: Of the pictures that are asked for; None where nobody looks at them.
            on_error: Whether to accept that pictures are left out: ``skip``.

        Raises:
            DataError: The file is damaged, was made from another state of the release or with other
                settings, or leaves out broken pictures although `on_error` is not ``skip``.
        """
        file = self.file(split)
        table, about = read_store(file, self.root)
        if about.label_space != space.to_dict():
            raise DataError(
                f"{file} holds other categories than {space.name}, or affect on another scale: "
                f"{REMEDY}"
            )
        if about.settings != settings:
            keys = sorted(
                key
                for key in about.settings.keys() | settings.keys()
                if about.settings.get(key) != settings.get(key)
            )
            if keys == ["tables"]:  # checksums, which say nothing to a reader
                raise DataError(f"{file} was made from other tables than are read now: {REMEDY}")
            made, asked = ({k: x[k] for k in keys if k in x} for x in (about.settings, settings))
            raise DataError(f"{file} was made with {made}, not {asked}: {REMEDY}")
        if self.has_changed_since(about.release):
            raise DataError(f"the release at {self.root} has changed since {file}: {REMEDY}")
        if image_size is not None and about.image_size not in (None, image_size):
            raise DataError(
                f"{file} holds pictures re-encoded at {about.image_size} pixels, not at "
                f"data.image_size={image_size}: {REMEDY}"
            )
        if about.faults and on_error != "skip":
            raise DataError(
                f"{file} leaves out {about.faults} samples without a sound picture, which "
                f"{self.folder / 'faults.csv'} lists: accept it with data.on_error=skip, or "
                "restore them and prepare again"
            )
        self._tell(file, table)
        return table

    def _tell(self, file: Path, table: Annotations) -> None:
        """Say, for the first file without them, that the store has no checksums of its pictures."""
        if not self._has_told and table.packed is not None and not table.packed.checked:
            self._has_told = True
            log.warning(
                "%s is of an earlier version, without checksums of its pictures: should one "
                "change, nothing would notice; `python -m cage_lightning.prepare` adds them",
                file,
            )
