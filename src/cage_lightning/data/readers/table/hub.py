"""Data sets of the Hugging Face hub, downloaded once into a folder of this machine."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

from cage_lightning.errors import ConfigError, DataError, first_line
from cage_lightning.system.atomic import locked, new_folder
from cage_lightning.system.extras import import_extra
from cage_lightning.system.hub import NAME_PART, SCHEME, SECONDS, explained, hub_api
from cage_lightning.system.storage import room_for

_ADDRESS = re.compile(
    rf"{SCHEME}({NAME_PART}/{NAME_PART})(?:/({NAME_PART}))?(?:@({NAME_PART}))?", re.ASCII
)
_ORIGIN = "hub.json"

logger = logging.getLogger(__name__)


def download(address: str, root: Path) -> None:
    """Download a data set into a folder, as ``datasets`` saves it; what is there is left alone.

    Args:
        address: ``hf://USER/NAME``; of a data set with subsets ``hf://USER/NAME/SUBSET``; with
            ``@REVISION`` a branch, a tag or a commit.
        root: The folder, which is made.

    Raises:
        ConfigError: The address is none, `root` holds something else, or ``datasets`` is missing.
        DataError: There is no such data set, or the hub cannot be reached.
        OutputError: There is no room for it.
    """
    if (found := _ADDRESS.fullmatch(address)) is None:
        raise ConfigError(
            f"data.table={address} is no address: hf://USER/NAME, hf://USER/NAME/SUBSET, or either "
            "of them with @REVISION"
        )
    if _is_there(address, root):
        return
    datasets = _library()
    with room_for(root):
        root.parent.mkdir(parents=True, exist_ok=True)
        with locked(root.with_name(f"{root.name}.lock")):  # of several processes one downloads
            if not _is_there(address, root):
                _save(datasets, address, found, root)


def _is_there(address: str, root: Path) -> bool:
    if not root.is_dir() or not any(root.iterdir()):
        return False
    if _origin(root) != address:
        raise ConfigError(
            f"data.table={address} is downloaded into data.root={root}, and that holds something "
            "else: choose another data.root, or leave data.table out to read what is there"
        )
    return True


def _save(datasets: Any, address: str, parts: re.Match[str], root: Path) -> None:
    name, subset, revision = parts[1], parts[2], parts[3]
    remedy = f"download it elsewhere with datasets' save_to_disk, and set data.root={root}"
    with explained(address, DataError, remedy):
        # Asked first, because downloads repeat for most of a minute what cannot be reached.
        info = hub_api().dataset_info(name, revision=revision, timeout=SECONDS)
        logger.info("%s: downloading it into %s, once", address, root)
        splits = _loaded(datasets, address, name, subset, info.sha)
    with new_folder(root) as part:
        splits.save_to_disk(part)
        (part / _ORIGIN).write_text(
            json.dumps({"address": address, "commit": info.sha}), encoding="utf-8"
        )


def _library() -> Any:
    try:
        return import_extra("datasets")
    except ImportError as error:
        raise ConfigError(
            "data.table=hf://... needs datasets: pip install 'cage-lightning[hub]'"
        ) from error


def _loaded(datasets: Any, address: str, name: str, subset: str | None, commit: str) -> Any:
    try:
        splits = datasets.load_dataset(name, subset, revision=commit)
    except (ValueError, FileNotFoundError, datasets.exceptions.DatasetsError) as error:
        raise DataError(f"{address}: {first_line(error)}") from error
    for column, feature in next(iter(splits.values())).features.items():
        if isinstance(feature, datasets.Image):  # their files are kept as they are
            splits = splits.cast_column(column, datasets.Image(decode=False))
    return splits


def _origin(root: Path) -> Any:
    try:
        return json.loads((root / _ORIGIN).read_bytes())["address"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
