"""From finished runs to a table of the paper."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console

from cage_lightning.atomic import write_atomic, write_csv
from cage_lightning.errors import ConfigError, check_choice
from cage_lightning.prediction_files import read_predictions
from cage_lightning.report.affect_figures import absolute_errors, compared_dimensions
from cage_lightning.report.figures import save
from cage_lightning.report.paper_tables import PAPER_TABLES
from cage_lightning.report.run_tables import cells, markdown
from cage_lightning.report.runs import Run, read_runs

_FIGURE_11 = "figure11"

_EXPLANATION = """\
Mean over the seeds ± standard deviation; in brackets the 95 % bootstrap interval over test
samples (stratified by category, mean over the seeds). In italics, on the same test samples,
predictors that do not look at the picture themselves: *constant* (training means, most frequent
category), *constant balanced* (mean of the training means of the categories), *lookup* (training
mean of valence and arousal of the category that the model predicts), *nearest* (category whose
training mean is nearest to the valence and arousal that the model predicts), *chance*.
"""


def collect(config: DictConfig) -> Path:
    """Write results.csv of one table of the paper, and results.md or the figure.

    Returns:
        The folder they are in.

    Raises:
        CageError: What the user can put right.
    """
    check_choice("table", config.table, (*PAPER_TABLES, _FIGURE_11))
    runs = read_runs(Path(config.runs))
    folder = Path(config.output)
    write = _figure11 if config.table == _FIGURE_11 else _table
    records = write(config.table, runs, folder)
    if not records:
        raise ConfigError(f"no run below {config.runs} has a score of {config.table}")
    write_csv(folder / "results.csv", list(records[0]), records)
    Console().print(f"{len(runs)} runs: {folder}", soft_wrap=True, highlight=False)
    return folder


def _table(name: str, runs: Sequence[Run], folder: Path) -> list[dict[str, Any]]:
    """Write the table as Markdown; its cells as rows of a CSV file."""
    table = PAPER_TABLES[name]
    found = cells(table, runs)
    if not found:
        return []
    text = f"# {table.title}\n\n{markdown(table, found)}\n{_EXPLANATION}\n{table.note}\n"
    write_atomic(folder / "results.md", text)
    return [cell.record() for cell in found]


def _figure11(name: str, runs: Sequence[Run], folder: Path) -> list[dict[str, Any]]:
    """Draw the runs on their own test split and wherever they were evaluated; their scores.

    A run is left out that does not predict affect.
    """
    places = {}
    for run in runs:
        places[run.folder.name] = run.folder
        for file in sorted(run.folder.glob("evaluations/*/metrics.json")):
            places[f"{run.folder.name} on {file.parent.name}"] = file.parent
    files = {label: read_predictions(p / "predictions.parquet") for label, p in places.items()}
    files = {label: file for label, file in files.items() if compared_dimensions(file)}
    if files:
        save(folder, name, *absolute_errors(files))
    return [
        {"predictions": label, "key": key, "value": value}
        for label in files
        for key, value in json.loads((places[label] / "metrics.json").read_text()).items()
        if key.partition("/")[2].startswith(("ccc_", "rmse_", "mae_")) and "ddof" not in key
    ]
