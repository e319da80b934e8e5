"""The system's own Chromium, for the tests of pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium")
NEEDS_CHROMIUM = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None, reason="there is no Chromium: `make test-page` installs it"
    ),
]

PATIENCE_MS = 120_000
"""Until what is waited for counts as missing: the machine may be busy."""


@contextmanager
def started(*options: str) -> Iterator[Any]:
    """Chromium with further options of its command line, closed in the end."""
    lacking = "pip install 'cage-lightning[page]'"
    sync_api = pytest.importorskip("playwright.sync_api", reason=lacking)
    with sync_api.sync_playwright() as playwright:
        # Its sandbox does not work for root.
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", *options]
        )
        yield browser
        browser.close()
