"""Where a result comes from: code, versions, device."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

_PACKAGES = ("cage-lightning", "torch", "torchvision", "lightning", "torchmetrics", "timm", "numpy")


def provenance(trainer: Trainer) -> dict[str, Any]:
    """Facts that a result is not comprehensible without, as plain containers."""
    import torch

    device = trainer.strategy.root_device
    name, peak = platform.machine(), None
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        peak = round(torch.cuda.max_memory_allocated(device) / 2**30, 2)
    return {
        "git_revision": git_revision(),
        "versions": {"python": platform.python_version()} | {p: version(p) for p in _PACKAGES},
        "device": {
            "type": device.type,
            "name": name,
            "count": trainer.world_size,
            "precision": str(trainer.precision),
            "peak_memory_gib": peak,
        },
    }


def git_revision() -> str | None:
    """Commit of the checkout that runs, with ``+`` when it has changes; None outside a checkout."""
    here = Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=here, capture_output=True, encoding="utf-8", check=True
        ).stdout.strip()

    try:
        # An installed copy may lie inside somebody else's repository.
        git("ls-files", "--error-unmatch", str(Path(__file__).resolve()))
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
