"""What an offline W&B run left in its file; there is no public reader of it."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK = 32768


def records(file: Path) -> Iterator[Any]:
    """The records of a .wandb file: LevelDB framing with plain CRC-32, protobuf inside."""
    from wandb.proto import wandb_internal_pb2  # takes a second, and few tests read such a file

    data = file.read_bytes()
    assert data[:4] == b":W&B"
    position, parts = 7, []
    while position + 7 <= len(data):
        left = BLOCK - position % BLOCK
        if left < 7:
            position += left
            continue
        checksum, size, kind = struct.unpack("<IHB", data[position : position + 7])
        chunk = data[position + 7 : position + 7 + size]
        assert zlib.crc32(bytes([kind]) + chunk) == checksum
        position += 7 + size
        parts.append(chunk)
        if kind in (1, 4):  # full, or last
            record = wandb_internal_pb2.Record()  # made on import
            record.ParseFromString(b"".join(parts))
            parts = []
            yield record


def read_run(run: Path, start: int = 0) -> dict[str, Any]:
    """What one start of a run logged; `start` counts from 0."""
    file = sorted(run.glob("wandb/offline-run-*/run-*.wandb"))[start]
    found: dict[str, Any] = {"history": [], "summary": {}, "config": {}, "artifacts": []}
    for record in records(file):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found["run"] = record.run
        elif kind == "exit":
            found["exit"] = record.exit.exit_code
        elif kind == "preempting":
            found["preempting"] = True
        elif kind == "artifact":
            found["artifacts"].append(record.artifact)
        elif kind == "summary":
            found["summary"] |= values(record.summary.update)
        elif kind == "config":
            found["config"] |= values(record.config.update)
        elif kind == "history":
            found["history"].append(values(record.history.item))
    return found


def values(items: Any) -> dict[str, Any]:
    return {(item.key or ".".join(item.nested_key)): json.loads(item.value_json) for item in items}
