"""From a release on disk to the paper's figures and tables of it."""

from __future__ import annotations

import logging
from pathlib import Path

from omegaconf import DictConfig

from cage_lightning.app.nodes import build_source
from cage_lightning.data.annotations import Annotations
from cage_lightning.data.datasets import AffectNet, Emotic
from cage_lightning.data.files import list_files
from cage_lightning.data.source import Source
from cage_lightning.errors import ConfigError
from cage_lightning.report.dataset_figures import NothingToDraw, annotated, figures_of
from cage_lightning.report.dataset_tables import save_table, table3, table4
from cage_lightning.report.figures import save
from cage_lightning.runs.log import start_logging
from cage_lightning.system.paths import local_path
from cage_lightning.system.storage import check_writable

log = logging.getLogger(__name__)


def analyze(config: DictConfig) -> Path:
    """Draw the dataset's figures and tables, of the splits as the release has them.

    They show labels, so the pictures may be missing; `data.on_error=skip` leaves such samples out.

    Returns:
        The folder that they were written to.

    Raises:
        ConfigError: A setting of the data is wrong.
        DataError: The annotations cannot be read.
    """
    start_logging(None)
    title = str(config.choices.data)
    folder = local_path("output", config.output or f"analysis/{title}").expanduser()
    check_writable(folder, "output=DIR")
    source = build_source(config)
    space = source.label_space
    if "train" not in source.own_splits:
        raise ConfigError(
            f"{source.root} has no training split, which the figures and tables are of: mark rows "
            "as train, or have fewer drawn for the test split, data.test_fraction"
        )
    splits = {split: _labels(source, split) for split in source.own_splits}
    save_table(folder, "table3", f"{title}: the dataset", table3(title, space, splits))
    if space.categories:
        weights = "positive weights" if space.multi_label else "weights of the categories"
        rows = table4(space, splits, isinstance(source, AffectNet | Emotic))
        save_table(folder, "table4", f"{title}: {weights}", rows)
    for split, table in splits.items():
        if missing := [d for d in space.dimensions if d not in annotated(space, table)]:
            log.info("%s split: no sample has %s", split, " or ".join(missing))
    for name, draw in figures_of(space).items():
        try:
            drawing = draw(title, space, splits)
        except NothingToDraw as reason:
            log.info("%s left out: %s", name, reason)
        else:
            save(folder, name, *drawing)
    log.info("figures and tables of %s: %s", title, folder)
    return folder


def _labels(source: Source, split: str) -> Annotations:
    """A split with all its labels, unless those without a picture are to be skipped."""
    table = source.own_split(split, "skip" if source.on_error == "skip" else "keep")
    if table.packed is None:
        paths = table.path.tolist()
        present = list_files(table.root, paths, lambda row: str(table.id[row]), links=True)
        if missing := sum(path not in present for path in paths):
            log.info(
                "%s split: %d of %d pictures are missing; the figures show labels and need none",
                *(split, missing, len(paths)),
            )
    return table
