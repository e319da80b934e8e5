"""Data sets of the Hugging Face hub, downloaded once into a folder of this machine."""

from __future__ import annotations

import json
import logging
import re
import shutil
from pathlib import Path
from typing import Any

from cage_lightning.data.files import is_plain
from cage_lightning.data.readers.table.hub_files import Table, choose_tables
from cage_lightning.errors import ConfigError, DataError
from cage_lightning.system.atomic import locked
from cage_lightning.system.hub import NAME_PART, SCHEME, SECONDS, endpoint, explained, hub_api
from cage_lightning.system.storage import room_for

_ADDRESS = re.compile(
    rf"{SCHEME}(?:datasets/)?({NAME_PART}/{NAME_PART})(?:/({NAME_PART}))?(?:@({NAME_PART}))?",
    re.ASCII,
)
_ORIGIN = "hub.json"
_ELSEWHERE = (
    "load it elsewhere with datasets, keep it with save_to_disk, and set data.root to that folder"
)
_AS_PARQUET = "refs/convert/parquet"
"""The branch in which the hub keeps public data sets of any kind as Parquet files."""

logger = logging.getLogger(__name__)


def download(address: str, root: Path) -> None:
    """Download the tables of a data set into a folder; what is there is left alone.

    A download that was interrupted goes on where it was. Only tables are downloaded (Parquet,
    Arrow, WebDataset), never a program; where there are none, those that the hub has made of it.

    Args:
        address: ``hf://USER/NAME`` or ``hf://datasets/USER/NAME``; of a data set with subsets
            ``hf://USER/NAME/SUBSET``; with ``@REVISION`` a branch, a tag or a commit.
        root: The folder, which is made. ``hub.json`` in it has address, commit and tables.

    Raises:
        ConfigError: The address is none, a subset has to be named, or `root` holds something else.
        DataError: There is no such data set, it has no tables, or the hub cannot be reached.
        OutputError: There is no room for it.
    """
    if (found := _ADDRESS.fullmatch(address)) is None:
        raise ConfigError(
            f"data.table={address} is no address: hf://USER/NAME, hf://USER/NAME/SUBSET, or either "
            "of them with @REVISION"
        )
    if _is_there(address, root):
        return
    with room_for(root):
        root.parent.mkdir(parents=True, exist_ok=True)
        with locked(root.with_name(f"{root.name}.lock")):  # of several processes one downloads
            if not _is_there(address, root):
                _fetch(address, found, root)


def downloaded(folder: Path) -> list[Table]:
    """The tables that `download` put into a folder; none if it did not.

    Raises:
        DataError: The record of them is damaged.
    """
    tables = _origin(folder).get("tables", [])
    sound = isinstance(tables, list) and all(map(_is_table, tables))
    if not sound:
        raise DataError(f"{folder / _ORIGIN}: names no tables: delete {folder} to download it anew")
    return [(split, path) for split, path in tables]


def _is_table(entry: Any) -> bool:
    return (
        isinstance(entry, list)
        and len(entry) == 2
        and entry[0] in ("", "train", "val", "test")
        and isinstance(entry[1], str)
        and is_plain(entry[1])
    )


def _is_there(address: str, root: Path) -> bool:
    if not root.is_dir() or not any(root.iterdir()):
        return False
    if _origin(root).get("address") != address:
        raise ConfigError(
            f"data.table={address} is downloaded into data.root={root}, and that holds something "
            "else: choose another data.root, or leave data.table out to read what is there"
        )
    return True


def _fetch(address: str, parts: re.Match[str], root: Path) -> None:
    from huggingface_hub import hf_hub_download

    name, subset, revision = parts[1], parts[2], parts[3]
    remedy = (
        f"download it elsewhere, `hf download --repo-type dataset --local-dir {root.name} {name}`, "
        f"and set data.root={root}"
    )
    with explained(address, DataError, remedy):
        commit, tables = _tables_on_hub(address, name, subset, revision)
        origin = {"address": address, "commit": commit, "tables": tables}
        part = root.with_name(f".{root.name}.download")
        if _origin(part) != json.loads(json.dumps(origin)):
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            (part / _ORIGIN).write_text(json.dumps(origin, indent=1), encoding="utf-8")
        logger.info("%s: downloading %d files into %s, once", address, len(tables), root)
        for _, file in tables:
            hf_hub_download(
                name,
                file,
                repo_type="dataset",
                revision=commit,
                local_dir=part,
                endpoint=endpoint(),
            )
    shutil.rmtree(part / ".cache", ignore_errors=True)
    part.rename(root)


def _tables_on_hub(
    address: str, name: str, subset: str | None, revision: str | None
) -> tuple[str, list[Table]]:
    """The commit, and the tables in it."""
    # Asked first, because downloads repeat for most of a minute what cannot be reached.
    info = hub_api().dataset_info(name, revision=revision, timeout=SECONDS)
    card = info.card_data.to_dict() if info.card_data else {}
    if found := choose_tables(address, _files(info), card.get("configs"), subset):
        return info.sha, found
    if revision is None:
        info = _as_parquet(address, name)
        if found := choose_tables(address, _files(info), None, subset):
            return info.sha, found
    raise _no_tables(address)


def _as_parquet(address: str, name: str) -> Any:
    from huggingface_hub.errors import RevisionNotFoundError

    try:
        info = hub_api().dataset_info(name, revision=_AS_PARQUET, timeout=SECONDS)
    except RevisionNotFoundError as error:
        raise _no_tables(address) from error
    if any("/partial-" in file for file in _files(info)):
        raise DataError(f"{address}: the hub has only a part of it as Parquet: {_ELSEWHERE}")
    return info


def _no_tables(address: str) -> DataError:
    return DataError(
        f"{address}: holds no Parquet, Arrow or WebDataset files, and the hub made none of this "
        f"revision: {_ELSEWHERE}"
    )


def _files(info: Any) -> list[str]:
    return [one.rfilename for one in info.siblings or ()]


def _origin(root: Path) -> dict[str, Any]:
    try:
        origin = json.loads((root / _ORIGIN).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return origin if isinstance(origin, dict) else {}
