"""Which tables belong to a data set, and which split each of them is."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cage_lightning.data.files import is_plain
from cage_lightning.data.readers.picture_folders import visible_folders
from cage_lightning.data.readers.samples import SPLIT_NAMES
from cage_lightning.data.readers.table.formats import SUFFIXES, tables_in
from cage_lightning.data.readers.table.hub import download, downloaded
from cage_lightning.data.readers.table.split_names import SHARDS, split_of, whole_of
from cage_lightning.errors import DataError, check_choice, first_line
from cage_lightning.system.hub import SCHEME
from cage_lightning.system.paths import local_path

logger = logging.getLogger(__name__)

_SELDOM = (".txt", ".tar")  # a licence, or an archive of the pictures: tables if nothing else is
METADATA = "metadata"
"""What a table beside pictures is called in a folder that ``datasets`` reads as ``imagefolder``."""


class Place(NamedTuple):
    """A table of a data set.

    Attributes:
        split: Of all its rows; empty where the table says that itself.
        file: Where it lies.
        pictures: The folder that its paths begin in, below the root; empty for the root.
    """

    split: str
    file: Path
    pictures: str = ""


def find_tables(root: Path, table: str | Mapping[str, str] | None) -> list[Place]:
    """The tables of a data set, those of a split in the order of their names.

    Args:
        root: The folder of the data set.
        table: The file, relative to `root` or absolute, or a folder of tables; or one of them for
            each split, by its name; or an address as in `hub.download`, which fills `root`. None:
            what lies in `root`. In a folder that is what ``datasets`` saved or the hub's tables,
            else those in it or in its folder ``data`` that are called as splits are, else the only
            one, or all parts of one, else those in folders that are called as splits are.

    Raises:
        ConfigError: A split has another name, or a place is none on this machine.
        DataError: There is no table, or several that could be meant; or it cannot be downloaded.
    """
    if isinstance(table, Mapping):
        for split in table:
            check_choice("data.table", split, ("train", "val", "test"))
        return [
            place
            for split, name in table.items()
            for place in _named(root, root / local_path("data.table", name).expanduser(), split)
        ]
    if table is not None and table.startswith(SCHEME):
        download(table, root)
    elif table is not None:
        named = root / local_path("data.table", table).expanduser()
        found = _tables_of(root, named) if named.is_dir() else []
        return found or _named(root, named, "")
    if not root.is_dir():
        raise DataError(f"{root} is not a folder: set data.root=FOLDER")
    if found := _tables_of(root, root):
        return found
    names = ", ".join(file.name for file in tables_in(root)) or f"none ({', '.join(SUFFIXES)})"
    raise DataError(f"{root}: which table? There is {names}. Set data.table=FILE")


def _named(root: Path, file: Path, split: str) -> list[Place]:
    """The table that a setting names; of a folder all its tables."""
    if not file.is_dir():
        return [Place(split, file)]
    if found := _in_folder_of_split(root, file, split):
        return found
    if not (there := tables_in(file)):
        raise DataError(f"{file} holds no table ({', '.join(SUFFIXES)}): set data.table=FILE")
    return [Place(split, one) for one in there]


def _tables_of(root: Path, folder: Path) -> list[Place]:
    """The tables of a folder, if it is clear which they are."""
    if names := downloaded(folder):
        return _drawn([Place(split, folder / path) for split, path in names])
    if (folder / "dataset_dict.json").is_file():
        return _drawn(_saved_splits(folder))
    if (folder / "state.json").is_file():
        return [Place("", file) for file in _saved(folder)]
    for inner in (folder, folder / "data"):
        if called := _called_as_splits(inner):
            return _drawn(called)
    there = tables_in(folder)
    likely = [file for file in there if file.suffix.lower() not in _SELDOM]
    if len(likely) == 1 or _is_one(likely):
        return [Place("", file, _start(root, file)) for file in likely]
    for inner in (folder, folder / "data"):
        if found := _folders_of_splits(root, inner):
            return _drawn(found)
    return [Place("", file) for file in there] if len(there) == 1 or _is_one(there) else []


def _drawn(places: list[Place]) -> list[Place]:
    """The tables without their split if all are the training split, so that a test split is drawn.

    Most data sets of the hub have no other split.
    """
    if {place.split for place in places} != {"train"}:
        return places
    logger.info("%s: only the train split is there; the others are drawn", places[0].file)
    return [place._replace(split="") for place in places]


def _is_one(files: list[Path]) -> bool:
    """Whether files are the parts of one table."""
    wholes = {whole_of(file.name) for file in files}
    return len(wholes) == 1 and all(file.stem not in wholes for file in files)


def _called_as_splits(folder: Path) -> list[Place]:
    """The tables that are called as splits are: one of each split, or all parts of it."""
    found = []
    for file in tables_in(folder):
        if split := split_of(file.name):
            found.append((split, file, file.stem.casefold() not in SPLIT_NAMES))
    whole = [split for split, _, part in found if not part]
    clear = len(set(whole)) == len(whole) and not {s for s, _, part in found if part} & set(whole)
    return [Place(split, file) for split, file, _ in found] if clear else []


def _folders_of_splits(root: Path, folder: Path) -> list[Place]:
    """The tables in folders that are called as splits are."""
    found: dict[str, list[Place]] = {}
    for inner in visible_folders(folder):
        split = SPLIT_NAMES.get(inner.name.casefold(), "")
        places = _in_folder_of_split(root, inner, split) if split else []
        if places and found.setdefault(split, places) is not places:
            return []  # two folders of one split
    return [place for places in found.values() for place in places]


def _in_folder_of_split(root: Path, folder: Path, split: str) -> list[Place]:
    if (folder / "state.json").is_file():
        return [Place(split, file) for file in _saved(folder)]
    there = tables_in(folder)
    beside = [file for file in there if file.stem.casefold() == METADATA]
    if len(beside) == 1:
        return [Place(split, beside[0], _start(root, beside[0]))]
    return [Place(split, file) for file in there if file.suffix.lower() in SHARDS]


def _start(root: Path, file: Path) -> str:
    """The folder that the paths in a table begin in: its own if it lies beside the pictures."""
    folder = file.parent
    if file.stem.casefold() != METADATA or folder == root or not folder.is_relative_to(root):
        return ""
    return folder.relative_to(root).as_posix()


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
    return [
        Place(SPLIT_NAMES[name.casefold()], file) for name in names for file in _saved(root / name)
    ]


def _saved(folder: Path) -> list[Path]:
    """What ``Dataset.save_to_disk`` wrote."""
    file = folder / "state.json"
    state = _json(file)
    files = [
        str(entry["filename"])
        for entry in _listed(file, state, "_data_files")
        if isinstance(entry, dict) and "filename" in entry
    ]
    if not files or not all(map(is_plain, files)):
        raise DataError(f"{file}: names no files of the data set: save it again with save_to_disk")
    if any(state.get(key) for key in ("_indices_files", "_indices_data_files")):
        raise DataError(
            f"{file}: only some of the rows belong to it, as an older version of datasets wrote "
            "them: load it with datasets, and save it again with save_to_disk"
        )
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
