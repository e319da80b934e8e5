"""The table of known machines in README.md, from what `benchmark` has measured on them.

    python -m cage_lightning.benchmark data=demo8 model=tiny trainer=cpu runs=/tmp/measured
    python benchmarks/machines.py /tmp/measured/.rates/*.json

Each file is kept in machines/, where it takes the place of an earlier one of the same processor or
GPU; then the table is written anew from all of them.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cage_lightning.runs.measured import read_rates
from cage_lightning.system.atomic import write_atomic
from cage_lightning.system.markdown import markdown_table

README = Path(__file__).with_name("README.md")
MACHINES = Path(__file__).with_name("machines")
BEGIN, END = "<!-- machines.py writes this -->\n", "<!-- to here -->\n"
HEADER = (
    *(
        "machine",
        "CPUs",
        "network",
        "batch",
        "precision",
        "compile",
        "processes",
        "loader",
        "augmentation",
        "step",
    ),
    *("training", "of the step", "evaluation", "torch"),
)
PARTS = ("loader", "augmentation", "step", "whole")


def keep(file: Path) -> None:
    """Copy a file into the folder of known machines, if it is one of `benchmark`."""
    read_rates(file)
    content = json.loads(file.read_bytes())
    first = content["measured"][0]
    name = "-".join(re.findall("[A-Za-z0-9]+", f"{machine_of(first)} {first['cpus']}"))
    MACHINES.mkdir(exist_ok=True)
    write_atomic(MACHINES / f"{name}.json", json.dumps(content, indent=1) + "\n")


def machine_of(entry: Mapping[str, Any]) -> str:
    device = entry["device"]
    return str(entry["processor"] if device["type"] == "cpu" else device["name"])


def rows() -> Iterator[list[str]]:
    for file in sorted(MACHINES.glob("*.json")):
        for entry in json.loads(file.read_bytes())["measured"]:
            workload, parts = entry["workload"], entry["parts"]
            yield [
                machine_of(entry),
                str(entry["cpus"]),
                f"{workload['network']} at {workload['image_size']}",
                str(workload["batch_size"]),
                str(workload["precision"]),
                str(workload.get("compile", "off")),
                str(entry["workers"]),
                *(f"{parts[name]:.0f}" for name in PARTS),
                f"{parts['whole'] / parts['step']:.2f}",
                f"{parts['evaluation']:.0f}",
                str(entry["versions"]["torch"]),
            ]


def main() -> None:
    for argument in sys.argv[1:]:
        keep(Path(argument))
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    table = markdown_table(HEADER, list(rows()), right=(1, 3, *range(6, len(HEADER) - 1)))
    write_atomic(README, f"{before}{BEGIN}{table}{END}{after}")
    print(table)


if __name__ == "__main__":
    main()
