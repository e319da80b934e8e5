"""Networks compiled in place by `torch.compile`, and what that needs."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from cage_lightning.errors import ConfigError, check_choice
from cage_lightning.models.windows import pad_windows

# What `torch.compile` calls each of them: as it is, and replayed as CUDA graphs.
_MODES = {
    "default": ("default", "reduce-overhead"),
    "max-autotune": ("max-autotune-no-cudagraphs", "max-autotune"),
}


def check_compile(mode: str, *, gpu: bool) -> None:
    """Refuse a mode that does not exist, or that needs a compiler which is not there.

    Args:
        mode: ``off``, ``default`` or ``max-autotune``.
        gpu: Whether the network runs on a GPU.

    Raises:
        ConfigError: Says what is missing.
    """
    check_choice("compile", mode, ("off", *_MODES))
    if mode == "off":
        return
    if gpu and find_spec("triton") is None:
        raise ConfigError(f"compile={mode} needs the package triton on a GPU: choose compile=off")
    names = ("CC", "gcc", "clang") if gpu else ("CXX", "clang++" if _on_mac() else "g++")
    compiler = os.environ.get(names[0]) or next(filter(shutil.which, names[1:]), names[1])
    if shutil.which(compiler) is None:
        raise ConfigError(
            f"compile={mode} needs the compiler {compiler}, which is not there: install it, or "
            f"name another one in ${names[0]}, or choose compile=off"
        )


def compile_network(network: nn.Module, mode: str, *, replayed: bool) -> None:
    """Compile a network in place, when it is called.

    Random numbers are drawn as without it, so that dropout and stochastic depth leave out the same.
    What is built is kept in `cache_folder`.

    Args:
        network: Names of weights, copies and checkpoints stay as they are.
        mode: ``default``, or ``max-autotune``, which tries several kernels for each operation.
        replayed: Whether the GPU repeats a step as a whole, as CUDA graphs: a host that starts each
            operation anew is slower than a fast GPU. Outputs and gradients last until the next
            step, which begins with `torch.compiler.cudagraph_mark_step_begin`.
    """
    from torch._inductor import list_mode_options

    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder()))
    if next(network.parameters()).is_cuda:
        pad_windows(network)
    options = list_mode_options(_MODES[mode][replayed])
    network.compile(dynamic=False, options=options | {"fallback_random": True})


def cache_folder() -> Path:
    """Where compiled code is kept from run to run, beside the weights that torch has downloaded.

    ``$TORCHINDUCTOR_CACHE_DIR`` names another folder. Without both, torch would keep it in the
    folder for temporary files, which nodes of a cluster lose.
    """
    return Path(torch.hub.get_dir()).parent / "compiled"


def _on_mac() -> bool:
    return sys.platform == "darwin"
