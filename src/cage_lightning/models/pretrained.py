"""Files of ImageNet weights, from the cache or downloaded."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import torch.hub
from torchvision.models import get_model_weights

from cage_lightning.errors import CheckpointError, ConfigError

_PROBE_SECONDS = 5.0
# In order of preference; timm reads the second one with weights_only=True.
_HUB_FILES = ("model.safetensors", "pytorch_model.bin")


def torchvision_file(name: str) -> Path:
    """Return the weight file of a torchvision network (``IMAGENET1K_V1``); download it if needed.

    Args:
        name: Name of the network in torchvision.

    Returns:
        The file in ``$TORCH_HOME/hub/checkpoints``.

    Raises:
        CheckpointError: The file is neither in the cache nor downloadable, or its SHA-256 does not
            begin with the digits that its name ends with. ``torch.hub`` checks those only after a
            download.
    """
    url = _torchvision_url(name)
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
    prefix = path.stem.rsplit("-", 1)[-1]
    if not path.is_file():
        try:
            _probe(url)
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), hash_prefix=prefix)
        except (OSError, RuntimeError) as error:
            raise _not_available(name, str(path), url, error) from error
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(prefix):
        raise CheckpointError(
            f"{path} is damaged: its SHA-256 begins with {digest[: len(prefix)]}, not {prefix}; "
            "delete it and start again"
        )
    return path


def timm_file(name: str) -> Path:
    """Return the weight file of a timm network; download it if needed.

    timm itself would ask the server first, even for a file in the cache, and retry for 47 s where
    there is no connection.

    Args:
        name: Name of the network in timm, with or without a tag.

    Returns:
        The file in the cache of the Hugging Face hub.

    Raises:
        ConfigError: timm has no weights for this network.
        CheckpointError: The file is neither in the cache nor downloadable.
    """
    import huggingface_hub
    import timm
    from huggingface_hub import constants
    from huggingface_hub.errors import EntryNotFoundError

    config = timm.get_pretrained_cfg(name)
    if config is None or not config.hf_hub_id:
        raise ConfigError(
            f"timm has no pretrained weights for {name}: choose model.weights=none, "
            "model.weights=FILE or another model.name (timm.list_pretrained() names them)"
        )
    repository = config.hf_hub_id
    for filename in _HUB_FILES:
        cached = huggingface_hub.try_to_load_from_cache(repository, filename)
        if isinstance(cached, str):
            return Path(cached)
    folder = Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"
    try:
        if constants.HF_HUB_OFFLINE:
            raise OSError("HF_HUB_OFFLINE is set")
        _probe(constants.ENDPOINT)
        for filename in _HUB_FILES:
            with suppress(EntryNotFoundError):
                return Path(huggingface_hub.hf_hub_download(repository, filename))
        raise FileNotFoundError(f"{repository} holds no {' or '.join(_HUB_FILES)}")
    except OSError as error:
        source = f"{constants.ENDPOINT}/{repository}"
        raise _not_available(name, f"{folder} (with {_HUB_FILES[0]})", source, error) from error


def _torchvision_url(name: str) -> str:
    url: str = get_model_weights(name)["IMAGENET1K_V1"].url
    return url


def _probe(url: str) -> None:
    """Send a request to a server, so that a missing connection fails within seconds.

    The libraries would go on retrying. Any answer is accepted, also a refusal: some mirrors serve
    single files only.

    Raises:
        OSError: The server does not answer.
    """
    with suppress(HTTPError), urlopen(Request(url, method="HEAD"), timeout=_PROBE_SECONDS):
        pass


def _not_available(name: str, missing: str, source: str, error: Exception) -> CheckpointError:
    reason = str(error).partition("\n")[0]
    return CheckpointError(
        f"no ImageNet weights for {name}: {missing} is not in the cache and {source} cannot be "
        f"fetched ({reason}); copy it there from another machine, or choose model.weights=none or "
        "model.weights=FILE"
    )
