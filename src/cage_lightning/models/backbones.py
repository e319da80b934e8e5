"""Networks by name: torchvision backbones in the published layout, those of timm, and our own."""

from __future__ import annotations

import math
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

from torch import nn
from torchvision import models

from cage_lightning.errors import ConfigError
from cage_lightning.models.pretrained import timm_file, torchvision_file
from cage_lightning.models.tiny import SMALLEST_SIZE, TinyNetwork, maxvit_mini, small
from cage_lightning.models.weights import head_of, load_weights, read_state_dict

# Number of outputs and image size -> network with random weights.
_Builder = Callable[[int, int], nn.Module]

# The published heads are the classifiers of torchvision with another number of outputs.
_TORCHVISION: dict[str, _Builder] = {
    "maxvit_t": lambda n, size: models.maxvit_t(num_classes=n, input_size=(size, size)),
    "efficientnet_v2_s": lambda n, _: models.efficientnet_v2_s(num_classes=n),
    "swin_t": lambda n, _: models.swin_t(num_classes=n),
    "swin_v2_t": lambda n, _: models.swin_v2_t(num_classes=n),
}
_OURS: dict[str, _Builder] = {"tiny": TinyNetwork, "small": small, "maxvit_mini": maxvit_mini}

# The height and width of a picture must be multiples of this: MaxViT divides it into windows.
_SIZE_STEP = {"maxvit_t": 224, "maxvit_mini": 64}


def build_network(
    name: str,
    num_outputs: int,
    weights: str | None = "imagenet",
    image_size: int = 224,
    head_dropout: float | None = None,
) -> nn.Module:
    """Build a network that maps float32 ``[B, 3, H, W]``, normalised, to ``[B, num_outputs]``.

    The tensors of ``maxvit_t``, ``efficientnet_v2_s`` and ``swin_v2_t`` have the names and shapes
    of the published checkpoints.

    Args:
        name: ``maxvit_t``, ``efficientnet_v2_s``, ``swin_t`` or ``swin_v2_t`` (torchvision),
            ``tiny``, ``small`` or ``maxvit_mini`` (for a CPU), or any network of timm.
        num_outputs: Width of the output.
        weights: ``imagenet``, ``none`` or None (both random), or a file for `load_weights`.
        image_size: Height and width of the pictures in pixels: a multiple of 224 for ``maxvit_t``
            and of 64 for ``maxvit_mini``, at least 17 for ``tiny`` and ``small``.
        head_dropout: Probability of dropout before the last layer of a MaxViT, as in the published
            valence-arousal models; None for no such layer. It moves the last layer from
            ``classifier.5`` to ``classifier.6``.

    Raises:
        ConfigError: There is no such network, it has no ImageNet weights, or it does not have this
            image size or a dropout head.
        CheckpointError: The weights are neither in the cache nor downloadable, the file is
            unreadable, or the weights do not fit the network.
    """
    _check_size(name, image_size)
    if builder := _TORCHVISION.get(name) or _OURS.get(name):
        network = builder(num_outputs, image_size)
    else:
        network = _timm(name, num_outputs, image_size, pretrained=weights == "imagenet")
    _reset_head(network)
    if head_dropout is not None:
        _insert_dropout(name, network, head_dropout)

    if weights == "imagenet" and name in _TORCHVISION:
        load_weights(network, read_state_dict(torchvision_file(name)))
    elif weights == "imagenet" and name in _OURS:
        raise ConfigError(
            f"{name} has no ImageNet weights: choose model.weights=none or model.weights=FILE"
        )
    elif weights not in ("imagenet", "none", None):
        load_weights(network, weights)
    return network


def _check_size(name: str, size: int) -> None:
    """Refuse an image size that a network does not have, and name the next larger one."""
    step = _SIZE_STEP.get(name, 1)
    if size % step:
        raise ConfigError(
            f"{name} takes pictures of {step} x {step} pixels or a multiple of it: "
            f"set model.image_size={math.ceil(size / step) * step} (got {size})"
        )
    if name in ("tiny", "small") and size < SMALLEST_SIZE:
        raise ConfigError(
            f"{name} takes pictures of {SMALLEST_SIZE} x {SMALLEST_SIZE} pixels or more: "
            f"set model.image_size={SMALLEST_SIZE} (got {size})"
        )


def _timm(name: str, num_outputs: int, image_size: int, *, pretrained: bool) -> nn.Module:
    import timm

    if not timm.is_model(name):
        known = (*_TORCHVISION, *_OURS, *timm.list_models())
        close = ", ".join(get_close_matches(name, known)) or ", ".join((*_TORCHVISION, *_OURS))
        raise ConfigError(f"there is no network {name!r}: did you mean {close}?")
    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        raise ConfigError(
            f"{str(error).rstrip('.')}: remove the tag of {name}, or choose one that "
            "timm.list_pretrained() names"
        ) from error
    options: dict[str, Any] = {}
    if config is not None and config.fixed_input_size:
        options["img_size"] = image_size
    if pretrained:
        file = {"file": str(timm_file(name)), "custom_load": False}
        options |= {"pretrained": True, "pretrained_cfg_overlay": file}
    network: nn.Module = timm.create_model(name, num_classes=num_outputs, **options)
    return network


def _reset_head(network: nn.Module) -> None:
    """Initialise the head as PyTorch does by default, like the published scripts.

    torchvision's EfficientNet draws it uniformly within 1 / sqrt(num_outputs), which is meant for a
    thousand classes: for ten, the weights would be eleven times larger than PyTorch's.
    """
    for name in head_of(network):
        for module in network.get_submodule(name).modules():
            if callable(reset := getattr(module, "reset_parameters", None)):
                reset()


def _insert_dropout(name: str, network: nn.Module, probability: float) -> None:
    if not isinstance(network, models.MaxVit):
        raise ConfigError(
            f"{name} has no head_dropout, only a MaxViT has: leave model.head_dropout out"
        )
    network.classifier.insert(len(network.classifier) - 1, nn.Dropout(probability))
