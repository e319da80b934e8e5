"""Which files of a repository on the Hugging Face hub are the tables of a data set."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from cage_lightning.data.files import is_plain
from cage_lightning.data.readers.samples import SPLIT_NAMES
from cage_lightning.data.readers.table.split_names import SHARDS, split_of
from cage_lightning.errors import ConfigError, DataError

logger = logging.getLogger(__name__)

Table = tuple[str, str]
"""A split, empty where the table may say that itself, and the path of a file."""


def choose_tables(
    address: str, files: Sequence[str], configs: Any, subset: str | None
) -> list[Table]:
    """The tables of a data set, as its card lists them, else by the names of files and folders.

    Args:
        address: What to call the data set in messages.
        files: The paths of the repository.
        configs: ``configs`` in the metadata of the card, which tell the files of each subset; they
            are a stranger's, and may be anything.
        subset: Which subset; None: that which the card calls so, ``default``, or the only one.

    Returns:
        None of them if the repository holds only files of other kinds.

    Raises:
        ConfigError: There is no such subset, or none is named and there are several.
        DataError: No split has a name that is known.
    """
    tables = sorted(path for path in files if path.lower().endswith(SHARDS) and _is_visible(path))
    if listed := _subsets(configs):
        chosen = listed[_chosen(address, list(listed), subset, _default(configs))]
        named = [(split, path) for split, glob in chosen for path in tables if _fits(path, glob)]
        return _known(address, list(dict.fromkeys(named)))
    by_folder: dict[str, list[Table]] = {}
    for path in tables:
        by_folder.setdefault(_folder(path), []).append((split_of(path), path))
    if not by_folder:
        return []
    found = by_folder[_chosen(address, list(by_folder), subset, None)]
    return [one for one in found if one[0]] or found


def _is_visible(path: str) -> bool:
    return is_plain(path) and not any(part.startswith(".") for part in path.split("/"))


def _folder(path: str) -> str:
    """The folder of a subset: without those that are called data, or as splits are."""
    folders = path.split("/")[:-1]
    return "/".join(f for f in folders if f != "data" and f.casefold() not in SPLIT_NAMES)


def _chosen(address: str, names: list[str], subset: str | None, default: str | None) -> str:
    if subset is not None and subset in names:
        return subset
    if subset is None:
        for name in (default, "", "default"):
            if name is not None and name in names:
                return name
        if len(names) == 1:
            return names[0]
    raise ConfigError(
        f"{address}: which subset? There is {', '.join(map(repr, names))}: name it, "
        "data.table=hf://USER/NAME/SUBSET"
    )


def _subsets(configs: Any) -> dict[str, list[tuple[str, str]]]:
    """The subsets of the card by name: which split has files of which names."""
    found = {str(one.get("config_name")): list(_globs(one)) for one in _mappings(configs)}
    return {name: globs for name, globs in found.items() if globs}


def _default(configs: Any) -> str | None:
    marked = [one for one in _mappings(configs) if one.get("default") is True]
    return str(marked[0].get("config_name")) if marked else None


def _mappings(configs: Any) -> list[Mapping[str, Any]]:
    return [one for one in configs if isinstance(one, Mapping)] if isinstance(configs, list) else []


def _globs(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    files = config.get("data_files")
    if isinstance(files, Mapping):
        files = [{"split": split, "path": path} for split, path in files.items()]
    for one in _listed(files):
        split = str(one.get("split", "train")) if isinstance(one, Mapping) else "train"
        for path in _listed(one.get("path") if isinstance(one, Mapping) else one):
            if isinstance(path, str):
                yield split, path.removeprefix("./")


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [value]


def _known(address: str, tables: list[Table]) -> list[Table]:
    """The tables with our names of the splits; those of further splits are left out."""
    names = list(dict.fromkeys(split for split, _ in tables))
    strange = [name for name in names if name.casefold() not in SPLIT_NAMES]
    if len(names) == 1 and strange:
        return [("", path) for _, path in tables]
    if strange == names and names:
        raise DataError(
            f"{address}: none of the splits {', '.join(map(repr, names))} is called train, "
            "validation or test: download it elsewhere, and say which files are which, "
            "data.table={train: FILE, test: FILE}"
        )
    if strange:
        logger.warning("%s: not read, as they are other splits: %s", address, ", ".join(strange))
    return [(SPLIT_NAMES[s.casefold()], path) for s, path in tables if s not in strange]


def _fits(path: str, glob: str) -> bool:
    return _parts_fit(tuple(path.split("/")), tuple(glob.split("/")))


@functools.cache
def _parts_fit(path: tuple[str, ...], glob: tuple[str, ...]) -> bool:
    if not glob:
        return not path
    if glob[0] == "**":
        return any(_parts_fit(path[k:], glob[1:]) for k in range(len(path) + 1))
    return bool(path) and fnmatchcase(path[0], glob[0]) and _parts_fit(path[1:], glob[1:])
