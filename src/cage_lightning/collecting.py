"""From finished runs to a table of the paper."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from cage_lightning.atomic import write_atomic, write_csv
from cage_lightning.errors import ConfigError, check_choice
from cage_lightning.report.paper_tables import PAPER_TABLES
from cage_lightning.report.run_tables import cells, markdown
from cage_lightning.report.runs import read_runs

_EXPLANATION = """\
Mean over the seeds ± standard deviation; in brackets the 95 % bootstrap interval over test
samples (stratified by category, mean over the seeds). In italics, on the same test samples,
predictors that do not look at the picture themselves: *constant* (training means, most frequent
category), *constant balanced* (mean of the training means of the categories), *lookup* (training
mean of valence and arousal of the category that the model predicts), *nearest* (category whose
training mean is nearest to the valence and arousal that the model predicts), *chance*.
"""


def collect(config: DictConfig) -> Path:
    """Write results.csv and results.md of one table of the paper.

    Returns:
        The folder they are in.

    Raises:
        CageError: What the user can put right.
    """
    check_choice("table", config.table, PAPER_TABLES)
    table = PAPER_TABLES[config.table]
    runs = read_runs(Path(config.runs))
    found = cells(table, runs)
    if not found:
        raise ConfigError(f"no run below {config.runs} has a score of {config.table}")
    records = [cell.record() for cell in found]
    folder = Path(config.output)
    write_csv(folder / "results.csv", list(records[0]), records)
    text = f"# {table.title}\n\n{markdown(table, found)}\n{_EXPLANATION}\n{table.note}\n"
    write_atomic(folder / "results.md", text)
    console = Console()
    console.print(f"{len(runs)} runs: {folder / 'results.md'}", soft_wrap=True, highlight=False)
    return folder
