"""From a release on disk to a packed store and a data card."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from omegaconf import DictConfig

from cage_lightning.app.cli import typed_settings
from cage_lightning.app.nodes import build_source
from cage_lightning.data.annotations import Annotations
from cage_lightning.data.images import check_image_size
from cage_lightning.data.preparation.checking import (
    FACTS,
    MISSING,
    Checked,
    check_pictures,
    read_parts,
)
from cage_lightning.data.preparation.datacard import describe, fault_rows, render
from cage_lightning.data.preparation.leakage import Duplicates
from cage_lightning.data.readers.faults import Fault
from cage_lightning.data.release_files import NOTE, list_release, write_note
from cage_lightning.data.source import Source
from cage_lightning.data.store import Store
from cage_lightning.data.store_file import About, is_current, read_about, write_store
from cage_lightning.errors import ConfigError, DataError
from cage_lightning.runs.log import start_logging
from cage_lightning.system.atomic import locked, write_atomic, write_csv
from cage_lightning.system.escaping import for_terminal
from cage_lightning.system.machine import usable_cpus
from cage_lightning.system.storage import check_writable

log = logging.getLogger(__name__)

FAULT_COLUMNS = ("split", "id", "path", "fault", "detail")
PAIR_COLUMNS = (
    "kind", "difference", "split_a", "id_a", "path_a", "split_b", "id_b", "path_b", "detail",
    "mirrored",
)  # fmt: skip
PARTS = ".part"


def prepare(config: DictConfig) -> dict[str, Any]:
    """Check a release, pack it into a store, and write and print its data card.

    Interrupted or killed, the same call goes on where it stopped. A store that is up to date is
    left alone.

    Returns:
        The content of datacard.json.

    Raises:
        ConfigError: `data.store` cannot be written, or another process is at it.
        DataError: The annotations cannot be read; or a picture cannot be used and `data.on_error`
            is not ``skip``: the card is written then, but no store.
    """
    start_logging(None)
    image_size = _image_size(config)
    source = build_source(config, besides=["image_size"])
    if source.store is None:
        raise ConfigError("data.store=null leaves no place for the store: set data.store=DIR")
    if config.workers is not None and config.workers < 1:
        raise ConfigError(f"workers={config.workers} is less than 1")
    card = _finished_card(source, source.store, image_size)
    if card is None:
        card = _prepare(config, source, source.store, image_size)
    else:
        log.info("%s is up to date", source.store.folder)
    print(for_terminal(render(card)))
    _refuse_faults(card, source.store.folder, source.on_error)
    return card


def _image_size(config: DictConfig) -> int | None:
    """Height and width that pictures are re-encoded at; None to store the files as they are."""
    if not config.reencode:
        if "data.image_size" in typed_settings():
            raise ConfigError("data.image_size has no effect without reencode=true")
        return None
    size = config.data.image_size
    if type(size) is not int:
        raise ConfigError(f"data.image_size={size}: a whole number is needed")
    if size < 1:
        raise ConfigError(f"data.image_size={size} is less than 1")
    check_image_size(size)
    return size


def _prepare(
    config: DictConfig, source: Source, store: Store, image_size: int | None
) -> dict[str, Any]:
    check_writable(store.folder, "data.store=DIR")
    _list_wrong_cells(source, store.folder / "wrong_rows.csv")
    tables = {split: source.read(split, on_error="keep") for split in source.own_splits}
    if image_size is not None and any(table.box is not None for table in tables.values()):
        raise ConfigError("reencode=true: the boxes of this release are in the pixels it has")
    with _claimed(store.folder):
        return _pack(config, source, store, tables, image_size)


def _list_wrong_cells(source: Source, file: Path) -> None:
    """List what is wrong in the rows of a table, all of it: a message names the first alone."""
    faults = source.wrong_cells
    if not faults:
        file.unlink(missing_ok=True)
        return
    write_csv(file, Fault._fields, [fault._asdict() for fault in faults])
    log.warning("%s lists %d wrong cells, row by row", file, len(faults))


def _pack(
    config: DictConfig,
    source: Source,
    store: Store,
    tables: Mapping[str, Annotations],
    image_size: int | None,
) -> dict[str, Any]:
    listing = list_release(source.root, store.folder)
    note = listing.note()
    release = note.release
    if store.release not in (None, release):  # that was before the annotations were read
        raise DataError(f"the release at {source.root} is changing; prepare it when it is complete")
    checked, parts = {}, {}
    for split, table in tables.items():
        below = Path(os.path.relpath(table.root, source.root))
        states = [listing.files.get((below / path).as_posix(), "") for path in table.path.tolist()]
        parts[split] = check_pictures(
            table, states, store.folder / PARTS, split, image_size, config.workers
        )
        checked[split] = _usable(table, parts[split])
    duplicates = Duplicates.among(checked, config.workers or usable_cpus())
    copies = duplicates.groups()
    card = describe(str(config.choices.data), checked, duplicates, image_size)
    faults = fault_rows(checked)
    about = About(release, source.reading, image_size)
    if not faults or source.on_error == "skip":
        for split, part in checked.items():
            part = _with_copies(part, split, copies)
            _write_split(store.file(split), source.root, part, parts[split], about)
    write_note(store.folder / NOTE, note)
    write_csv(store.folder / "faults.csv", FAULT_COLUMNS, faults)
    write_csv(store.folder / "duplicates.csv", PAIR_COLUMNS, duplicates.rows())
    write_atomic(store.folder / "datacard.md", render(card))
    # Last: the mark that all is there.
    write_atomic(store.folder / "datacard.json", json.dumps(card, indent=2) + "\n")
    if not faults or source.on_error == "skip":
        shutil.rmtree(store.folder / PARTS)
    return card


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Hold the folder of the store, which is made if need be.

    Raises:
        ConfigError: It cannot be written, or another process holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / ".lock", wait=False):
            for left in folder.glob(".part-*"):  # of a write in which the process was killed
                left.unlink(missing_ok=True)
            yield
    except BlockingIOError as error:
        raise ConfigError(f"{folder} is being prepared by another process") from error
    except OSError as error:
        raise ConfigError(
            f"cannot write the store {folder}: {error}; choose another place with data.store=DIR"
        ) from error


def _finished_card(source: Source, store: Store, image_size: int | None) -> dict[str, Any] | None:
    """The card of a store that was made from the release as it is, with the same settings.

    None of one that is not, that is damaged, or that was made before stores knew of copies or had
    checksums.
    """
    file = store.folder / "datacard.json"
    if store.release is None or not file.is_file():
        return None
    for split in source.own_splits:
        about = read_about(store.file(split)) if store.has(split) else None
        found = None if about is None else (about.release, dict(about.settings), about.image_size)
        if found != (store.release, source.reading, image_size):
            return None
        if not is_current(store.file(split), source.root):
            log.info("%s is damaged or of an earlier version, and is made again", store.file(split))
            return None
    card: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return card


def _usable(table: Annotations, parts: Sequence[Path]) -> Checked:
    """A split without the rows whose picture cannot be used; they are counted."""
    names = [name for name in FACTS.names if name != "image"]
    facts = read_parts(parts, names)
    for name in ("id", "path"):
        facts = facts.append_column(name, pa.array(getattr(table, name).tolist(), pa.string()))
    faults = Counter(fault for fault in facts["fault"].to_pylist() if fault is not None)
    left_out = Counter(table.left_out)
    for fault, count in faults.items():
        left_out["missing picture" if fault == MISSING else "broken picture"] += count
    usable = facts["fault"].is_null().to_numpy()
    return Checked(replace(table.select(usable), left_out=dict(left_out)), facts)


def _with_copies(split: Checked, name: str, copies: Mapping[tuple[str, str], str]) -> Checked:
    """A split whose table tells the group of copies that each picture belongs to."""
    groups = [copies.get((name, path), "") for path in split.table.path.tolist()]
    return replace(split, table=replace(split.table, copies=np.array(groups, np.str_)))


def _write_split(
    file: Path, root: Path, split: Checked, parts: Sequence[Path], about: About
) -> None:
    if not len(split.table):
        raise DataError(f"{split.table.root}: none of the {len(split.facts)} pictures can be used")
    images = (
        chunk
        for part in parts
        for chunk in read_parts([part], ["image"])["image"].drop_null().chunks
    )
    below = os.path.relpath(split.table.root, root)
    faults = len(split.facts) - len(split.table)
    write_store(file, split.table, images, replace(about, pictures=below, faults=faults))


def _refuse_faults(card: Mapping[str, Any], folder: Path, on_error: str) -> None:
    counts: Counter[str] = Counter()
    for split in card["splits"].values():
        counts.update(split["faults"])
    if counts and on_error != "skip":
        listed = ", ".join(f"{name}: {count}" for name, count in sorted(counts.items()))
        raise DataError(
            f"{counts.total()} samples have no usable picture ({listed}); {folder / 'faults.csv'} "
            "names them. Restore them and prepare again, or leave them out with data.on_error=skip."
        )
