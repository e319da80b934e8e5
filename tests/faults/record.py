"""The table of the faults: what was done to which command, how often, and what survived it."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import version

from cage_lightning.system.markdown import markdown_table

PACKAGES = ("torch", "lightning", "hydra-core", "numpy", "pyarrow")
HEADER = ("fault", "command", "tries", "survived", "afterwards", "tried on")
TEXT = """# Faults

`make test-faults` writes this page; it is no part of `.ci/run`, whose slow tests hold one case of
each kind. A run of a part of tests/faults with `--table tests/faults/README.md` renews its rows.
`--tries` says how often each fault that kills is tried, over all commands; the dearest are tried a
share of that.

{versions}.

Each try is a real process of the command that is named, in a folder of its own. It is a fork of
the tests, so that Python starts and imports only once, where the row does not say that Python was
started. The moments are drawn from a seed and printed. Where a fault ends a command, the same
command is typed again without it. A try has survived if what then lies there equals what an
undisturbed command leaves, as the column says, if no hidden part of a file lies there, and if every
start has ended with the exit code that is documented, with one line of error at most and without a
traceback. After SIGTERM and Ctrl-C no hidden part lies there even before.

{table}"""

_Key = tuple[str, ...]


@dataclass
class Row:
    """One fault on one command."""

    fault: str
    command: str
    afterwards: str
    tries: int = 0
    lost: list[str] = field(default_factory=list)

    @contextmanager
    def one(self, what: str) -> Iterator[None]:
        """Count a try; what goes wrong in it is kept until all were made."""
        self.tries += 1
        print(f"{self.fault}, {self.command}: {what}", flush=True)
        try:
            yield
        except (Exception, SystemExit) as error:
            self.lost.append(f"{what}: {type(error).__name__}: {error}")

    def texts(self) -> list[str]:
        """What `page` reads."""
        survived = self.tries - len(self.lost)
        return [self.fault, self.command, self.afterwards, str(self.tries), str(survived)]


# Of a fault, a command, and what is true after each try that survives.
NewRow = Callable[[str, str, str], AbstractContextManager[Row]]


def page(rows: Sequence[Sequence[str]], earlier: str = "") -> str:
    """Write the page.

    Args:
        rows: As `Row.texts` returns them; those of the same fault on the same command are added up.
        earlier: The page so far; what it says of other faults stays, if the versions are the same.
    """
    versions = _versions()
    lines = _lines(earlier) if f"\n{versions}.\n" in earlier else {}
    today, counts = date.today().isoformat(), dict[_Key, tuple[int, int]]()
    for fault, command, afterwards, tries, survived in rows:
        key = (fault, command, afterwards)
        before = counts.get(key, (0, 0))
        counts[key] = before[0] + int(tries), before[1] + int(survived)
    for (fault, command, afterwards), numbers in counts.items():
        of_both = [f"{number:,}" for number in numbers]
        lines[fault, command] = [fault, command, *of_both, afterwards, today]
    table = markdown_table(HEADER, [lines[key] for key in sorted(lines)], right=(2, 3))
    return TEXT.format(versions=versions, table=table)


def _versions() -> str:
    installed = [f"{package} {version(package)}" for package in PACKAGES]
    python = f"Python {platform.python_version()}"
    return ", ".join([python, *installed, f"{platform.system()}, {os.cpu_count()} CPUs"])


def _lines(page: str) -> dict[_Key, list[str]]:
    """The rows of a page that `page` wrote."""
    lines = re.findall(r"^\| (.*) \|$", page, re.MULTILINE)
    cells = [line.split(" | ") for line in lines[1:]]
    return {(row[0], row[1]): row for row in cells}
