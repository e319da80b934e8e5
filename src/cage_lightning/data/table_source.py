"""Data sets of somebody's own: a table of any columns, or folders of pictures by category."""

from __future__ import annotations

import hashlib
import json
import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.files import OnError
from cage_lightning.data.readers.faults import Fault
from cage_lightning.data.readers.folders import read_folders
from cage_lightning.data.readers.own import OwnData, Rules
from cage_lightning.data.readers.samples import SPLIT_NAMES, Samples, joined
from cage_lightning.data.readers.table import SUFFIXES, Meaning, read_samples, tables_in
from cage_lightning.data.source import Source
from cage_lightning.data.store import Store, read_store
from cage_lightning.errors import ConfigError, DataError, check_between, check_choice
from cage_lightning.labels import LABEL_SPACES, LabelSpace
from cage_lightning.system.paths import local_path

_Setting = Literal["raise", "skip"]
_Categories = Sequence[str | int] | Mapping[str | int, str] | None
_Columns = Sequence[str] | Mapping[str, str] | None

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TAKEN_COLUMNS = ("id", "path", "image", "category", "affect", "box", "soft")


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

    def __init__(self, *, root: str, store: str | None, on_error: _Setting, rules: Rules) -> None:
        _check_rules(rules)
        self.rules = rules
        folder = local_path("data.root", root).expanduser()
        self._packed = _packed(folder, store, rules.name)
        if self._packed is None:
            self.own = OwnData(self._samples(folder), rules, skip=on_error == "skip")
        space = self.own.space if self._packed is None else self._packed[0]
        super().__init__(space, root=root, store=store, on_error=on_error)
        self.group_by = self._group_by()

    @abstractmethod
    def _samples(self, root: Path) -> Samples:
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
            "tables": [hashlib.sha256(file.read_bytes()).hexdigest() for file in self._files()],
        }

    def _settings(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self.rules).items() if key != "group_by"}

    def read(self, split: str, on_error: OnError) -> Annotations:
        """See `OwnData.annotations`."""
        if self._packed is not None:
            raise DataError(f"{self.root} is not a folder: set data.root=FOLDER")
        return self.own.annotations(split, on_error)


class Table(Own):
    """A table with one row for each sample, and the pictures that it names.

    Args:
        name: What the data set is called.
        root: Folder of the pictures.
        store: As in `Source`.
        on_error: As in `Own`.
        table: The file, relative to `root` or absolute; or a file for each split, by its name;
            None: the only table in `root`, or those that are called as splits are.
        columns: What the table calls its columns, by `table.ROLES`; null: an obvious name.
        categories: Their names in the order of the outputs, or what the table calls them -> name;
            none: only affect; None: those of the training split, sorted.
        leave_out: Texts in the column of the category whose rows are left out.
        multi_label: Whether several categories may apply to one sample.
        separator: Between the categories of a cell, if several may apply.
        soft: The columns of votes or shares, or category -> column.
        affect: The columns of affect, or dimension -> column; None: valence, arousal, dominance
            where they are there.
        affect_range: Lowest and highest value on the scale of these columns.
        groups: The columns that describe a sample besides, or group -> column; None: age, gender,
            ethnicity, person and video where they are there.
        missing: Further texts that stand for no value, such as -5.
        strip: The folder that the paths begin with on another machine, which is taken away.
        group_by: See `Rules`.
        test_fraction: See `Rules`.
        val_fraction: See `Rules`.
        split_seed: Seed of the splits that are drawn.

    Raises:
        ConfigError: As in `Own`.
        DataError: As in `Own`.
    """

    def __init__(
        self,
        *,
        name: str,
        root: str,
        store: str | None,
        on_error: _Setting,
        table: str | Mapping[str, str] | None = None,
        columns: Mapping[str, str | Sequence[str] | None] | None = None,
        categories: _Categories = None,
        leave_out: Sequence[str | int] = (),
        multi_label: bool = False,
        separator: str = ";",
        soft: _Columns = None,
        affect: _Columns = None,
        affect_range: Sequence[float] = (-1.0, 1.0),
        groups: _Columns = None,
        missing: Sequence[str | int] = (),
        strip: str | None = None,
        group_by: str | None = "auto",
        test_fraction: float = 0.2,
        val_fraction: float | None = None,
        split_seed: int = 0,
    ) -> None:
        self._table = table
        order, renamed = _order(categories)
        _check_once("data.affect", affect)
        _check_once("data.soft", soft)
        if multi_label and soft:
            raise ConfigError("data.soft gives one category: it excludes data.multi_label=true")
        if multi_label and not separator:
            raise ConfigError("data.separator is empty: name what stands between the categories")
        if taken := [n for n in groups or () if n in _TAKEN_COLUMNS]:
            raise ConfigError(f"data.groups={taken}: the name is taken, choose another one")
        self._meaning = Meaning(
            columns=columns or {},
            affect=affect,
            affect_range=_range(affect_range),
            soft=soft,
            groups=groups,
            categories=frozenset({*renamed, *map(str, leave_out)}),
            multi_label=multi_label,
            separator=separator,
            missing=frozenset(map(str, missing)),
            strip=strip,
        )
        rules = Rules(
            name=name,
            order=order,
            renamed=renamed,
            leave_out=frozenset(map(str, leave_out)),
            multi_label=multi_label,
            native_range=self._meaning.affect_range,
            test_fraction=test_fraction,
            val_fraction=val_fraction,
            seed=split_seed,
            group_by=group_by,
        )
        super().__init__(root=root, store=store, on_error=on_error, rules=rules)

    def _samples(self, root: Path) -> Samples:
        self._places = _places(root, self._table)
        parts = [read_samples(root, file, split, self._meaning) for split, file in self._places]
        return joined(parts)

    def _files(self) -> list[Path]:
        return [file for _, file in self._places]

    def _settings(self) -> dict[str, Any]:
        return super()._settings() | asdict(self._meaning)


class Folders(Own):
    """Pictures in folders by category, with or without folders of splits.

    Args:
        name: What the data set is called.
        root: The folder.
        store: As in `Source`.
        on_error: As in `Source`.
        categories: The folders in the order of the outputs, or folder -> name of the category;
            others are left out. None: those of the training split, sorted.
        leave_out: Folders that are left out.
        test_fraction: See `Rules`.
        val_fraction: See `Rules`.
        split_seed: Seed of the splits that are drawn.

    Raises:
        ConfigError: As in `Own`.
        DataError: As in `Own`.
    """

    def __init__(
        self,
        *,
        name: str,
        root: str,
        store: str | None,
        on_error: _Setting,
        categories: _Categories = None,
        leave_out: Sequence[str | int] = (),
        test_fraction: float = 0.2,
        val_fraction: float | None = None,
        split_seed: int = 0,
    ) -> None:
        order, renamed = _order(categories)
        rules = Rules(
            name=name,
            order=order,
            renamed=renamed,
            only_order=order is not None,
            leave_out=frozenset(map(str, leave_out)),
            test_fraction=test_fraction,
            val_fraction=val_fraction,
            seed=split_seed,
            group_by=None,
        )
        super().__init__(root=root, store=store, on_error=on_error, rules=rules)

    def _samples(self, root: Path) -> Samples:
        return read_folders(root)

    def _files(self) -> list[Path]:
        return []


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


def _order(categories: _Categories) -> tuple[tuple[str, ...] | None, dict[str, str]]:
    """The categories in the order of the outputs, and text in the data -> category."""
    if categories is None:
        return None, {}
    if isinstance(categories, Mapping):
        renamed = {str(text): str(name) for text, name in categories.items()}
        return tuple(dict.fromkeys(renamed.values())), renamed
    _check_once("data.categories", categories)
    names = tuple(map(str, categories))
    return names, {name: name for name in names}


def _check_once(key: str, names: Any) -> None:
    names = [str(name) for name in names or ()]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"{key} names {twice[0]} twice")


def _range(limits: Sequence[float]) -> tuple[float, float]:
    if len(limits) != 2 or not limits[0] < limits[1]:
        raise ConfigError(
            f"data.affect_range={list(limits)}: the lowest and the highest value are needed, [1, 9]"
        )
    return float(limits[0]), float(limits[1])


def _places(root: Path, table: str | Mapping[str, str] | None) -> list[tuple[str, Path]]:
    """The tables, each with the split that all of it is; empty where it says that itself."""
    if isinstance(table, Mapping):
        for split in table:
            check_choice("data.table", split, ("train", "val", "test"))
        return [(s, root / local_path("data.table", f).expanduser()) for s, f in table.items()]
    if table is not None:
        return [("", root / local_path("data.table", table).expanduser())]
    there = tables_in(root)
    named = [(SPLIT_NAMES[f.stem.casefold()], f) for f in there if f.stem.casefold() in SPLIT_NAMES]
    if named and len({split for split, _ in named}) == len(named):
        return named
    if len(there) == 1:
        return [("", there[0])]
    if not root.is_dir():
        raise DataError(f"{root} is not a folder: set data.root=FOLDER")
    found = ", ".join(file.name for file in there) or f"none ({', '.join(SUFFIXES)})"
    raise DataError(f"{root}: which table? There is {found}. Set data.table=FILE")


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
