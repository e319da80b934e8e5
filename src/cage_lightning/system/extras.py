"""Packages that not every installation has."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

NO_REPORTS = ("ORT_DISABLE_TELEMETRY", "NNCF_CI")
"""Variables of the environment that switch reports off."""


def import_extra(module: str) -> ModuleType:
    """Import a module of a package that may be missing.

    ONNX Runtime and NNCF report their use to their makers, beginning with the import. That is
    switched off, unless the environment says otherwise.

    Raises:
        ImportError: It is missing, or does not load.
    """
    for setting in NO_REPORTS:
        os.environ.setdefault(setting, "1")
    return importlib.import_module(module)
