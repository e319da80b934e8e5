"""What came of the study: a row for each reader, kept in results.csv and shown in README.md."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cage_lightning.system.markdown import markdown_table

HERE = Path(__file__).parent
RESULTS, README, FAILED = HERE / "results.csv", HERE / "README.md", HERE / "failed"
NUMBERS = ("inputs", "accepted", "refused", "failed", "per second")
COLUMNS = ("reader", "seed", *NUMBERS)
_PAGE = """# Fuzzing

What a stranger may write, changed at random: bytes, words, values, columns, names of files. Each
input has to be accepted, or refused with one clear line, within 5 seconds of CPU time and 300 MB
of memory. Anything else counts as failed: a traceback, a message of several lines, a process that
dies.

{total:,} inputs to {readers} readers; {failed:,} failed. *Kept* counts the inputs that failed when
a reader was studied before, and that `test_failed.py` has read ever since: {kept}. *Per second* is
of CPU time, and a property of the machine. Written by
`python -m tests.fuzz.study --count N --write [PART OF A NAME ...]`, which puts the inputs
that fail into `fuzz_failures/`.

Not mended: folders whose name has a line break give a message of two lines; two settings typed
behind `train`; and PyArrow ends the process on a Parquet file whose size statistics do not fit its
columns. Without a row, and not counted yet: the other command lines, and run folders.

{table}"""


def read_results() -> list[dict[str, str]]:
    """The rows by the names of the columns."""
    with RESULTS.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def keep(row: Mapping[str, Any]) -> None:
    """Put a row in the place of that of the same reader."""
    there = read_results() if RESULTS.is_file() else []
    new = {key: str(value) for key, value in row.items()}
    rows = [new if one["reader"] == new["reader"] else one for one in there]
    rows += [] if new in rows else [new]
    with RESULTS.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    README.write_text(render(), encoding="utf-8")


def kept(reader: str) -> list[Path]:
    """The folders of the inputs of a reader that once failed."""
    return sorted(path for path in (FAILED / folder_name(reader)).glob("*") if path.is_dir())


def folder_name(reader: str) -> str:
    """The name of a reader as that of a folder."""
    return reader.replace(",", "").replace(" ", "_")


def render() -> str:
    """The results as a page."""
    rows = [
        [row["reader"], *(f"{int(row[key]):,}" for key in NUMBERS), str(len(kept(row["reader"])))]
        for row in read_results()
    ]
    total = sum(int(row["inputs"]) for row in read_results())
    return _PAGE.format(
        total=total,
        readers=len(rows),
        failed=sum(int(row["failed"]) for row in read_results()),
        kept=sum(len(kept(row["reader"])) for row in read_results()),
        table=markdown_table([*COLUMNS[:1], *NUMBERS, "kept"], rows, right=range(1, 7)),
    )
