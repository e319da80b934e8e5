"""The Hugging Face hub: addresses ``hf://USER/NAME``, and one line for each of its errors.

The address of the hub and the token come from the usual places (``HF_ENDPOINT``, ``HF_TOKEN``,
``hf auth login``).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cage_lightning.errors import CageError, ConfigError, first_line

SCHEME = "hf://"
NAME_PART = r"[A-Za-z0-9][\w.-]{0,95}"
"""A regular expression for the name of a user, a repository or a revision, in ASCII."""
SECONDS = 5.0
"""Until a hub that does not answer counts as out of reach."""

_LOGIN = "log in with `hf auth login`, or set HF_TOKEN"


def hub_api() -> Any:
    """What asks the hub.

    Raises:
        ConfigError: The library for it is missing.
    """
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise ConfigError("this needs huggingface_hub: pip install huggingface_hub") from error
    for name in ("httpx", "httpx2"):  # a line for each request
        logging.getLogger(name).setLevel(logging.WARNING)
    return HfApi(endpoint=endpoint())


def cache_folder() -> str:
    """Where downloads are kept."""
    from huggingface_hub import constants

    return os.environ.get("HF_HOME") or constants.HF_HOME


def endpoint() -> str:
    """The address of the hub."""
    from huggingface_hub import constants

    return os.environ.get("HF_ENDPOINT") or constants.ENDPOINT


def is_unreachable(error: BaseException | None) -> bool:
    """Whether an error says that there is no way to the hub.

    Which library makes its connections depends on the version of huggingface_hub: of its errors
    only the name of their common class is the same.
    """
    from huggingface_hub.errors import LocalEntryNotFoundError

    if isinstance(error, ConnectionError | LocalEntryNotFoundError):
        return True
    return any(base.__name__ == "TransportError" for base in type(error).__mro__)


@contextmanager
def explained(what: str, kind: type[CageError], remedy: str = _LOGIN) -> Iterator[None]:
    """Translate errors of the hub into one line; no token is in any of them.

    Args:
        what: What is done, to begin the line with.
        kind: What the error becomes.
        remedy: What to do, to end the line with.
    """
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    try:
        yield
    except LocalTokenNotFoundError as error:
        raise kind(f"{what}: nobody is logged in: {_LOGIN}") from error
    except Exception as error:
        if is_unreachable(error):
            raise kind(
                f"{what}: {endpoint()} cannot be reached ({type(error).__name__}); {remedy}"
            ) from error
        if not isinstance(error, HfHubHTTPError):
            raise
        status = error.response.status_code
        hints = [_LOGIN, remedy] if status in (401, 403, 404) else [remedy]
        hint = "; ".join(dict.fromkeys(hints))
        said = first_line(error)[:200]
        raise kind(f"{what}: the hub answers {status} ({said}); {hint}") from error
