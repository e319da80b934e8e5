"""The provenance of a result: code revision, package versions and device."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

_PACKAGES = ("cage-lightning", "torch", "torchvision", "lightning", "torchmetrics", "timm", "numpy")


def provenance(trainer: Trainer) -> dict[str, Any]:
    """Return the provenance of the trainer's results, as plain containers for metrics.json.

    Returns:
        ``git_revision`` (`git_revision`), ``versions`` by package (None: not installed), and
        ``device`` with its type and name, the number of processes, the precision, and the peak of
        the allocated GPU memory in GiB (None on a CPU).
    """
    import torch

    device = trainer.strategy.root_device
    name, peak = platform.machine(), None
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        peak = round(torch.cuda.max_memory_allocated(device) / 2**30, 2)
    return {
        "git_revision": git_revision(),
        "versions": {"python": platform.python_version()} | {p: _version(p) for p in _PACKAGES},
        "device": {
            "type": device.type,
            "name": name,
            "count": trainer.world_size,
            "precision": str(trainer.precision),
            "peak_memory_gib": peak,
        },
    }


def _version(package: str) -> str | None:
    """The version of a package; None of one that is on the path and not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def git_revision() -> str | None:
    """Return the commit of the running checkout, with ``+`` if tracked files are changed.

    Returns:
        The commit, or None if the package does not run from a checkout of its own.
    """
    here = Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=here, capture_output=True, encoding="utf-8", check=True
        ).stdout.strip()

    try:
        # An installed copy may be inside somebody else's repository, which does not track it.
        git("ls-files", "--error-unmatch", str(Path(__file__).resolve()))
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
