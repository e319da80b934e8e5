"""What each switch of a training step is worth: time, memory, and how far it moves the loss.

``python -m benchmarks.switches NETWORK ...`` writes switches.csv and switches.md beside itself, and
on a GPU switches_gpu.csv and switches_gpu.md. Each network takes the same steps on one batch that
is on the device: once as ``train`` takes them, and once with each switch turned. They are measured
in turn, and the median of five rounds counts. A switch that the network or the machine does not
have is left out.
"""

from __future__ import annotations

import argparse
import time
import types
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from torchvision.models.maxvit import RelativePositionalMultiHeadAttention

from benchmarks.measuring import in_turn, write
from cage_lightning.errors import ConfigError
from cage_lightning.models import build_network
from cage_lightning.models.compiled import check_compile, compile_network
from cage_lightning.system.machine import keep_freed_memory

GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if GPU else "cpu")
AS_TRAINED = "as in a training"
SIDE = {"tiny": 64, "small": 64}
COMPARED = 3
"""The steps of which the losses are compared: later ones show the chaos of training."""


@dataclass(frozen=True)
class Switch:
    """How steps are taken; the defaults are those of a training.

    Attributes:
        channels_last: The layout of the network in memory.
        foreach: Whether AdamW steps with all parameters at once.
        fused: Whether it does so in one kernel.
        precision: Of autocast; None: float32.
        scaled: Whether the loss is scaled, as float16 needs.
        attention: Turns MaxViT's windows to PyTorch's fused attention.
        recomputed: Blocks forget what they computed, and compute it again for their gradients.
        compiled: The mode of the compiler.
        replayed: Whether the GPU repeats a compiled step as a whole, as `train` has it do.
    """

    channels_last: bool = True
    foreach: bool = True
    fused: bool = False
    precision: torch.dtype | None = torch.bfloat16 if GPU else None
    scaled: bool = False
    attention: bool = False
    recomputed: bool = False
    compiled: str = "off"
    replayed: bool = GPU


SWITCHES = {
    AS_TRAINED: Switch(),
    "the usual layout instead of channels-last": Switch(channels_last=False),
    "AdamW one parameter at a time": Switch(foreach=False),
    "AdamW fused": Switch(foreach=False, fused=True),
    "float32" if GPU else "bf16-mixed": Switch(precision=None if GPU else torch.bfloat16),
    "fused attention": Switch(attention=True),
    "activations computed again": Switch(recomputed=True),
    "compile=default": Switch(compiled="default"),
    "compile=max-autotune": Switch(compiled="max-autotune"),
}
PUBLISHED = "float16 with the usual layout, as published"
if GPU:
    SWITCHES["compile=default without CUDA graphs"] = Switch(compiled="default", replayed=False)
    SWITCHES[PUBLISHED] = Switch(channels_last=False, precision=torch.float16, scaled=True)


class Steps:
    """A training on one batch.

    Args:
        name: Of the network.
        batch: Pictures in the batch.
        switch: How the steps are taken.
    """

    def __init__(self, name: str, batch: int, switch: Switch) -> None:
        torch.manual_seed(0)
        side = SIDE.get(name, 224)
        network = build_network(name, num_outputs=10, weights="none", image_size=side)
        self.network = prepared(network.to(DEVICE).train(), switch)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=1e-4, foreach=switch.foreach, fused=switch.fused
        )
        self.scaler = torch.amp.GradScaler(DEVICE.type, enabled=switch.scaled)
        self.switch = switch
        made = torch.Generator().manual_seed(1)
        self.image = torch.randn(batch, 3, side, side, generator=made).to(DEVICE)
        self.category = torch.randint(8, (batch,), generator=made).to(DEVICE)
        self.losses: list[Tensor] = []

    def step(self) -> None:
        """One step of a discrete and continuous loss."""
        torch.manual_seed(len(self.losses))  # the same blocks are left out under every switch
        self.optimizer.zero_grad()
        torch.compiler.cudagraph_mark_step_begin()
        precision = self.switch.precision
        with torch.autocast(DEVICE.type, precision or torch.bfloat16, enabled=bool(precision)):
            found = self.network(self.image).float()
        loss = F.cross_entropy(found[:, :8], self.category) + found[:, 8:].square().mean()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.losses.append(loss.detach())

    def milliseconds(self, count: int) -> float:
        """What a step takes."""
        settle()
        began = time.perf_counter()
        for _ in range(count):
            self.step()
        settle()
        return (time.perf_counter() - began) / count * 1e3


def prepared(network: nn.Module, switch: Switch) -> nn.Module:
    """The network with a switch turned.

    Raises:
        ConfigError: It has no such thing, or nothing to compile with is here.
    """
    if switch.channels_last:
        network = network.to(memory_format=torch.channels_last)
    if switch.attention:
        replace_attention(network)
    if switch.recomputed:
        recompute(network)
    if switch.compiled != "off":
        check_compile(switch.compiled, gpu=GPU)
        compile_network(network, switch.compiled, replayed=switch.replayed)
    return network


def replace_attention(network: nn.Module) -> None:
    """Let MaxViT's windows attend by `scaled_dot_product_attention`: the same, in another order."""
    windows = [m for m in network.modules() if isinstance(m, RelativePositionalMultiHeadAttention)]
    if not windows:
        raise ConfigError("the network has no windows of torchvision's MaxViT")
    for window in windows:
        window.forward = types.MethodType(fused_attention, window)


def fused_attention(self: RelativePositionalMultiHeadAttention, x: Tensor) -> Tensor:
    """Attention inside windows: ``[B, G, P, D]`` of G windows of P places to the same shape."""
    count, windows, places, width = x.shape
    shape = (count, windows, places, self.n_heads, self.head_dim)
    query, key, value = (
        part.reshape(shape).transpose(2, 3) for part in self.to_qkv(x).chunk(3, -1)
    )
    bias = self.get_relative_positional_bias().to(query.dtype)
    found = F.scaled_dot_product_attention(
        query, key, value, attn_mask=bias, scale=self.scale_factor
    )
    merged: Tensor = self.merge(found.transpose(2, 3).reshape(count, windows, places, width))
    return merged


def recompute(network: nn.Module) -> None:
    """Let every block of the network keep its input alone."""
    blocks = network.blocks if hasattr(network, "blocks") else network.features
    assert isinstance(blocks, Iterable)
    for block in blocks:
        block.forward = recomputed(block.forward)


def recomputed(forward: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *given: checkpoint(forward, *given, use_reentrant=False)


def settle() -> None:
    """Wait until the device has done what it was given."""
    if GPU:
        torch.cuda.synchronize()


def megabytes(steps: Steps) -> str:
    """The most memory of the device that a step takes, beside all networks and their states.

    A replayed step is left out: what it takes is held from its first time on.
    """
    if not GPU or (steps.switch.compiled != "off" and steps.switch.replayed):
        return "-"
    torch.cuda.reset_peak_memory_stats()
    held = torch.cuda.memory_allocated()
    steps.step()
    settle()
    return f"{(torch.cuda.max_memory_allocated() - held) / 1e6:.0f}"


def measure(name: str, batch: int, count: int, without: Sequence[str]) -> list[list[str]]:
    """A row for each switch that the network and the machine have, without some."""
    all_steps: dict[str, Steps] = {}
    for title, switch in SWITCHES.items():
        if title in without:
            continue
        try:
            all_steps[title] = Steps(name, batch, switch)
            for _ in range(COMPARED):
                all_steps[title].step()
        except ConfigError as error:
            all_steps.pop(title, None)
            print(f"{name}: {title} is left out: {error}")
    usual = all_steps[AS_TRAINED]
    took = in_turn({t: lambda s=s: s.milliseconds(count) for t, s in all_steps.items()})  # type: ignore[misc]
    rows = []
    for title, steps in all_steps.items():
        pairs = zip(steps.losses[:COMPARED], usual.losses, strict=False)
        moved = max(abs(float(a - b)) for a, b in pairs)
        ratio = took[title] / took[AS_TRAINED]
        rate = batch / took[title] * 1e3
        of_all = [f"{took[title]:.1f}", f"{ratio:.2f}", f"{rate:.0f}", f"{moved:.0e}"]
        rows.append([f"{name}, {batch} pictures", title, *of_all, megabytes(steps)])
    return rows


def main() -> None:
    """Measure the networks that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=["tiny"])
    parser.add_argument("--batch", type=int, default=128 if GPU else 2, help="pictures of 224 px")
    parser.add_argument("--steps", type=int, default=20 if GPU else 1, help="in each round")
    turned = [title for title in SWITCHES if title != AS_TRAINED]
    parser.add_argument("--without", nargs="+", choices=turned, default=[], help="left out")
    typed = parser.parse_args()
    keep_freed_memory()
    rows = []
    for name in typed.networks:
        small = name in SIDE
        batch = 64 if small else typed.batch
        rows += measure(name, batch, max(typed.steps, 20) if small else typed.steps, typed.without)
    place = torch.cuda.get_device_name() if GPU else f"{torch.get_num_threads()} threads"
    header = ["network", "switch", "ms", "of the first", "pictures/s", "loss moves by", "MB"]
    write(
        "switches_gpu" if GPU else "switches",
        f"Steps with each switch turned, on {place}",
        header,
        rows,
        ["torchvision"],
        f"The loss moves over {COMPARED} steps: the largest difference from the first row.",
    )


if __name__ == "__main__":
    main()
