"""What a person sees: the log, and the table at the end."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_only
from rich.console import Console
from rich.table import Table

_ROWS = {
    "accuracy": "accuracy",
    "F1 (weighted)": "f1_weighted",
    "F1 (macro)": "f1_macro",
    "mAP": "map",
}
_NO_CONCERN = (
    ".*does not have many workers.*",  # depends on the machine, not on the run
    ".*is smaller than the logging interval.*",
    ".*sync_dist=True.*",  # what is logged is that of all ranks already
    r".*isinstance\(treespec, LeafSpec\).*",  # inside Lightning
)
_AFFECT = ("ccc", "rmse", "mae")


def first_process() -> bool:
    """Whether this is rank 0, also before the ranks know of each other."""
    return int(getattr(rank_zero_only, "rank", 0)) == 0


def start_logging(file: Path | None) -> None:
    """Send log records of rank 0 to the terminal and, if given, to the end of `file`."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logger = logging.getLogger(name)
        logger.handlers.clear()  # else every line appears twice
        logger.setLevel(logging.WARNING)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    logging.captureWarnings(True)
    for message in _NO_CONCERN:
        warnings.filterwarnings("ignore", message=message)
    if not first_process():
        root.addHandler(logging.NullHandler())
        return
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    handlers[0].setFormatter(logging.Formatter("%(message)s"))
    handlers[0].addFilter(lambda record: not record.exc_info)  # Python prints it anyway
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(file))
        handlers[1].setFormatter(
            logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
        )
    root.setLevel(logging.INFO)
    for handler in handlers:
        root.addHandler(handler)


def print_results(results: Mapping[str, float], title: str) -> None:
    """Print the main numbers of ``test/...`` results as a table."""
    console = Console()
    table = Table()
    table.add_column("test split")
    table.add_column("", justify="right")
    for label, key in _ROWS.items():
        if f"test/{key}" in results:
            table.add_row(label, f"{results[f'test/{key}']:.3f}")
    for metric in _AFFECT:
        for key, value in results.items():
            if key.startswith(f"test/{metric}_"):
                table.add_row(f"{metric.upper()} {key.rsplit('_', 1)[1]}", f"{value:.3f}")
    console.print(title, soft_wrap=True, highlight=False)
    console.print(table)
