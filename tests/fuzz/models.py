"""The readers of models: checkpoints, weight files, exports, and models of other systems."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import random
import struct
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from cage_lightning.deploy.checkpoints import describe
from cage_lightning.deploy.folder import CONFIG, WEIGHTS, Export
from cage_lightning.deploy.loading import load
from cage_lightning.models import build_network, read_state_dict
from tests.fuzz.mutations import (
    Mutation,
    either,
    of_archive,
    of_bytes,
    of_json,
    of_text,
    of_values,
    of_yaml,
)
from tests.fuzz.target import Files, Target
from tests.hostile_content import SOUND_CHECKPOINT


def _saved(content: Any, **options: Any) -> bytes:
    sink = io.BytesIO()
    torch.save(content, sink, **options)
    return sink.getvalue()


def _saved_or(rng: random.Random, changed: Any, content: bytes, **options: Any) -> bytes:
    """What was changed as PyTorch writes it; other bytes where it is nested too deep for that."""
    try:
        return _saved(changed, **options)
    except RecursionError:
        return of_bytes(rng, content)


@lru_cache
def _network() -> dict[str, torch.Tensor]:
    size = SOUND_CHECKPOINT["config"]["model"]["image_size"]
    return build_network("tiny", 10, weights="none", image_size=size).state_dict()


def _checkpoint() -> dict[str, Any]:
    weights = {f"network.{name}": tensor for name, tensor in _network().items()}
    return {**copy.deepcopy(SOUND_CHECKPOINT), "state_dict": weights}


def _of_checkpoint(rng: random.Random, content: bytes) -> bytes:
    """What a checkpoint says, written by PyTorch."""
    said = _checkpoint()
    weights = said.pop("state_dict")
    changed = of_values(rng, said)
    if isinstance(changed, dict) and rng.random() < 0.9:
        changed["state_dict"] = of_values(rng, weights) if rng.random() < 0.2 else weights
    return _saved_or(rng, changed, content)


_WEIGHTS = {
    "conv.weight": torch.zeros(2, 3),
    "conv.bias": torch.zeros(2, dtype=torch.float16),
    "count": torch.tensor(3),
}


def _of_weights(rng: random.Random, content: bytes) -> bytes:
    """Weights in containers of other kinds."""
    tensors: dict[str, Any] = dict(_WEIGHTS)
    inner: Any = rng.choice((tensors, {"model": tensors}, {"state_dict": tensors, "epoch": 3}))
    if rng.random() < 0.2:
        inner = {"model": nn.Linear(2, 2)}
    form = {"_use_new_zipfile_serialization": rng.random() < 0.7}
    return _saved_or(rng, of_values(rng, inner), content, **form)


def _of_safetensors(rng: random.Random, content: bytes) -> bytes:
    """What the header says, its length that of the changed one."""
    length = int.from_bytes(content[:8], "little")
    header = of_json(rng, content[8 : 8 + length])
    return struct.pack("<Q", len(header)) + header + content[8 + length :]


def _write_export(folder: Path) -> None:
    weights = save({f"members.0.{name}": t.contiguous() for name, t in _network().items()})
    (folder / WEIGHTS).write_bytes(weights)
    (folder / "best.ckpt").write_bytes(_saved(_checkpoint()))
    description = describe(folder / "best.ckpt").description
    (folder / "best.ckpt").unlink()
    files = {WEIGHTS: hashlib.sha256(weights).hexdigest()}
    export = Export(description, 1, files, {}, {"test/accuracy": 0.5}, {"versions": {}})
    (folder / CONFIG).write_text(export.to_json())


def _resigned(files: Files) -> Files:
    """config.json with the checksums of what it says and of the weights."""
    try:
        content = json.loads(files[CONFIG])
        content["files"][WEIGHTS] = hashlib.sha256(files[WEIGHTS]).hexdigest()
        content.pop("checksum", None)
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return {CONFIG: json.dumps({**content, "checksum": digest}).encode()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


_MEANING: dict[str, Any] = {
    "input": {
        "layout": "NCHW",
        "size": 8,
        "colors": "RGB",
        "scale": 1,
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
    },
    "outputs": [
        {
            "columns": [
                *("Anger", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise"),
                *("valence", "_", "arousal"),
            ],
            "values": "logits",
            "range": [-1, 1],
        }
    ],
    "multi_label": False,
}


def _write_onnx(folder: Path) -> None:
    import numpy as np
    import onnx
    import yaml

    weights = np.zeros((3, 10), np.float32)
    axes = onnx.numpy_helper.from_array(np.array([2, 3]), "axes")
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("ReduceMean", ["x", "axes"], ["m"], keepdims=0),
            onnx.helper.make_node("MatMul", ["m", "w"], ["y"]),
        ],
        "g",
        [onnx.helper.make_tensor_value_info("x", kind, ["N", 3, 8, 8])],
        [onnx.helper.make_tensor_value_info("y", kind, ["N", 10])],
        [axes, onnx.numpy_helper.from_array(weights, "w")],
    )
    opset = [onnx.helper.make_opsetid("", 18)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=9)
    (folder / "theirs.onnx").write_bytes(model.SerializeToString())
    (folder / "theirs.yaml").write_text(yaml.safe_dump(_MEANING))


def _weights(name: str, content: bytes, mutation: Mutation) -> Target:
    return Target(
        f"weights, {name}",
        lambda folder: (folder / "w").write_bytes(content),
        lambda folder: read_state_dict(folder / "w"),
        {"w": mutation},
    )


CHECKPOINTS = (
    Target(
        "checkpoint",
        lambda folder: (folder / "best.ckpt").write_bytes(_saved(_checkpoint())),
        lambda folder: load(folder / "best.ckpt"),
        {"best.ckpt": either(_of_checkpoint, _of_checkpoint, of_archive(of_bytes), of_bytes)},
    ),
    _weights("zip", _saved(_WEIGHTS), either(_of_weights, of_archive(of_bytes), of_bytes)),
    _weights(
        "before PyTorch 1.6",
        _saved(_WEIGHTS, _use_new_zipfile_serialization=False),
        either(of_bytes, of_bytes, _of_weights),
    ),
    _weights("safetensors", save(_WEIGHTS), either(_of_safetensors, of_bytes)),
)
EXPORTS = (
    Target(
        "export",
        _write_export,
        load,
        {CONFIG: either(of_json, of_json, of_bytes), WEIGHTS: either(_of_safetensors, of_bytes)},
        _resigned,
    ),
    Target(
        "foreign model, YAML",
        _write_onnx,
        lambda folder: load(folder / "theirs.onnx"),
        {"theirs.yaml": either(of_yaml, of_yaml, of_text, of_bytes)},
    ),
    Target(
        "foreign model, ONNX",
        _write_onnx,
        lambda folder: load(folder / "theirs.onnx"),
        {"theirs.onnx": of_bytes},
    ),
)
