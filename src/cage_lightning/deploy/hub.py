"""Exports on the Hugging Face hub: uploading a folder, and loading ``hf://USER/NAME``.

The address of the hub and the token come from the usual places (``HF_ENDPOINT``, ``HF_TOKEN``,
``hf auth login``). Of a repository only the description and the weights are downloaded: JSON and
safetensors.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cage_lightning.deploy.folder import CARD, CONFIG, WEIGHTS, read_export
from cage_lightning.errors import CheckpointError, ConfigError, OutputError, first_line

SCHEME = "hf://"
_PART = r"[A-Za-z0-9][\w.-]{0,95}"
_NAME = re.compile(rf"(?:{_PART}/)?{_PART}", re.ASCII)
_ADDRESS = re.compile(rf"{SCHEME}({_PART})/({_PART})(?:@({_PART}))?", re.ASCII)
_SECONDS = 5.0  # until a hub that does not answer counts as out of reach
_LOGIN = "log in with `hf auth login`, or set HF_TOKEN"


def repository_of(name: str) -> str:
    """The full name of a repository that may be pushed to: who owns the token is asked of the hub.

    Args:
        name: ``NAME`` or ``USER/NAME``.

    Raises:
        ConfigError: It is no name, nobody is logged in, or the hub cannot be reached.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"push_to_hub={name}: NAME or USER/NAME is needed")
    with _explained(f"push_to_hub={name}", ConfigError):
        user = _api().whoami()["name"]
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
    with _explained(f"push_to_hub={repository}", OutputError, remedy):
        address = _api().create_repo(repository, private=private, exist_ok=True)
        _api().upload_folder(
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
    folder = Path(_cache(), "cage_lightning", f"{user}--{name}--{revision}")
    remedy = f"download it elsewhere with `hf download {user}/{name}`, and give the folder"
    try:
        with _explained(address, CheckpointError, remedy):
            # Asked first, because downloads repeat for most of a minute what cannot be reached.
            info = _api().model_info(f"{user}/{name}", revision=revision, timeout=_SECONDS)
            for file in (WEIGHTS, CONFIG):  # the last one makes the folder an export
                hf_hub_download(
                    f"{user}/{name}",
                    file,
                    revision=info.sha,
                    local_dir=folder,
                    endpoint=_endpoint(),
                )
    except CheckpointError as error:
        if not _is_unreachable(error.__cause__) or not (folder / CONFIG).is_file():
            raise
    return folder


def _api() -> Any:
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise ConfigError("this needs huggingface_hub: pip install huggingface_hub") from error
    for name in ("httpx", "httpx2"):  # a line for each request
        logging.getLogger(name).setLevel(logging.WARNING)
    return HfApi(endpoint=_endpoint())


def _cache() -> str:
    from huggingface_hub import constants

    return os.environ.get("HF_HOME") or constants.HF_HOME


def _endpoint() -> str:
    from huggingface_hub import constants

    return os.environ.get("HF_ENDPOINT") or constants.ENDPOINT


def _is_unreachable(error: BaseException | None) -> bool:
    """Whether an error says that there is no way to the hub.

    Which library makes its connections depends on the version of huggingface_hub: of its errors
    only the name of their common class is the same.
    """
    from huggingface_hub.errors import LocalEntryNotFoundError

    if isinstance(error, ConnectionError | LocalEntryNotFoundError):
        return True
    return any(base.__name__ == "TransportError" for base in type(error).__mro__)


@contextmanager
def _explained(
    what: str, kind: type[CheckpointError | ConfigError | OutputError], remedy: str = _LOGIN
) -> Iterator[None]:
    """Translate errors of the hub into one line; no token is in any of them."""
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    try:
        yield
    except LocalTokenNotFoundError as error:
        raise kind(f"{what}: nobody is logged in: {_LOGIN}") from error
    except Exception as error:
        if _is_unreachable(error):
            raise kind(
                f"{what}: {_endpoint()} cannot be reached ({type(error).__name__}); {remedy}"
            ) from error
        if not isinstance(error, HfHubHTTPError):
            raise
        status = error.response.status_code
        hints = [_LOGIN, remedy] if status in (401, 403, 404) else [remedy]
        hint = "; ".join(dict.fromkeys(hints))
        said = first_line(error)[:200]
        raise kind(f"{what}: the hub answers {status} ({said}); {hint}") from error
