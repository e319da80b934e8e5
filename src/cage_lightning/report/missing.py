"""What would have to be trained for a table to be complete."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cage_lightning.report.paper_tables import PaperTable
from cage_lightning.report.runs import Run
from cage_lightning.runs.naming import run_name

_NAME = re.compile(r"[\w.+-]+")
TAKEN_UP = "the command of the sweep trains them, and leaves finished runs alone"


def missing_rows(table: PaperTable, runs: Sequence[Run]) -> list[str]:
    """The commands for the rows that the paper has and the runs do not.

    Empty where no run is of a row that the paper has: such a grid does not mean to fill the table.
    """
    there = {run.row.choices for run in runs if not run.row.tag}
    if not there & set(table.published):
        return []
    group = _typed(str(runs[0].config.get("group", "default")))
    seeds = ",".join(str(seed) for seed in sorted({run.seed for run in runs}))
    return [
        f"python -m cage_lightning.train -m data={data} model={model} loss={loss} "
        f"start={table.start} seed={seeds}{group}"
        for data, model, loss in table.published
        if (data, model, loss) not in there
    ]


def _typed(group: str) -> str:
    """The group as a setting; left out where it is no plain name: a stranger may have written it.

    Such a text could end the command and begin another one, or mean more to Hydra than a name.
    """
    return f" group={group}" if _NAME.fullmatch(group) else ""


def missing_seeds(runs: Sequence[Run]) -> list[str]:
    """The run folders that would give every row the seeds that some row has."""
    seeds = sorted({run.seed for run in runs})
    groups = [(run.folder.parent, run.row) for run in sorted(runs, key=lambda run: run.row)]
    there = {(run.folder.parent, run.row, run.seed) for run in runs}
    return [
        str(parent / run_name(row.data, row.model, row.loss, seed, row.tag or None))
        for parent, row in dict.fromkeys(groups)
        for seed in seeds
        if (parent, row, seed) not in there
    ]
