"""The blocks of a network, from the pictures to the outputs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from torch import nn

from cage_lightning.models.weights import head_of


def depths(network: nn.Module) -> dict[str, int]:
    """The number of the block that each parameter of a network belongs to.

    Networks of timm say so themselves (`group_matcher`). In any other one a block is what its
    containers hold, one after the other: for MaxViT the two convolutions of the stem and eleven
    blocks. A layer that stands alone, such as a last normalisation, belongs to the block before it.

    Returns:
        By name of the parameter: 0 for the first block, the highest number for the head.
    """
    if callable(matcher := getattr(network, "group_matcher", None)):
        from timm.models import group_parameters

        of_timm: dict[str, int] = group_parameters(network, matcher(coarse=False), reverse=True)
        return of_timm
    heads, number = head_of(network), -1
    found = {name: 0 for name, _ in network.named_parameters()}
    for path, part in _parts(network, heads):
        if number < 0 or any(True for _ in part.children()):
            number += 1
        found |= {f"{path}.{name}": number for name, _ in part.named_parameters()}
    of_head = tuple(f"{head}." for head in heads)
    return found | {name: number + 1 for name in found if name.startswith(of_head)}


def _parts(
    module: nn.Module, heads: tuple[str, ...], before: str = ""
) -> Iterator[tuple[str, nn.Module]]:
    """Blocks and single layers in order, with their names; what has no parameters is left out."""
    for name, child in module.named_children():
        path = f"{before}{name}"
        if path in heads or next(child.parameters(), None) is None:
            continue
        if _holds_blocks(child):
            yield from _parts(child, heads, f"{path}.")
        else:
            yield path, child


def _holds_blocks(module: nn.Module) -> bool:
    """Whether it is a list of parts that are more than a layer each, or wraps nothing but one."""
    children = [*module.children()]
    if type(module) in (nn.Sequential, nn.ModuleList):
        return any(chain.from_iterable(child.children() for child in children))
    return len(children) == 1 and isinstance(children[0], nn.ModuleList)
