"""Data sets with label spaces of their own; `datasets` has them under one roof."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.files import OnError
from cage_lightning.data.own_source import Own
from cage_lightning.data.readers import affwild2, fer2013
from cage_lightning.data.readers.afewva import RANGE, read_afewva
from cage_lightning.data.readers.own import Rules
from cage_lightning.data.readers.samples import Samples
from cage_lightning.data.source import Source
from cage_lightning.errors import check_choice

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


class AffWild2(Source):
    """Aff-Wild2: frames of videos with valence and arousal, one expression, or both.

    Args:
        root: As in `Source`.
        store: As in `Source`.
        on_error: As in `Source`.
        labels: ``both``, ``va`` or ``expr``.
    """

    group_by = "video"

    def __init__(
        self, *, root: str, store: str | None, on_error: _Setting, labels: affwild2.Labels
    ) -> None:
        check_choice("data.labels", labels, affwild2.SPACES)
        super().__init__(affwild2.SPACES[labels], root=root, store=store, on_error=on_error)
        self.labels = labels

    @property
    def reading(self) -> dict[str, Any]:
        """See `Source`."""
        return {"labels": self.labels}

    def read(self, split: str, on_error: OnError) -> Annotations:
        """See `read_affwild2`."""
        return affwild2.read_affwild2(self.root, split, self.labels, on_error)


class AfewVa(Own):
    """AFEW-VA: frames of film clips with valence and arousal, in splits of whole clips.

    Args:
        root: As in `Source`.
        store: As in `Source`.
        on_error: As in `Source`.
        group_by: ``video``, the clip, or ``person``, where every clip tells its actor.
        test_fraction: See `Rules`.
        val_fraction: See `Rules`.
        split_seed: Seed of the splits.
    """

    def __init__(
        self,
        *,
        root: str,
        store: str | None,
        on_error: _Setting,
        group_by: Literal["video", "person"],
        test_fraction: float,
        val_fraction: float | None,
        split_seed: int,
    ) -> None:
        check_choice("data.group_by", group_by, ("video", "person"))
        rules = Rules(
            name="afewva",
            native_range=RANGE,
            test_fraction=test_fraction,
            val_fraction=val_fraction,
            seed=split_seed,
            group_by=group_by,
        )
        super().__init__(root=root, store=store, on_error=on_error, rules=rules)

    def samples(self, root: Path) -> Samples:
        """See `read_afewva`."""
        return read_afewva(root)

    def _files(self) -> list[Path]:
        return []
