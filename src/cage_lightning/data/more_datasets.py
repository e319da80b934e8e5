"""Data sets with label spaces of their own; `datasets` has them under one roof."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.files import OnError
from cage_lightning.data.readers import fer2013
from cage_lightning.data.source import Source

_Setting = Literal["raise", "skip"]
SPLITS = ("train", "val", "test")


class Fer2013(Source):
    """FER2013: categories without valence and arousal.

    Args:
        root: As in `Source`.
        store: As in `Source`.
        on_error: As in `Source`.
    """

    def __init__(self, *, root: str, store: str | None, on_error: _Setting) -> None:
        super().__init__(fer2013.FER2013, root=root, store=store, on_error=on_error)

    @cached_property
    def own_splits(self) -> tuple[str, ...]:
        """See `Source`: with ``val`` where the competition's private test split is there."""
        if self.store is not None and not self.root.is_dir():
            return tuple(split for split in SPLITS if split != "val" or self.store.has(split))
        return fer2013.splits_of(self.root)

    def read(self, split: str, on_error: OnError) -> Annotations:
        """See `read_fer2013`."""
        return fer2013.read_fer2013(self.root, split, on_error)
