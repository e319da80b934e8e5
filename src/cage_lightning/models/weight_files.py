"""The content of a weight file of any kind. The kind follows from the content, not from the name.

No file is trusted: `torch.load` unpickles only what it knows to be harmless, and what it refuses is
read by `inert_pickle`, which imports and calls nothing.
"""

from __future__ import annotations

import os
import re
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from cage_lightning.errors import CheckpointError
from cage_lightning.models.inert_pickle import Content, Described, Storage, read_inert
from cage_lightning.system.archives import check_archive

_MAGIC = 0x1950A86A20F9469CFC6C  # of torch.save before PyTorch 1.6
_UNPACKED = 1 << 24  # bytes: the code of TorchScript, which alone is compressed, has fewer

# How files begin that are often taken for weights, and what they are.
_NO_WEIGHTS: dict[bytes, str] = {
    b"version https://git-lfs": "is the pointer of Git LFS to a file that was not fetched: fetch "
    "it with git lfs pull",
    b"<!DOCTYPE": "is a page of HTML, maybe the answer of a server in the place of the file: "
    "download it again",
    b"<html": "is a page of HTML, maybe the answer of a server in the place of the file: "
    "download it again",
    b"\x89HDF": "is an HDF5 file, maybe of Keras: give weights of PyTorch",
    b"\x1f\x8b": "is compressed with gzip: unpack it",
    b"7z\xbc\xaf": "is compressed with 7-Zip: unpack it",
    b"Rar!": "is compressed with RAR: unpack it",
}

# torch's names of the storages in pickles -> the type of their elements.
_DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


def _nothing_described(tensor: Described) -> Tensor:
    raise AssertionError(tensor)


@dataclass(frozen=True)
class FileContent:
    """What a weight file holds.

    Attributes:
        value: Tensors in plain containers, or `Described` and `Inert` in them.
        path: The file.
        read: Reads a tensor that is described.
        foreign: The names of Python objects in it, none of which was made.
        archive: Whether it is an archive of TorchScript.
    """

    value: Any
    path: Path
    read: Callable[[Described], Tensor] = _nothing_described
    foreign: tuple[str, ...] = ()
    archive: bool = False

    def tensors(self, chosen: Mapping[str, Tensor | Described]) -> dict[str, Tensor]:
        """Read those of the chosen tensors that are only described.

        Raises:
            CheckpointError: The file is damaged.
        """
        with _damage(self.path):
            return {
                name: self.read(tensor) if isinstance(tensor, Described) else tensor
                for name, tensor in chosen.items()
            }


def check_unpacked_size(path: Path) -> None:
    """Refuse an archive with compressed parts that are far larger than it is; PyTorch writes none.

    Raises:
        CheckpointError: It is one.
    """
    if not path.is_file():
        return
    with _damage(path):
        if not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as archive:
            unpacked, size = sum(one.file_size for one in archive.infolist()), path.stat().st_size
    if unpacked > _UNPACKED + 2 * size:
        raise CheckpointError(f"{path} is refused: its {size:,} bytes unpack to {unpacked:,}")


def read_content(path: Path) -> FileContent:
    """Read a weight file: safetensors, or what `torch.save` or `torch.jit.save` wrote.

    Args:
        path: The file, under any name.

    Raises:
        CheckpointError: It is none of these, or damaged.
    """
    with path.open("rb") as file:
        start = file.read(512)
    for beginning, what in _NO_WEIGHTS.items():
        if start.startswith(beginning):
            raise CheckpointError(f"{path} {what}")
    check_unpacked_size(path)
    with _damage(path):
        if _is_safetensors(start, path.stat().st_size):
            return FileContent(load_file(path), path)
        if start.startswith(b"PK\x03\x04"):
            return _read_zip(path)
        if tarfile.is_tarfile(path):
            raise CheckpointError(
                f"{path} is an archive (tar), or of a PyTorch before 0.1.10: unpack it, or load it "
                "with an old PyTorch in a container and save the state_dict again"
            )
        return _load(path) or _inert_legacy(path)


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except CheckpointError:
        raise
    # torch reports damaged files by many kinds of errors: KeyError, EOFError, RuntimeError...
    except Exception as error:
        raise CheckpointError(
            f"{path} is damaged or no weight file: give a state dict or a checkpoint of this suite"
        ) from error


def _is_safetensors(start: bytes, size: int) -> bool:
    """A length of 8 bytes, then as much JSON."""
    return start[8:9] == b"{" and 2 <= int.from_bytes(start[:8], "little") <= size - 8


def _load(path: Path) -> FileContent | None:
    """The content as `torch.load` reads it; None if there is more in it than it takes for safe."""
    try:
        with path.open("rb") as file:  # by the name, torch would take it for safetensors
            return FileContent(torch.load(file, map_location="cpu", weights_only=True), path)
    except UnpicklingError:
        return None


def _read_zip(path: Path) -> FileContent:
    check_archive(path)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    pickled = next((name for name in names if re.fullmatch(r"[^/]+/data\.pkl", name)), None)
    if pickled is None:
        raise CheckpointError(
            f"{path} is a zip archive that neither torch.save nor torch.jit.save wrote: unpack it"
        )
    script = f"{pickled.removesuffix('data.pkl')}constants.pkl" in names
    return (None if script else _load(path)) or _inert_zip(path, pickled, script)


def _inert_zip(path: Path, pickled: str, script: bool) -> FileContent:
    folder = pickled.removesuffix("data.pkl")
    with zipfile.ZipFile(path) as archive:
        content = read_inert(BytesIO(_record(archive, pickled)))
        if f"{folder}byteorder" in archive.namelist():
            _check_order(_record(archive, f"{folder}byteorder").decode())

    def read(key: str) -> bytes:
        with zipfile.ZipFile(path) as archive:
            return _record(archive, f"{folder}data/{key}")

    return _content(path, content, read, script)


def _record(archive: zipfile.ZipFile, name: str) -> bytes:
    """A record of an archive. PyTorch compresses none, so that none is larger than the file."""
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed")
    return archive.read(name)


def _check_order(order: str) -> None:
    if order != sys.byteorder:
        raise ValueError(f"the numbers are {order} endian")


def _inert_legacy(path: Path) -> FileContent:
    """Before PyTorch 1.6: five pickles in a row, then each storage after its size."""
    with path.open("rb") as file:
        magic, _, system, content, keys = (read_inert(file) for _ in range(5))
        if magic.value != _MAGIC:
            raise ValueError("no file of torch.save")
        _check_order("little" if system.value["little_endian"] else "big")
        places = {}
        for key in keys.value:
            elements = int.from_bytes(file.read(8), sys.byteorder)
            size = elements * _DTYPES[content.storages[key].type].itemsize
            places[key] = (file.tell(), size)
            if file.seek(size, os.SEEK_CUR) > os.fstat(file.fileno()).st_size:
                raise ValueError("the file is cut off")

    def read(key: str) -> bytes:
        place, size = places[key]
        with path.open("rb") as file:
            file.seek(place)
            return file.read(size)

    return _content(path, content, read)


def _content(
    path: Path, content: Content, storage: Callable[[str], bytes], script: bool = False
) -> FileContent:
    """The content of a file, each of whose storages is read once, when a tensor needs it."""
    read = cache(lambda of: _elements(of, storage(of.key)))
    return FileContent(
        content.value,
        path,
        lambda tensor: _part(read(tensor.storage), tensor),
        tuple(map(str, content.foreign)),
        script,
    )


def _elements(storage: Storage, data: bytes) -> Tensor:
    dtype = _DTYPES[storage.type]
    if not storage.elements:
        return torch.empty(0, dtype=dtype)
    return torch.frombuffer(bytearray(data), dtype=dtype, count=storage.elements)


def _part(storage: Tensor, tensor: Described) -> Tensor:
    return storage.as_strided(tensor.size, tensor.stride, tensor.offset)
