"""Exports on the Hugging Face hub: uploading a folder, and loading ``hf://USER/NAME``.

Of a repository only the description and the weights are downloaded: JSON and safetensors.
"""

from __future__ import annotations

import re
from pathlib import Path

from cage_lightning.deploy.folder import CARD, CONFIG, WEIGHTS, read_export
from cage_lightning.errors import CheckpointError, ConfigError, OutputError
from cage_lightning.system.hub import (
    NAME_PART,
    SCHEME,
    SECONDS,
    cache_folder,
    endpoint,
    explained,
    hub_api,
    is_unreachable,
)

_NAME = re.compile(rf"(?:{NAME_PART}/)?{NAME_PART}", re.ASCII)
_ADDRESS = re.compile(rf"{SCHEME}({NAME_PART})/({NAME_PART})(?:@({NAME_PART}))?", re.ASCII)


def repository_of(name: str) -> str:
    """The full name of a repository that may be pushed to: who owns the token is asked of the hub.

    Args:
        name: ``NAME`` or ``USER/NAME``.

    Raises:
        ConfigError: It is no name, nobody is logged in, or the hub cannot be reached.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"push_to_hub={name}: NAME or USER/NAME is needed")
    with explained(f"push_to_hub={name}", ConfigError):
        user = hub_api().whoami()["name"]
    return name if "/" in name else f"{user}/{name}"


def push(folder: Path, repository: str, private: bool) -> str:
    """Upload an export; a repository of that name is made if there is none.

    Args:
        folder: The export.
        repository: ``USER/NAME``.
        private: Whether a repository that is made is visible to its owner alone.

    Returns:
        The address of the repository.

    Raises:
        OutputError: It could not be uploaded; the export itself is complete.
    """
    files = [CARD, CONFIG, *read_export(folder).files]
    remedy = f"{folder} is complete; upload it with `hf upload {repository} {folder}`"
    with explained(f"push_to_hub={repository}", OutputError, remedy):
        address = hub_api().create_repo(repository, private=private, exist_ok=True)
        hub_api().upload_folder(
            repo_id=repository,
            folder_path=folder,
            allow_patterns=files,
            commit_message="Export of cage_lightning",
        )
    return str(address)


def fetch(address: str) -> Path:
    """A folder with the description and the weights of an export on the hub.

    Without a network it is what was downloaded before.

    Args:
        address: ``hf://USER/NAME``, or with a branch, tag or commit ``hf://USER/NAME@REVISION``.

    Raises:
        CheckpointError: There is no such repository, or it can neither be reached nor was it
            downloaded before.
    """
    from huggingface_hub import hf_hub_download

    if (found := _ADDRESS.fullmatch(address)) is None:
        raise CheckpointError(f"{address} is no address: hf://USER/NAME or hf://USER/NAME@REVISION")
    user, name, revision = found[1], found[2], found[3] or "main"
    folder = Path(cache_folder(), "cage_lightning", f"{user}--{name}--{revision}")
    remedy = f"download it elsewhere with `hf download {user}/{name}`, and give the folder"
    try:
        with explained(address, CheckpointError, remedy):
            # Asked first, because downloads repeat for most of a minute what cannot be reached.
            info = hub_api().model_info(f"{user}/{name}", revision=revision, timeout=SECONDS)
            for file in (WEIGHTS, CONFIG):  # the last one makes the folder an export
                hf_hub_download(
                    f"{user}/{name}",
                    file,
                    revision=info.sha,
                    local_dir=folder,
                    endpoint=endpoint(),
                )
    except CheckpointError as error:
        if not is_unreachable(error.__cause__) or not (folder / CONFIG).is_file():
            raise
    return folder
