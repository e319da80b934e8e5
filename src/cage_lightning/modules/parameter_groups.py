"""Which parameters learn how fast, which of them are pulled towards zero, and how they step."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatch
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from cage_lightning.errors import ConfigError
from cage_lightning.models.blocks import depths


def grouped(
    make: Callable[..., Optimizer],
    module: nn.Module,
    network: nn.Module,
    layer_decay: float = 1.0,
    decay_norms_and_biases: bool = True,
) -> Optimizer:
    """Build the optimiser of a module whose attribute `network` is the network.

    Block d of n learns at lr * layer_decay^(n - d) (Clark et al. 2020; Bao et al. 2022); the head,
    and what is no part of the network, at lr.

    Args:
        make: Parameters, or groups of them, to optimiser.
        module: All that is trained.
        network: The part of it that has blocks.
        layer_decay: 1: every block learns at the same rate.
        decay_norms_and_biases: Whether weight decay also holds for parameters of one dimension,
            biases, and those that a network of timm names in `no_weight_decay`.

    Returns:
        With both defaults one group, as without this function.

    Raises:
        ConfigError: The optimiser has no weight decay that norms and biases could be exempt from.
    """
    if layer_decay == 1 and decay_norms_and_biases:
        return make(module.parameters())
    depth = {f"network.{name}": number for name, number in depths(network).items()}
    deepest = max(depth.values())
    exempt = () if decay_norms_and_biases else tuple(_exempt(network))
    groups: dict[tuple[float, bool], dict[str, Any]] = {}
    for name, parameter in module.named_parameters():
        scale = layer_decay ** (deepest - depth.get(name, deepest))
        without = name in exempt
        group: dict[str, Any] = {"params": [], "lr_scale": scale}
        group |= {"weight_decay": 0.0} if without else {}
        groups.setdefault((scale, without), group)["params"].append(parameter)
    optimizer = make([*groups.values()])
    if exempt and not optimizer.defaults.get("weight_decay"):
        raise ConfigError(
            "decay_norms_and_biases=false has no effect: the optimizer has no weight decay"
        )
    for one in optimizer.param_groups:
        one["lr"] *= one["lr_scale"]
    return optimizer


def all_at_once(optimizer: Optimizer) -> Optimizer:
    """Have an optimiser step with all parameters at once, where nobody has chosen how.

    AdamW and SGD take the same steps, in less time. PyTorch does so by itself on a GPU alone.
    """
    for group in optimizer.param_groups:
        if group.get("foreach", False) is None and not group.get("fused"):
            group["foreach"] = True
    return optimizer


def _exempt(network: nn.Module) -> list[str]:
    listed: set[str] = getattr(network, "no_weight_decay", set)()

    def is_one(name: str, parameter: Tensor) -> bool:
        # Biases of attention by position are matrices in Swin and MaxViT.
        is_bias = "bias" in name.rpartition(".")[2]
        return parameter.ndim <= 1 or is_bias or any(fnmatch(name, one) for one in listed)

    return [f"network.{name}" for name, p in network.named_parameters() if is_one(name, p)]
