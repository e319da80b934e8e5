"""The folder of an export: a description in JSON, weights as safetensors, and other forms.

It may come from anyone: only numbers and names are read from it, each of an exact kind, and every
file is checked against its SHA-256 before it is used. The checksums are in the same folder, so they
tell of damage and of files that do not belong together; they do not say who made it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cage_lightning.deploy.description import Description, mapping
from cage_lightning.errors import CheckpointError
from cage_lightning.system.paths import refuse_outside

CONFIG = "config.json"
CARD = "README.md"
WEIGHTS = "model.safetensors"
FORMAT = "cage_lightning.export"
VERSION = 1
_MOST_BYTES = 1 << 20
_MOST_MEMBERS = 100
_KEYS = (
    "format",
    "format_version",
    "description",
    "members",
    "files",
    "forms",
    "scores",
    "made_by",
)
_CHECKSUM = "checksum"  # of all the others; exports of earlier versions have none


@dataclass(frozen=True)
class Export:
    """What the config.json of an export says.

    Attributes:
        description: What the model is.
        members: The number of networks whose outputs are averaged; 1 for a single one.
        files: SHA-256 of each file of a model in the folder, by its name.
        forms: By the name of the form: its ``file``, and what was measured when it was made.
        scores: Those of metrics.json on the test split, with intervals.
        made_by: Versions of the packages, and what the model was trained on.
    """

    description: Description
    members: int
    files: Mapping[str, str]
    forms: Mapping[str, Mapping[str, Any]]
    scores: Mapping[str, Any]
    made_by: Mapping[str, Any]

    def to_json(self) -> str:
        """The content of config.json."""
        content = {
            "format": FORMAT,
            "format_version": VERSION,
            "description": self.description.to_dict(),
            "members": self.members,
            "files": dict(self.files),
            "forms": dict(self.forms),
            "scores": dict(self.scores),
            "made_by": dict(self.made_by),
        }
        content[_CHECKSUM] = _digest(content)
        return json.dumps(content, indent=2, allow_nan=False) + "\n"


def is_export(place: Path) -> bool:
    """Whether a folder holds an export, or a file is a form in one."""
    folder = place if place.is_dir() else place.parent
    return (folder / CONFIG).is_file() and (place.is_dir() or place.suffix != ".ckpt")


def read_export(folder: Path) -> Export:
    """Read the config.json of an export.

    Raises:
        CheckpointError: There is none, or it says something that no export says.
    """
    file = folder / CONFIG
    refuse_outside(folder, file)
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise ValueError(f"it is larger than {_MOST_BYTES} bytes")
        content = json.loads(file.read_bytes(), parse_constant=_no_number)
        return _parsed(content)
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read: {error}") from error
    except (ValueError, RecursionError) as error:  # of JSON, or of what it says
        raise CheckpointError(f"{file} is not that of an export: {error}") from error


def checked(folder: Path, name: str, export: Export) -> Path:
    """A file of an export whose content is what it was when it was exported.

    Raises:
        CheckpointError: It is not among the files of the export, it is missing, or it was changed.
    """
    file = folder / name
    if name not in export.files:
        raise CheckpointError(
            f"{file} is not listed in {CONFIG}, which names {', '.join(export.files)}"
        )
    refuse_outside(folder, file)
    if not file.is_file():
        raise CheckpointError(f"{file} is missing: copy the whole folder again")
    if checksum(file) != export.files[name]:
        raise CheckpointError(
            f"{file} is not the file that was exported (its SHA-256 differs from that in {CONFIG}):"
            " copy it again, or export the run again"
        )
    return file


def checksum(file: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _digest(content: Mapping[str, Any]) -> str:
    """The SHA-256 of what config.json says, however it is laid out."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _unchanged(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """What config.json says, without its checksum.

    Raises:
        ValueError: It has changed since it was written.
    """
    if _CHECKSUM not in content:
        return content
    rest = {key: value for key, value in content.items() if key != _CHECKSUM}
    if content[_CHECKSUM] != _digest(rest):
        raise ValueError("it has changed since it was written: copy the folder or export again")
    return rest


def _parsed(content: Any) -> Export:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"it does not say format {FORMAT!r}")
    if content.get("format_version") != VERSION:
        raise ValueError(
            f"it is of format version {content.get('format_version')!r:.20}, and this version of "
            f"cage_lightning reads {VERSION}"
        )
    values = mapping(_unchanged(content), "it", _KEYS)
    members, files, forms = values["members"], values["files"], values["forms"]
    if type(members) is not int or not 1 <= members <= _MOST_MEMBERS:
        raise ValueError(f"members is {members!r:.20}, not 1 to {_MOST_MEMBERS}")
    if not isinstance(files, dict) or not all(map(_is_file, files.items())):
        raise ValueError("files does not give the SHA-256 of names of files")
    if not isinstance(forms, dict) or not all(
        isinstance(form, dict) and form.get("file") in files for form in forms.values()
    ):
        raise ValueError("forms does not name files that are listed")
    for name in ("scores", "made_by"):
        if not isinstance(values[name], dict):
            raise ValueError(f"{name} is not a mapping")
    return Export(
        Description.from_dict(values["description"]),
        members,
        files,
        forms,
        values["scores"],
        values["made_by"],
    )


def _is_file(entry: tuple[Any, Any]) -> bool:
    name, digest = entry
    plain = isinstance(name, str) and Path(name).name == name and not name.startswith(".")
    return plain and isinstance(digest, str) and len(digest) == 64


def _no_number(constant: str) -> Any:
    raise ValueError(f"{constant} is no number")
