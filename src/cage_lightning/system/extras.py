"""Packages that not every installation has."""

from __future__ import annotations

import importlib
import os
from types import ModuleType


def import_extra(module: str) -> ModuleType:
    """Import a module of a package that may be missing.

    ONNX Runtime reports its use to its maker, beginning with the import. That is switched off,
    unless the environment says otherwise.

    Raises:
        ImportError: It is missing, or does not load.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    return importlib.import_module(module)
