"""What data sets of somebody's own have in common: they say themselves what they annotate."""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.files import OnError
from cage_lightning.data.readers.faults import Fault
from cage_lightning.data.readers.own import OwnData, Rules
from cage_lightning.data.readers.samples import Samples
from cage_lightning.data.source import Source
from cage_lightning.data.store import Store
from cage_lightning.data.store_file import read_store
from cage_lightning.errors import ConfigError, DataError, check_between
from cage_lightning.labels import LABEL_SPACES, LabelSpace
from cage_lightning.system.paths import local_path, sha256_of

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Own(Source):
    """A data set with a label space of its own, taken from what lies there.

    Args:
        root: As in `Source`.
        store: As in `Source`.
        on_error: As in `Source`; ``skip`` also leaves out rows that cannot be used.
        rules: The settings.

    Raises:
        ConfigError: A setting is wrong, or contradicts what lies there.
        DataError: What lies there cannot be read.
    """

    def __init__(
        self, *, root: str, store: str | None, on_error: Literal["raise", "skip"], rules: Rules
    ) -> None:
        _check_rules(rules)
        self.rules = rules
        folder = local_path("data.root", root).expanduser()
        self._packed = _packed(folder, store, rules.name)
        if self._packed is None:
            self.own = OwnData(self.samples(folder), rules, skip=on_error == "skip")
        space = self.own.space if self._packed is None else self._packed[0]
        super().__init__(space, root=root, store=store, on_error=on_error)
        self.group_by = self._group_by()

    @abstractmethod
    def samples(self, root: Path) -> Samples:
        """Read all there is."""

    @abstractmethod
    def _files(self) -> list[Path]:
        """The tables that are read."""

    def _group_by(self) -> str | None:
        if self._packed is None:
            return self.own.group_by
        return self._packed[1].get("group_by")

    @property
    def own_splits(self) -> tuple[str, ...]:
        """See `Source`."""
        if self._packed is not None:
            assert self.store is not None
            return tuple(split for split in ("train", "val", "test") if self.store.has(split))
        return self.own.splits

    def own_split(
        self, split: str, on_error: OnError | None = None, image_size: int | None = None
    ) -> Annotations:
        """See `Source`; wrong rows are told of before what a store that is older lacks."""
        if self._packed is None and self.own.wrong is not None:
            raise self.own.wrong
        return super().own_split(split, on_error, image_size)

    @property
    def wrong_cells(self) -> Sequence[Fault]:
        """See `Source`."""
        return () if self._packed is not None else self.own.faults

    @property
    def reading(self) -> dict[str, Any]:
        """See `Source`."""
        settings: dict[str, Any] = json.loads(json.dumps(self._settings(), default=_plain))
        if self._packed is not None:  # the store stands for what is not there any more
            there = ("tables", "group_by", "rows left out")
            return settings | {key: self._packed[1].get(key) for key in there}
        return settings | {
            "group_by": self.own.group_by,
            "rows left out": self.own.rows_left_out,
            "tables": self._digests,
        }

    @cached_property
    def _digests(self) -> list[str]:
        return [sha256_of(file) for file in self._files()]

    def _settings(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self.rules).items() if key != "group_by"}

    def read(self, split: str, on_error: OnError) -> Annotations:
        """See `OwnData.annotations`."""
        if self._packed is not None:
            raise DataError(f"{self.root} is not a folder: set data.root=FOLDER")
        return self.own.annotations(split, on_error)


def _check_rules(rules: Rules) -> None:
    if not _NAME.fullmatch(rules.name):
        raise ConfigError(
            f"data.name={rules.name}: a name of letters A to Z, digits and . _ - is needed, as it "
            "names folders"
        )
    if rules.name in LABEL_SPACES:
        raise ConfigError(f"data.name={rules.name} is a data set already: choose another name")
    if not 0 < rules.test_fraction <= 1:
        raise ConfigError(
            f"data.test_fraction={rules.test_fraction} is not between 0 and 1; 1 takes all rows"
        )
    if rules.val_fraction is not None and not 0 < rules.val_fraction < 1:
        raise ConfigError(
            f"data.val_fraction={rules.val_fraction} is not between 0 and 1; null draws none"
        )
    check_between("data.split_seed", rules.seed, 0, 2**32 - 1)


def _packed(root: Path, store: str | None, name: str) -> tuple[LabelSpace, dict[str, Any]] | None:
    """Label space and settings of the store, where it stands for a data set that is not there."""
    if store is None or root.is_dir():
        return None
    packed = Store(local_path("data.store", store).expanduser() / name, root)
    split = next((split for split in ("train", "test") if packed.has(split)), None)
    if split is None:
        return None
    table, about = read_store(packed.file(split), root)
    return table.space, dict(about.settings)


def _plain(value: Any) -> Any:
    """A set as JSON has it."""
    return sorted(value)
