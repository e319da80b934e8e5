"""What a measurement was made on."""

from __future__ import annotations

import platform
from importlib.metadata import version

from cage_lightning.system.machine import processor, usable_cpus


def machine(*packages: str) -> str:
    """The processor, Python, and the versions of packages."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"{usable_cpus()} x {processor()}; Python {platform.python_version()}, {versions}"
