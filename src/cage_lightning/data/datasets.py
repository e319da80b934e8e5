"""The data sets: for each a class that knows its settings and what reads it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.files import OnError
from cage_lightning.data.more_datasets import AfewVa, AffWild2, Fer2013
from cage_lightning.data.readers import affectnet, emotic
from cage_lightning.data.readers.ferplus import read_ferplus
from cage_lightning.data.readers.rafdb import read_rafdb
from cage_lightning.data.source import Release
from cage_lightning.data.table_source import Folders, Table
from cage_lightning.demo import emotic as demo_emotic
from cage_lightning.demo import faces as demo_faces
from cage_lightning.errors import check_choice

__all__ = [
    "AfewVa",
    "AffWild2",
    "AffectNet",
    "DemoEmotic",
    "DemoFaces",
    "Emotic",
    "Fer2013",
    "FerPlus",
    "Folders",
    "RafDb",
    "Table",
]

_Setting = Literal["raise", "skip"]


class AffectNet(Release):
    """AffectNet, from the release that lies under `root`.

    Args:
        label_space: ``affectnet8`` or ``affectnet7``.
        root: As in `Release`.
        store: As in `Release`.
        on_error: As in `Release`.
        release: A name in `affectnet.RELEASES`, or ``auto`` to find out.
    """

    label_spaces: ClassVar[tuple[str, ...]] = ("affectnet8", "affectnet7")

    def __init__(
        self, *, label_space: str, root: str, store: str | None, on_error: _Setting, release: str
    ) -> None:
        super().__init__(label_space=label_space, root=root, store=store, on_error=on_error)
        check_choice("data.release", release, ("auto", *affectnet.RELEASES))
        self.release = release

    @property
    def reading(self) -> dict[str, Any]:
        """See `Source`."""
        return {"release": self.release}

    def read(self, split: str, on_error: OnError) -> Annotations:
        """See `read_affectnet`."""
        return affectnet.read_affectnet(self.root, split, self.label_space, self.release, on_error)


class DemoFaces(AffectNet):
    """Drawn faces, written in the layout of the AffectNet release on first use.

    Args:
        label_space: As in `AffectNet`.
        root: As in `Release`.
        store: As in `Release`.
        on_error: As in `Release`.
        release: As in `AffectNet`.
        size: ``tiny``, ``demo`` or ``full``.
    """

    drawn = True

    def __init__(
        self,
        *,
        label_space: str,
        root: str,
        store: str | None,
        on_error: _Setting,
        release: str,
        size: str,
    ) -> None:
        super().__init__(
            label_space=label_space, root=root, store=store, on_error=on_error, release=release
        )
        self.size = size

    def read(self, split: str, on_error: OnError) -> Annotations:
        """Draw the faces if they are not there yet, then read them as any release."""
        demo_faces.write_release(self.root, self.size)
        return super().read(split, on_error)


class Emotic(Release):
    """EMOTIC, from the release that lies under `root`. A sample is a person: the body box.

    Args:
        label_space: ``emotic``.
        root: As in `Release`.
        store: As in `Release`.
        on_error: As in `Release`.
        release: A name in `emotic.RELEASES`, or ``auto`` to find out.
        drop_invalid: Leave out persons whose affect is unknown, as the published converter does;
            if not, losses and metrics pass over what is unknown.
    """

    label_spaces: ClassVar[tuple[str, ...]] = ("emotic",)

    def __init__(
        self,
        *,
        label_space: str,
        root: str,
        store: str | None,
        on_error: _Setting,
        release: str,
        drop_invalid: bool,
    ) -> None:
        super().__init__(label_space=label_space, root=root, store=store, on_error=on_error)
        check_choice("data.release", release, ("auto", *emotic.RELEASES))
        self.release = release
        self.drop_invalid = drop_invalid

    @property
    def reading(self) -> dict[str, Any]:
        """See `Source`."""
        return {"release": self.release, "drop_invalid": self.drop_invalid}

    @property
    def own_splits(self) -> tuple[str, ...]:
        """See `Source`."""
        return ("train", "val", "test")

    def own_split(
        self, split: str, on_error: OnError | None = None, image_size: int | None = None
    ) -> Annotations:
        """See `Source`; the picture is a group, as one may show several persons."""
        table = super().own_split(split, on_error, image_size)
        return replace(
            table, extra={**table.extra, "picture": np.array(table.path.tolist(), np.str_)}
        )

    def read(self, split: str, on_error: OnError) -> Annotations:
        """See `read_emotic`."""
        return emotic.read_emotic(self.root, split, self.release, on_error, self.drop_invalid)


class DemoEmotic(Emotic):
    """Drawn scenes with persons, written in the layout of EMOTIC on first use.

    Args:
        label_space: ``emotic``.
        root: As in `Release`.
        store: As in `Release`.
        on_error: As in `Release`.
        release: As in `Emotic`.
        drop_invalid: As in `Emotic`.
        size: ``tiny`` or ``demo``.
    """

    drawn = True

    def __init__(
        self,
        *,
        label_space: str,
        root: str,
        store: str | None,
        on_error: _Setting,
        release: str,
        drop_invalid: bool,
        size: str,
    ) -> None:
        super().__init__(
            label_space=label_space,
            root=root,
            store=store,
            on_error=on_error,
            release=release,
            drop_invalid=drop_invalid,
        )
        self.size = size

    def read(self, split: str, on_error: OnError) -> Annotations:
        """Draw the scenes if they are not there yet, then read them as any release."""
        demo_emotic.write_release(self.root, self.size)
        return super().read(split, on_error)


class RafDb(Release):
    """RAF-DB: categories without valence and arousal."""

    label_spaces: ClassVar[tuple[str, ...]] = ("affectnet7",)

    def read(self, split: str, on_error: OnError) -> Annotations:
        """See `read_rafdb`."""
        return read_rafdb(self.root, split, on_error)


class FerPlus(Release):
    """FER+: categories without valence and arousal."""

    label_spaces: ClassVar[tuple[str, ...]] = ("affectnet8", "affectnet7")

    @property
    def own_splits(self) -> tuple[str, ...]:
        """See `Source`."""
        return ("train", "val", "test")

    def read(self, split: str, on_error: OnError) -> Annotations:
        """See `read_ferplus`."""
        return read_ferplus(self.root, split, self.label_space, on_error)
