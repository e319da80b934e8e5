"""Data sets of somebody's own: a table of any columns, or folders of pictures by category."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from cage_lightning.data.own_source import Own
from cage_lightning.data.readers.folders import read_folders
from cage_lightning.data.readers.own import Rules
from cage_lightning.data.readers.samples import Samples, joined
from cage_lightning.data.readers.table import Meaning, find_tables, read_samples
from cage_lightning.errors import ConfigError
from cage_lightning.system.hub import SCHEME

_Setting = Literal["raise", "skip"]
_Categories = Sequence[str | int] | Mapping[str | int, str] | None
_Columns = Sequence[str] | Mapping[str, str] | None

_TAKEN_COLUMNS = ("id", "path", "image", "image_crc32", "category", "affect", "box", "soft")


class Table(Own):
    """A table with one row for each sample, and the pictures that it names.

    Args:
        name: What the data set is called.
        root: Folder of the pictures.
        store: As in `Source`.
        on_error: As in `Own`.
        table: See `find_tables`.
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
        if root.startswith(SCHEME):
            raise ConfigError(
                f"data.root={root}: name the data set with data.table={root}, and with data.root "
                "the folder that it is downloaded into"
            )
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

    def samples(self, root: Path) -> Samples:
        """See `Own`."""
        self._places = find_tables(root, self._table)
        parts = [read_samples(root, place, self._meaning) for place in self._places]
        return joined(parts)

    def _files(self) -> list[Path]:
        return [place.file for place in self._places]

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

    def samples(self, root: Path) -> Samples:
        """See `read_folders`."""
        return read_folders(root)

    def _files(self) -> list[Path]:
        return []


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
