"""What the pages of the documentation say: their commands, settings, links and files."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "experiments/*/README.md")
    for path in ROOT.glob(pattern)
)

_FENCE = re.compile(r"^( *)```(.*?)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_COMMAND = re.compile(r"python -m cage_lightning\.(\w+)(.*)", re.DOTALL)
_SETTING = re.compile(r"[+~]?[a-z][\w./-]*=[^\s…]*")


_NEW_FILE = re.compile(r"[Nn]ew file `([^`]+)`.*?^( *)```\w+\n(.*?)^\2```$", re.M | re.S)


@dataclass(frozen=True)
class Page:
    """A page of the documentation.

    Attributes:
        path: In the repository.
        language: Of the fenced blocks whose lines are typed into a shell.
    """

    path: str
    language: str = "bash"

    @cached_property
    def text(self) -> str:
        return (ROOT / self.path).read_text(encoding="utf-8")

    def blocks(self, language: str) -> list[str]:
        """The fenced blocks whose opening backticks are followed by `language`."""
        return [m[3] for m in _FENCE.finditer(self.text) if m[2] == language]

    @cached_property
    def new_files(self) -> dict[str, str]:
        """The files that a reader is told to write, and what goes into them."""
        return {m[1]: textwrap.dedent(m[3]) for m in _NEW_FILE.finditer(self.text)}

    @cached_property
    def inline(self) -> list[str]:
        """What stands between single backticks; a line break in it is a space."""
        return [" ".join(m[1].split()) for m in _INLINE.finditer(_FENCE.sub("", self.text))]

    @cached_property
    def shell(self) -> list[str]:
        """Every line that is typed into a shell, without its comment."""
        lines = "".join(self.blocks(self.language)).replace("\\\n", " ").splitlines()
        inline = (code for code in self.inline if re.match(r"(python -m|make [a-z]|pip) ?", code))
        words = (shlex.split(line, comments=True) for line in (*lines, *inline))
        return [shlex.join(line) for line in words if line]

    def commands(self) -> Iterator[tuple[str, list[str]]]:
        """The commands of the suite, with their arguments."""
        for line in self.shell:
            if match := _COMMAND.match(line):
                yield match[1], shlex.split(match[2])

    def make_targets(self) -> list[str]:
        return [line.split()[1] for line in self.shell if line.startswith("make ")]

    def settings(self) -> list[str]:
        """What stands between single backticks and looks like one setting."""
        return [code for code in self.inline if _SETTING.fullmatch(code)]

    def links(self) -> list[str]:
        return _LINK.findall(_FENCE.sub("", self.text))

    def anchors(self) -> set[str]:
        """The headings as they are linked to."""
        headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", self.text), re.MULTILINE)
        return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in headings}
