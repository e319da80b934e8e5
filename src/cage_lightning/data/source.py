"""Where annotations come from: a release on disk, or the packed store that `prepare` made of it."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.broken_pictures import without_broken, without_changed
from cage_lightning.data.files import OnError
from cage_lightning.data.readers.faults import Fault
from cage_lightning.data.store import Store
from cage_lightning.errors import check_choice
from cage_lightning.labels import LABEL_SPACES, LabelSpace
from cage_lightning.system.paths import local_path

log = logging.getLogger(__name__)


class Source(ABC):
    """The annotations of one data set; `data.datasets` has a class for each.

    Attributes:
        group_by: The column of `Annotations.groups` of which no value, a person or a video, may be
            on two sides of a split; None where samples are independent.
        drawn: Whether its pictures are drawn, and show nobody.

    Args:
        space: What is annotated.
        root: Where the data set lies.
        store: Where `commands.prepare` packs it, in a folder for each label space; what is packed
            is read from there. None: never.
        on_error: ``raise``, or ``skip`` to leave out and count missing and broken pictures.

    Raises:
        ConfigError: A place is none on this machine.
    """

    group_by: str | None = None
    drawn: ClassVar[bool] = False

    def __init__(
        self,
        space: LabelSpace,
        *,
        root: str,
        store: str | None,
        on_error: Literal["raise", "skip"],
    ) -> None:
        check_choice("data.on_error", on_error, ("raise", "skip"))
        self.label_space = space
        self.root = local_path("data.root", root).expanduser()
        self.store = (
            None
            if store is None
            else Store(local_path("data.store", store).expanduser() / space.name, self.root)
        )
        self.on_error: Literal["raise", "skip"] = on_error

    @property
    def own_splits(self) -> tuple[str, ...]:
        """The splits that the data set has.

        They are ``train``, ``test``, which is reported, and where there is one ``val``, which
        chooses the epoch.
        """
        return ("train", "test")

    @abstractmethod
    def read(self, split: str, on_error: OnError) -> Annotations:
        """Read one of `own_splits` from the release itself.

        Args:
            split: Which.
            on_error: ``keep`` returns the rows whose picture is missing as well.
        """

    @property
    def wrong_cells(self) -> Sequence[Fault]:
        """What is wrong in the rows of a table that somebody wrote; nothing in a known release."""
        return ()

    @property
    def reading(self) -> dict[str, Any]:
        """The settings that decide which rows `read` gives: those a store is made with."""
        return {}

    def own_split(
        self, split: str, on_error: OnError | None = None, image_size: int | None = None
    ) -> Annotations:
        """One of `own_splits` as the release has it: nothing held out, nothing balanced.

        It comes from the packed store where there is one, else from `read`.

        Args:
            split: Which.
            on_error: As in `read`; by default the setting of the same name.
            image_size: Height and width at which the pictures will be decoded, which a store of
                re-encoded ones must have; None where nobody looks at them.

        Raises:
            DataError: The release is missing or broken, or the store does not belong to it.
        """
        on_error = on_error or self.on_error
        if self.store is not None and self.store.has(split):
            log.info("%s split: reading the packed store %s", split, self.store.file(split))
            table = self.store.read(split, self.label_space, self.reading, image_size, on_error)
            leave_out = without_changed
        else:
            table, leave_out = self.read(split, on_error), without_broken
        if on_error == "skip":
            table = leave_out(table)
        for reason, count in table.left_out.items():
            log.info("%s split: %d left out (%s)", split, count, reason)
        return table


class Release(Source):
    """A data set that people know, with a label space of its own.

    Attributes:
        label_spaces: The names that `label_space` may have.

    Args:
        label_space: Name of the label space, for example ``affectnet7``.
        root: As in `Source`.
        store: As in `Source`.
        on_error: As in `Source`.

    Raises:
        ConfigError: The data set has no such label space, or a place is none on this machine.
    """

    label_spaces: ClassVar[tuple[str, ...]]

    def __init__(
        self, *, label_space: str, root: str, store: str | None, on_error: Literal["raise", "skip"]
    ) -> None:
        check_choice("data.label_space", label_space, self.label_spaces)
        super().__init__(LABEL_SPACES[label_space], root=root, store=store, on_error=on_error)
