"""The checksums of zip archives, which is what `torch.save` writes.

`torch.load` does not compare them (it is built without that): what has changed on a disk or on the
way would be taken for weights.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

_BEGINNING = b"PK\x03\x04"
_CHUNK = 1 << 20  # bytes


def check_archive(path: Path, tensors: bool = True) -> None:
    """Compare the records of an archive of torch with their CRC-32; other files have none.

    Each record is read once. Only those that are stored as they are, as torch stores all that it
    reads again, so that nothing is unpacked.

    Args:
        path: The file.
        tensors: Whether to compare the elements of tensors, most of the file, as well as the rest.

    Raises:
        ValueError: The records are larger than the file.
        zipfile.BadZipFile: A record has changed since it was written, or the archive is damaged;
            another kind of damage may raise another exception.
    """
    with path.open("rb") as file:
        if file.read(len(_BEGINNING)) != _BEGINNING:
            return
    with zipfile.ZipFile(path) as archive:
        records = [r for r in archive.infolist() if r.compress_type == zipfile.ZIP_STORED]
        if sum(record.file_size for record in records) > path.stat().st_size:
            raise ValueError("its records are larger than the file")
        for record in records:
            if tensors or "/data/" not in record.filename:
                with archive.open(record) as opened:
                    while opened.read(_CHUNK):
                        pass
