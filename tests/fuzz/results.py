"""What came of the study: a row for each reader, kept in results.csv and shown in README.md."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cage_lightning.system.markdown import markdown_table

HERE = Path(__file__).parent
RESULTS, README, FAILED = HERE / "results.csv", HERE / "README.md", HERE / "failed"
COUNTS = ("inputs", "accepted", "refused", "failed")
COLUMNS = ("kind", "reader", "seed", *COUNTS, "per second")
_PAGE = """# Fuzzing

What a stranger may write, changed at random: bytes, words, values, columns, names of files. Each
input has to be accepted, or refused with one clear line, within 5 seconds of CPU time and 300 MB
of memory. Anything else counts as failed: a traceback, a message of several lines, a process that
dies.

{kinds}
*Kept* counts the inputs that failed when a reader was studied before, and that `test_failed.py` has
read ever since. *Per second* is of CPU time, and a property of the machine. Written by
`python -m tests.fuzz.study --count N --write [PART OF A NAME ...]`, which puts the inputs
that fail into `fuzz_failures/`.

Run folders are not counted yet.

{readers}"""


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
    """The results as a page: a row for each kind of reader, and one for each reader."""
    rows = read_results()
    kinds: dict[str, Counter[str]] = {}
    for row in rows:
        counts = {"readers": 1, **{key: int(row[key]) for key in COUNTS}}
        kinds.setdefault(row["kind"], Counter()).update(counts, kept=len(kept(row["reader"])))
    head = ["readers", *COUNTS, "kept"]
    kinds["all"] = sum(kinds.values(), Counter())
    sums = [[kind, *(f"{found[key]:,}" for key in head)] for kind, found in kinds.items()]
    single = [
        [row["reader"], *(f"{int(row[key]):,}" for key in (*COUNTS, "per second"))] for row in rows
    ]
    return _PAGE.format(
        kinds=markdown_table(["kind", *head], sums, right=range(1, 7)),
        readers=markdown_table(["reader", *COUNTS, "per second"], single, right=range(1, 6)),
    )
