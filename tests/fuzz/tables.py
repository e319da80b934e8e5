"""The readers of tables: own data sets, prediction files, groups, and the packed store."""

from __future__ import annotations

import io
import json
import random
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.datasets import Folders
from cage_lightning.data.packed import METADATA_KEY
from cage_lightning.data.store_file import About, read_store, write_store
from cage_lightning.labels import AFFECTNET_8, EMOTIC
from cage_lightning.predictions.files import read_predictions, write_predictions
from cage_lightning.predictions.groups import read_groups
from tests.affectnet_layouts import picture
from tests.fuzz.mutations import (
    Mutation,
    arrow_file,
    either,
    of_bytes,
    of_json,
    of_table,
    of_text,
    parquet_file,
)
from tests.fuzz.target import Target
from tests.own_tables import HEADER, LAST, PICTURES, ROWS, lines, opened
from tests.prediction_samples import random_predictions

_TEXT = either(of_text, of_text, of_bytes)
_PARQUET = either(of_table(parquet_file), of_table(parquet_file), of_bytes)
_ARROW = either(of_table(arrow_file), of_table(arrow_file), of_bytes)
_PICTURE = picture(".png")

_COLUMNS: dict[str, list[Any]] = {
    "image": PICTURES,
    "emotion": ["calm", "tense", "calm", "tense"],
    "valence": [5.0, 4.0, 1.0, 9.0],
    "arousal": [5, 2, 9, 1],
    "split": ["train", "train", "train", "test"],
    "person": ["a", "b", "c", "d"],
    "x1": [0, 0, 0, 0],
    "y1": [0, 0, 0, 0],
    "x2": [8, 8, 8, 8],
    "y2": [8, 8, 8, 8],
}
_EMBEDDED: dict[str, list[Any]] = {
    "image": [{"bytes": _PICTURE, "path": name} for name in PICTURES],
    "label": [0, 1, 0, 1],
    "split": _COLUMNS["split"],
}
_FEATURES = {
    "info": {
        "features": {
            "label": {"_type": "ClassLabel", "names": ["calm", "tense"]},
            "image": {"_type": "Image"},
        }
    }
}


def _with_pictures(write: Callable[[Path], object]) -> Callable[[Path], None]:
    def written(folder: Path) -> None:
        for name in PICTURES:
            (folder / name).write_bytes(_PICTURE)
        write(folder)

    return written


def _file(name: str, content: bytes) -> Callable[[Path], None]:
    return _with_pictures(lambda folder: (folder / name).write_bytes(content))


def _own(folder: Path) -> None:
    data = opened(folder)
    for split in data.own_splits:
        data.own_split(split)


def _skipping(folder: Path) -> None:
    """As with ``data.on_error=skip``."""
    data = opened(folder, on_error="skip")
    for split in data.own_splits:
        data.own_split(split)


def _table(columns: dict[str, list[Any]], metadata: Any = None) -> pa.Table:
    said = {b"huggingface": json.dumps(metadata).encode()} if metadata else None
    return pa.table(columns).replace_schema_metadata(said)


def _written(write: Callable[[pa.Table, random.Random], bytes], table: pa.Table) -> bytes:
    """In the form that a file may be read from, see `of_table`."""
    return next(
        content
        for seed in range(100)
        if (content := write(table, random.Random(seed))).startswith((b"PAR1", b"ARROW1"))
    )


def _shard() -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for key, split in (("a", "train"), ("b", "train"), ("c", "test"), ("d", "test")):
            fields = {"emotion": "calm" if key in "ac" else "tense", "split": split}
            parts = {"png": _PICTURE, "json": json.dumps(fields).encode(), "txt": b"words"}
            for ending, content in parts.items():
                about = tarfile.TarInfo(f"{key}.{ending}")
                about.size = len(content)
                archive.addfile(about, io.BytesIO(content))
    return sink.getvalue()


def _of_members(rng: random.Random, content: bytes) -> bytes:
    """The members of a tar file: their names, kinds and contents."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        members = archive.getmembers()
        chosen = rng.choice(members)
        with tarfile.open(fileobj=sink, mode="w", errors="surrogateescape") as written:
            for member in members:
                opened_member = archive.extractfile(member)
                inside = b"" if opened_member is None else opened_member.read()
                if member is chosen:
                    mutation = (
                        of_json if member.name.endswith("json") and rng.random() < 0.7 else _TEXT
                    )
                    inside = mutation(rng, inside)
                    if rng.random() < 0.3:
                        name = of_text(rng, member.name.encode()).decode(errors="surrogateescape")
                        member.name = name[:90].replace("\0", "") or "x"
                        member.type = rng.choice((b"0", b"0", b"1", b"2", b"3", b"5", b"6", b"S"))
                    member.size = len(inside)
                written.addfile(member, io.BytesIO(inside))
    return sink.getvalue()


def _saved(folder: Path) -> None:
    """As ``DatasetDict.save_to_disk`` writes it."""
    table = _written(arrow_file, _table(_EMBEDDED, _FEATURES))
    (folder / "train").mkdir()
    (folder / "train/data.arrow").write_bytes(table)
    state = {"_data_files": [{"filename": "data.arrow"}], "_split": "train", "_fingerprint": "0"}
    (folder / "train/state.json").write_text(json.dumps(state))
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": ["train"]}))


def _folders(folder: Path) -> None:
    settings: dict[str, Any] = {"name": "study", "store": None, "on_error": "raise"}
    data = Folders(root=str(folder), **settings)
    for split in data.own_splits:
        data.own_split(split)


def _write_folders(folder: Path) -> None:
    for place in ("train/calm/a.png", "train/tense/b.png", "test/calm/c.png", "test/tense/d.png"):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).touch()


_PREDICTED = {
    name: random_predictions(space, 6)
    for name, space in (("one", AFFECTNET_8), ("several", EMOTIC))
}


def _foreign_csv() -> bytes:
    rows = ["cat_true,cat_pred,val_true,val_pred,aro_true,aro_pred"]
    rows += [f"{k},{k},0.{k},0.5,-0.{k},0.25" for k in range(8)]
    return "\n".join(rows).encode()


def _our_csv() -> bytes:
    names = [f"prob_{category}" for category in AFFECTNET_8.categories]
    rows = [",".join(["id", "category_true", "category_pred", *names])]
    rows += [f"{k},Anger,Fear,{','.join(['0.125'] * 8)}" for k in range(4)]
    return "\n".join(rows).encode()


def _without_digests(rng: random.Random, content: bytes) -> bytes:
    """A prediction file whose table is another one, without the checksums that would tell."""

    def write(table: pa.Table, rng: random.Random) -> bytes:
        metadata = {k: v for k, v in table.schema.metadata.items() if b"digest" not in k}
        return parquet_file(table.replace_schema_metadata(metadata), rng)

    return of_table(write)(rng, content)


def _write_store(folder: Path) -> None:
    table = Annotations(
        space=AFFECTNET_8,
        root=folder,
        id=np.array(["0", "3", "é"]),
        path=np.array([f"a/{i}.jpg" for i in range(3)]),
        category=np.array([7, 0, 3]),
        affect=np.array([[0.1, -1], [np.nan, np.nan], [0, 0]], np.float32),
        left_out={"uncertain": 2},
        box=np.array([[0, 0, 8, 8]] * 3, np.float32),
        extra={"age": np.array(["Kid", "", "Adult"]), "soft": np.zeros((3, 8), np.float32)},
    )
    about = About(release="r", settings={"release": "auto"}, image_size=None)
    images = [pa.array([b"zero", b"\xff\xd8 one", b""], pa.large_binary())]
    write_store(folder / "train.arrow", table, images, about)


def _store(folder: Path) -> None:
    table, _ = read_store(folder / "train.arrow", folder)
    assert table.packed is not None
    table.packed.are_sound()
    for row in range(len(table)):
        table.packed[row]


def _of_store(rng: random.Random, content: bytes) -> bytes:
    """The columns or what the metadata say, the file otherwise as `write_store` writes it."""

    def write(table: pa.Table, rng: random.Random) -> bytes:
        metadata = dict(table.schema.metadata or {})
        if METADATA_KEY in metadata and rng.random() < 0.5:
            metadata[METADATA_KEY] = of_json(rng, metadata[METADATA_KEY])
        sink = io.BytesIO()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table.replace_schema_metadata(metadata))
        return sink.getvalue()

    return of_table(write)(rng, content)


_JSONL = lines(
    *(dict(zip(_COLUMNS, row, strict=True)) for row in zip(*_COLUMNS.values(), strict=True))
)
_CSV = HEADER + "\n".join([*ROWS, LAST]) + "\n"


def _predictions(name: str, content: bytes, mutation: Mutation) -> Target:
    return Target(
        f"predictions, {name}",
        lambda folder: (folder / name).write_bytes(content),
        lambda folder: read_predictions(folder / name),
        {name: mutation},
    )


def _own_predictions(name: str, what: str) -> Target:
    return Target(
        f"predictions, Parquet of {name} {what}",
        lambda folder: write_predictions(folder / "p.parquet", _PREDICTED[name]),
        lambda folder: read_predictions(folder / "p.parquet"),
        {"p.parquet": either(_without_digests, _without_digests, of_bytes)},
    )


OWN = (
    Target("own table, CSV", _file("t.csv", _CSV.encode()), _own, {"t.csv": _TEXT}),
    Target("own table, CSV, skipped", _file("t.csv", _CSV.encode()), _skipping, {"t.csv": _TEXT}),
    Target(
        "own table, JSON lines",
        _file("t.jsonl", _JSONL.encode()),
        _own,
        {"t.jsonl": either(of_json, of_json, _TEXT)},
    ),
    Target(
        "own table, Parquet",
        _file("t.parquet", _written(parquet_file, _table(_COLUMNS))),
        _own,
        {"t.parquet": _PARQUET},
    ),
    Target(
        "own table, Parquet with pictures",
        _file("t.parquet", _written(parquet_file, _table(_EMBEDDED, _FEATURES))),
        _own,
        {"t.parquet": _PARQUET},
        leaves=(".pictures",),
    ),
    Target(
        "own table, Arrow",
        _file("t.arrow", _written(arrow_file, _table(_COLUMNS))),
        _own,
        {"t.arrow": _ARROW},
    ),
    Target(
        "own table, WebDataset",
        _file("t.tar", _shard()),
        _own,
        {"t.tar": either(_of_members, of_bytes)},
        leaves=(".pictures",),
    ),
    Target(
        "own table, saved by datasets",
        _saved,
        _own,
        {
            "train/state.json": either(of_json, of_bytes),
            "dataset_dict.json": either(of_json, of_bytes),
            "train/data.arrow": _ARROW,
        },
        leaves=(".pictures",),
    ),
    Target(
        "own folders",
        _write_folders,
        _folders,
        {"train/calm/a.png": _TEXT, "test/tense/d.png": _TEXT},
        renamed=True,
    ),
)
PREDICTIONS = (
    _predictions("published.csv", _foreign_csv(), _TEXT),
    _predictions("ours.csv", _our_csv(), _TEXT),
    _own_predictions("one", "category"),
    _own_predictions("several", "categories"),
    Target(
        "groups, CSV",
        lambda folder: (folder / "g.csv").write_text("id,age,gender\n1,Kid,f\n2,Adult,m\n"),
        lambda folder: read_groups(folder / "g.csv"),
        {"g.csv": _TEXT},
    ),
)
STORES = (
    Target(
        "packed store",
        _write_store,
        _store,
        {"train.arrow": either(_of_store, _of_store, of_bytes)},
    ),
)
