"""What has changed in a file of `torch.save` is noticed, wherever it is."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch

from cage_lightning.errors import CheckpointError
from cage_lightning.models import read_state_dict
from cage_lightning.system.archives import check_archive
from tests.bit_flips import reads_of_flipped


def saved(path: Path) -> Path:
    torch.manual_seed(0)
    torch.save({"state_dict": {"a": torch.randn(40, 20), "b": torch.randn(300)}}, path)
    return path


def read(file: Path) -> object:
    return {name: tensor.tolist() for name, tensor in read_state_dict(file).items()}


def test_a_flipped_bit_changes_no_weight_unseen(tmp_path: Path) -> None:
    outcomes = reads_of_flipped(saved(tmp_path / "weights.ckpt"), 300, read)
    assert set(outcomes) == {"same", "refused"}, outcomes
    assert outcomes.count("refused") > 200


def test_tensors_can_be_left_out(tmp_path: Path) -> None:
    file = saved(tmp_path / "weights.ckpt")
    check_archive(file)
    content = bytearray(file.read_bytes())
    content[content.index(torch.load(file)["state_dict"]["b"].numpy().tobytes())] ^= 1
    file.write_bytes(content)
    check_archive(file, tensors=False)
    with pytest.raises(zipfile.BadZipFile, match="Bad CRC-32"):
        check_archive(file)
    with pytest.raises(CheckpointError, match=r"weights\.ckpt is damaged"):
        read_state_dict(file)


def test_records_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    """A small file could otherwise keep a reader busy for ever."""
    file = tmp_path / "many.ckpt"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x/data.pkl", bytes(1_000))
        archive.filelist *= 100
    with pytest.raises(ValueError, match="larger than the file"):
        check_archive(file)


def test_what_is_compressed_is_not_unpacked(tmp_path: Path) -> None:
    file = tmp_path / "packed.ckpt"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", bytes(100_000))
    content = bytearray(file.read_bytes())
    content[60] ^= 1
    file.write_bytes(content)
    check_archive(file)


def test_other_files_have_no_checksums(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"anything")
    check_archive(tmp_path / "other")
