"""How the page writes single values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from markupsafe import Markup, escape

from cage_lightning.system.output import clock


def _emphasised(text: str) -> Markup:
    """Text with ``*words*`` in italics."""
    return Markup(re.sub(r"\*([^*]+)\*", r"<em>\1</em>", str(escape(text))))


def _duration(seconds: float | None) -> str:
    """Seconds as h:mm:ss."""
    return "" if seconds is None else clock(seconds)


def _short(revision: str | None) -> str:
    """A commit as people name it, with ``+`` when there were changes."""
    return "" if revision is None else revision[:7] + "+" * revision.endswith("+")


def _plain(value: Any) -> str:
    """A value as people read it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _rounded(text: str) -> str:
    """A number to four digits; a whole number, and another text, as it is."""
    try:
        return f"{float(text):.4g}" if re.search(r"[.e]", text) else text
    except ValueError:
        return text


FILTERS: Mapping[str, Callable[[Any], str]] = {
    "emphasised": _emphasised,
    "duration": _duration,
    "short": _short,
    "plain": _plain,
    "rounded": _rounded,
}
"""By the name that page.html knows them by."""
