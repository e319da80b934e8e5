"""W&B without login and network: it never waits, and leaves one run per job."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from wandb.proto import wandb_internal_pb2

from tests.conftest import TINY, Command

BLOCK = 32768


def records(file: Path) -> Iterator[Any]:
    """The records of a .wandb file: LevelDB framing with plain CRC-32, protobuf inside."""
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
            record = wandb_internal_pb2.Record()
            record.ParseFromString(b"".join(parts))
            parts = []
            yield record


def read_run(run: Path) -> dict[str, Any]:
    (file,) = run.glob("wandb/offline-run-*/run-*.wandb")
    found: dict[str, Any] = {"history": []}
    for record in records(file):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found["run"] = record.run
        elif kind == "exit":
            found["exit"] = record.exit.exit_code
        elif kind == "history":
            found["history"].append(
                {
                    (item.key or ".".join(item.nested_key)): json.loads(item.value_json)
                    for item in record.history.item
                }
            )
    return found


def test_a_run_is_logged_offline(command: Command, tmp_path: Path) -> None:
    command("train", *TINY, "logger=wandb", "group=paper", "trainer.log_every_n_steps=1")
    found = read_run(tmp_path / "runs/paper/demo8-tiny-combined-s0")
    assert found["exit"] == 0
    assert found["run"].run_group == "paper"
    assert found["run"].display_name == "demo8-tiny-combined-s0"
    assert set(found["run"].tags) == {"demo8", "tiny", "combined", "paper"}
    logged = {key for row in found["history"] for key in row}
    assert {"train/loss", "val/loss", "val/ccc_valence", "test/accuracy"} <= logged


def test_every_job_of_a_sweep_has_a_run_and_a_failure_says_so(
    command: Command, tmp_path: Path
) -> None:
    jobs = (*TINY, "trainer.max_epochs=1", "optimizer._target_=torch.optim.SGD")
    sweep = ("-m", "hydra/launcher=basic", *jobs, "optimizer.lr=1e-4,1e6")
    done = command("train", *sweep, "logger=wandb", check=False)
    assert done.returncode == 1
    done = command("train", *jobs, "logger=wandb", "optimizer.lr=1e6", "tag=bad", check=False)
    assert done.returncode == 1
    assert read_run(tmp_path / "runs/default/demo8-tiny-combined-s0")["exit"] == 0
    assert read_run(tmp_path / "runs/default/demo8-tiny-combined-s0-bad")["exit"] == 1


@pytest.mark.slow
def test_a_server_that_does_not_answer_turns_it_offline(command: Command, tmp_path: Path) -> None:
    # Nothing listens there; with a key W&B would try for a minute and a half.
    server = {"WANDB_API_KEY": "a" * 40, "WANDB_BASE_URL": "http://127.0.0.1:9"}
    done = command("train", *TINY, "trainer.max_epochs=1", "logger=wandb", **server)
    assert "logging offline" in done.stderr
    assert read_run(tmp_path / "runs/default/demo8-tiny-combined-s0")["exit"] == 0
