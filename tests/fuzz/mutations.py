"""Sound content changed at random: its bytes, its words, or what its format is made of."""

from __future__ import annotations

import copy
import io
import json
import random
import re
import zipfile
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

Mutation = Callable[[random.Random, bytes], bytes]
"""The changed content."""

WORDS = (
    *(
        "",
        " ",
        "0",
        "-0",
        "1",
        "-1",
        "2",
        "7",
        "8",
        "0.5",
        "1,5",
        "-2",
        "1e999",
        "-1e400",
        "1e-400",
    ),
    *("nan", "NaN", "inf", "-Infinity", "None", "null", "true", "False", "9" * 25, "9" * 5000),
    *("1.", ".5", "+1", "0x1f", "1_000", "1e5", "٣", "²", "½", "٠٫٥", "１", "-9223372036854775809"),
    *(
        "../../etc/passwd",
        "/etc/passwd",
        "a/../b",
        "C:\\a",
        "a\0b",
        "\udcff",
        "\ufeff",
        "é",
        "e\u0301",
    ),
    *("\x1b[31m", "\u202e", "=1+1", "<b>", "$\\x$", "[/x]", "${oc.env:HOME}", "${seed}", "%s{0}"),
    *("Anger", "neutral", "Happy", "Peace", "train", "test", "val", "path", "image", "x" * 3000),
    *('"', "'", ",", ";", "\t", "|", "\r", "\n", "\r\n", "[]", "{}", "[[]]", "[1, 2]", "[" * 300),
    *("2026-01-01", "1:30", "yes", "~", "*a", "&a", "!!int 3", "!!python/name:os.system", "<<"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 7, 63, 1 << 31, 1 << 63, 10**30, -(10**400), 0.5, -0.0),
    *(1e308, float("nan"), float("inf"), [], {}, [[]], [None], {"": None}, [1] * 9, ["a", "a"]),
    *("", "a", "nan", "0.5", "\0", "\x1b", "x" * 3000, {"_target_": "os.system"}, "tiny", 1e-9),
)


def of_bytes(rng: random.Random, content: bytes) -> bytes:
    """Flipped, cut, repeated, moved and overwritten bytes."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        start = rng.randrange(len(changed) + 1)
        end = min(len(changed), start + int(2 ** rng.uniform(0, 8)))
        match rng.randrange(9):
            case 0 | 1 if start < len(changed):
                changed[start] ^= 1 << rng.randrange(8)
            case 2 if start < len(changed):
                changed[start] = rng.choice((0, 0xFF, 0x7F, 0x80, rng.randrange(256)))
            case 3:
                del changed[start:end]
            case 4:
                changed[start:start] = changed[start:end] * rng.choice((1, 2, 50))
            case 5:
                changed[start:end] = bytes(end - start)
            case 6:
                changed[start:end] = rng.randbytes(end - start)
            case 7:
                del changed[start:]
            case 8:
                changed[start:start] = _encoded(rng.choice(WORDS))
    return bytes(changed)


def of_text(rng: random.Random, content: bytes) -> bytes:
    """Words, lines, separators and encodings of a text."""
    text = content.decode("utf-8", "surrogateescape")
    for _ in range(rng.choice((1, 1, 2, 4))):
        lines = text.splitlines(keepends=True) or [""]
        row = rng.randrange(len(lines))
        match rng.randrange(8):
            case 0 | 1 | 2:
                lines[row] = _another_word(rng, lines[row])
            case 3:
                del lines[row]
            case 4:
                lines.insert(rng.randrange(len(lines) + 1), lines[row] * rng.choice((1, 1, 20)))
            case 5:
                old, new = rng.choice(",;\t| \n"), rng.choice((",", ";", "\t", "|", " ", "\r", ""))
                lines = [line.replace(old, new) for line in lines]
            case 6:
                other = rng.randrange(len(lines))
                lines[row], lines[other] = lines[other], lines[row]
            case 7:
                lines[row] = rng.choice(WORDS) + lines[row]
        text = "".join(lines)
    if rng.random() < 0.05:
        return text.encode(rng.choice(("utf-16", "utf-16-be", "utf-32", "utf-8-sig")), "replace")
    return _encoded(text)


def of_values(rng: random.Random, value: Any) -> Any:
    """Plain containers with some parts replaced, left out, added or put into each other."""
    changed = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        place = changed
        for _ in range(rng.randrange(8)):
            inner = _inner(place)
            if not inner:
                break
            place = rng.choice(inner)
        if isinstance(place, dict) and place:
            key = rng.choice(list(place))
            match rng.randrange(6):
                case 0:
                    del place[key]
                case 1:
                    place[rng.choice((*place, "more", "", 3))] = place[key]
                case 2:
                    place[key] = _nested(rng, place[key])
                case _:
                    place[key] = _value(rng)
        elif isinstance(place, list):
            row = rng.randrange(len(place) + 1)
            match rng.randrange(4):
                case 0:
                    place[row:] = place[row + 1 :]
                case 1:
                    place[row:row] = _again(place[row : row + 1]) or [_value(rng)]
                case _:
                    place[row : row + 1] = [_value(rng)]
    return _value(rng) if rng.random() < 0.01 else changed


def _again(row: list[Any]) -> list[Any]:
    """A copy, or the same where it is nested too deep to be copied."""
    try:
        return copy.deepcopy(row)
    except RecursionError:
        return list(row)


def of_json(rng: random.Random, content: bytes) -> bytes:
    """What a JSON file says, or one line of a file whose lines say something each."""
    try:
        return _encoded(json.dumps(of_values(rng, json.loads(content))))
    except (ValueError, RecursionError):
        before, line, after = _a_line(rng, content)
    try:
        return before + _encoded(json.dumps(of_values(rng, json.loads(line)))) + b"\n" + after
    except (ValueError, RecursionError):
        return of_bytes(rng, content)


def _a_line(rng: random.Random, content: bytes) -> tuple[bytes, bytes, bytes]:
    lines = content.splitlines(keepends=True) or [b""]
    row = rng.randrange(len(lines))
    return b"".join(lines[:row]), lines[row], b"".join(lines[row + 1 :])


def of_yaml(rng: random.Random, content: bytes) -> bytes:
    """What a YAML file says, written as JSON, which is YAML as well."""
    return _encoded(json.dumps(of_values(rng, _plain_of(content)), default=str))


@lru_cache(maxsize=64)
def _plain_of(content: bytes) -> Any:
    return yaml.safe_load(content)


def of_table(write: Callable[[pa.Table, random.Random], bytes]) -> Mutation:
    """The columns of a Parquet or Arrow file, which `write` puts into a file again."""

    def mutation(rng: random.Random, content: bytes) -> bytes:
        table = _table_of(content)
        columns = list(zip(table.column_names, table.columns, strict=True))
        metadata = dict(table.schema.metadata or {})
        for _ in range(rng.choice((1, 1, 2, 3))):
            place = rng.randrange(len(columns))
            name, column = columns[place]
            match rng.randrange(8):
                case 0:
                    columns[place] = (rng.choice(("", "a", name.upper(), f"{name} ")), column)
                case 1 if len(columns) > 1:
                    del columns[place]
                case 2:
                    columns.append((name, column))
                case 3 if metadata:
                    key = rng.choice(list(metadata))
                    metadata[key] = rng.choice((of_bytes, of_json))(rng, metadata[key])
                case 4:
                    missing = np.arange(table.num_rows) == rng.randrange(table.num_rows)
                    columns[place] = (name, pc.if_else(missing, None, column))
                case _:
                    columns[place] = (name, _column(rng, table.num_rows, column))
        names, arrays = [name for name, _ in columns], [column for _, column in columns]
        return write(pa.table(arrays, names=names, metadata=metadata), rng)

    return mutation


def parquet_file(table: pa.Table, rng: random.Random) -> bytes:
    """A table in Parquet, in one of the forms that it may have."""
    sink = io.BytesIO()
    forms: dict[str, Any] = {
        "compression": rng.choice(("none", "snappy", "zstd", "gzip")),
        "use_dictionary": rng.random() < 0.5,
        "data_page_version": rng.choice(("1.0", "2.0")),
        "version": rng.choice(("1.0", "2.6")),
    }
    pq.write_table(table, sink, **forms)
    return sink.getvalue()


def arrow_file(table: pa.Table, rng: random.Random) -> bytes:
    """A table in Arrow, compressed or not, as a file or a stream."""
    sink, options = io.BytesIO(), pa.ipc.IpcWriteOptions(compression=rng.choice((None, "zstd")))
    new = rng.choice((pa.ipc.new_file, pa.ipc.new_file, pa.ipc.new_stream))
    with new(sink, table.schema, options=options) as writer:
        writer.write_table(table, rng.choice((1, 1000)))
    return sink.getvalue()


def of_archive(mutation: Mutation) -> Mutation:
    """A file in a zip archive, whose checksums are those of the changed content."""

    def changed(rng: random.Random, content: bytes) -> bytes:
        sink = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            # The first one, data.pkl, says what the others are.
            chosen = rng.choice((members[0], members[0], rng.choice(members)))
            with zipfile.ZipFile(sink, "w") as written:
                for member in members:
                    inside = archive.read(member)
                    written.writestr(
                        member.filename, mutation(rng, inside) if member is chosen else inside
                    )
        return sink.getvalue()

    return changed


def either(*mutations: Mutation) -> Mutation:
    """One of some mutations, each as often as it is named."""

    def mutation(rng: random.Random, content: bytes) -> bytes:
        return rng.choice(mutations)(rng, content)

    return mutation


def _another_word(rng: random.Random, line: str) -> str:
    words = re.split(r"([,;:\t |=\"'\[\]{}()\n]+)", line)
    words[rng.randrange(0, len(words), 2)] = rng.choice(WORDS)
    return "".join(words)


def _value(rng: random.Random) -> Any:
    return copy.deepcopy(rng.choice(VALUES)) if rng.random() < 0.7 else rng.choice(WORDS)


def _nested(rng: random.Random, value: Any) -> Any:
    for _ in range(rng.choice((1, 2, 60, 400))):
        value = rng.choice(([value], {"a": value}))
    return value


def _inner(value: Any) -> list[Any]:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [one for one in inside if isinstance(one, dict | list)]


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


@lru_cache(maxsize=64)
def _table_of(content: bytes) -> pa.Table:
    if content.startswith(b"PAR1"):
        return pq.read_table(io.BytesIO(content))
    return pa.ipc.open_file(content).read_all()


def _column(rng: random.Random, rows: int, before: pa.ChunkedArray) -> pa.Array:
    """A column of another kind or with other values."""
    numbers = np.array([rng.choice((0, 1, -1, 7, 300, 2**40)) for _ in range(rows)])
    words = [rng.choice(WORDS).encode("utf-8", "replace").decode() for _ in range(rows)]
    match rng.randrange(12):
        case 0:
            return pa.nulls(rows, rng.choice((pa.null(), pa.string(), pa.float64(), before.type)))
        case 1:
            return pa.array(numbers)
        case 2:
            return pa.array([rng.choice((0.5, np.nan, np.inf, 1e308)) for _ in range(rows)])
        case 3:
            return pa.array(words)
        case 4:
            return pa.array([word.encode() for word in words])
        case 5:
            return pa.array([[word, word] for word in words])
        case 6:
            return pa.array([{"bytes": word.encode(), "path": word} for word in words])
        case 7:
            return pa.array(words).dictionary_encode()
        case 8:
            return pa.array([bool(number % 2) for number in numbers.tolist()])
        case 9:
            kind = rng.choice((pa.timestamp("s"), pa.date64(), pa.duration("ns"), pa.time64("ns")))
            return pa.array(np.abs(numbers), pa.int64()).cast(kind, safe=False)
        case 10:
            return pa.array([[[1.5] * 2] * 2] * rows, pa.list_(pa.list_(pa.float32(), 2)))
        case _:
            return before.take(pa.array([rng.randrange(rows) for _ in range(rows)]))
