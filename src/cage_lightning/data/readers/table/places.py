"""Which tables belong to a data set, and which split each of them is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cage_lightning.data.files import is_plain
from cage_lightning.data.readers.samples import SPLIT_NAMES
from cage_lightning.data.readers.table.formats import SUFFIXES, tables_in
from cage_lightning.data.readers.table.hub import download
from cage_lightning.errors import DataError, check_choice, first_line
from cage_lightning.system.hub import SCHEME
from cage_lightning.system.paths import local_path

Place = tuple[str, Path]
"""A split, empty where the table says that itself, and a table."""

# As the Hugging Face hub numbers the parts of a split: train-00000-of-00002, validation-0000-of-…
_PART = re.compile(r"(.+?)-\d+-of-\d+(?:-[0-9a-f]+)?")


def find_tables(root: Path, table: str | Mapping[str, str] | None) -> list[Place]:
    """The tables of a data set, those of a split in the order of their names.

    Args:
        root: The folder of the data set.
        table: The file, relative to `root` or absolute; or a file for each split, by its name; or
            an address as in `hub.download`, which fills `root`. None: what ``datasets`` saved in
            `root`, else the tables in `root` or `root`/data that are called as splits are, else
            the only one.

    Raises:
        ConfigError: A split has another name, or a place is none on this machine.
        DataError: There is no table, or several that could be meant; or it cannot be downloaded.
    """
    if isinstance(table, Mapping):
        for split in table:
            check_choice("data.table", split, ("train", "val", "test"))
        return [(s, root / local_path("data.table", f).expanduser()) for s, f in table.items()]
    if table is not None and table.startswith(SCHEME):
        download(table, root)
    elif table is not None:
        return [("", root / local_path("data.table", table).expanduser())]
    if not root.is_dir():
        raise DataError(f"{root} is not a folder: set data.root=FOLDER")
    if (root / "dataset_dict.json").is_file():
        return _saved_splits(root)
    if (root / "state.json").is_file():
        return [("", file) for file in _saved(root)]
    for folder in (root, root / "data"):
        if called := _called_as_splits(folder):
            return called
    there = tables_in(root)
    if len(there) == 1:
        return [("", there[0])]
    found = ", ".join(file.name for file in there) or f"none ({', '.join(SUFFIXES)})"
    raise DataError(f"{root}: which table? There is {found}. Set data.table=FILE")


def _called_as_splits(folder: Path) -> list[Place]:
    """The tables that are called as splits are: one of each split, or all parts of it."""
    found = []
    for file in tables_in(folder):
        part = _PART.fullmatch(file.stem)
        if split := SPLIT_NAMES.get((part[1] if part else file.stem).casefold()):
            found.append((split, file, part is not None))
    whole = [split for split, _, part in found if not part]
    clear = len(set(whole)) == len(whole) and not {s for s, _, part in found if part} & set(whole)
    return [(split, file) for split, file, _ in found] if clear else []


def _saved_splits(root: Path) -> list[Place]:
    """What ``DatasetDict.save_to_disk`` wrote."""
    file = root / "dataset_dict.json"
    names = [str(name) for name in _listed(file, _json(file), "splits")]
    for name in names:
        if name.casefold() not in SPLIT_NAMES or not is_plain(name):
            raise DataError(
                f"{file}: {name!r} is no name of a split (train, validation, test): name the files "
                "yourself, data.table={train: FILE, test: FILE}"
            )
    return [(SPLIT_NAMES[name.casefold()], file) for name in names for file in _saved(root / name)]


def _saved(folder: Path) -> list[Path]:
    """What ``Dataset.save_to_disk`` wrote."""
    file = folder / "state.json"
    files = [
        str(entry["filename"])
        for entry in _listed(file, _json(file), "_data_files")
        if isinstance(entry, dict) and "filename" in entry
    ]
    if not files or not all(map(is_plain, files)):
        raise DataError(f"{file}: names no files of the data set: save it again with save_to_disk")
    return [folder / name for name in files]


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file}: not readable as JSON: {first_line(error)}") from error


def _listed(file: Path, content: Any, key: str) -> list[Any]:
    listed = content.get(key) if isinstance(content, dict) else None
    if not isinstance(listed, list) or not listed:
        raise DataError(f"{file}: has no list {key!r}: save the data set again with save_to_disk")
    return listed
