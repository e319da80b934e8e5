"""The expressions of faces in pictures and videos, as a file of rows."""

from __future__ import annotations

import logging
import re
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from omegaconf import DictConfig

from cage_lightning.commands.pace import Pace
from cage_lightning.commands.prediction_job import Job, plain
from cage_lightning.deploy.loading import places_of
from cage_lightning.deploy.model import ExpressionModel
from cage_lightning.errors import ConfigError, check_between, check_choice
from cage_lightning.faces.pipeline import BEGIN, Position
from cage_lightning.faces.rendering import check_renderable, render
from cage_lightning.faces.results import Counts, Results
from cage_lightning.faces.rows import Row
from cage_lightning.faces.sources import Item, list_items
from cage_lightning.faces.tables import ENDINGS, read_rows
from cage_lightning.faces.tracking import Smoothing
from cage_lightning.system.output import say
from cage_lightning.system.paths import local_path
from cage_lightning.system.storage import check_writable_file

_PART_S = 10.0  # after which what was found is written


def predict(config: DictConfig) -> Counts:
    """Look at what `config` names, write the rows and print what there is.

    Returns:
        What is in the rows.

    Raises:
        CageError: What the user can put right.
        KeyboardInterrupt: After a partial result was written. Of a camera or stream, the end.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)
    with warnings.catch_warnings():
        # Of a picture that is read anyway, or whose fault is in its row.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        return _predict(config)


def _predict(config: DictConfig) -> Counts:
    check_choice("smoothing", config.smoothing, get_args(Smoothing))
    check_between("every", config.every, 1, 1_000_000)
    if config.batch_size is not None:
        check_between("batch_size", config.batch_size, 1, 100_000)
    source = plain(config.source)
    items = list_items(source)
    if config.render:
        check_renderable(items)
    output = _output(config.output, items, source)
    places = places_of(config.checkpoint)
    model = ExpressionModel.load(places, device=config.device)
    job = Job(config, items, model, places)
    results = Results(output, job.schema, job.about)
    if job.is_live and output.exists():
        raise ConfigError(f"{output} is there already: choose another output=FILE")
    if (counts := results.finished()) is None:
        counts = _look(results, job)
        say(f"{output}: {_said(counts)}")
    else:
        say(f"{output} is complete already: {_said(counts)}")
    if config.render:
        _render(results, job)
    return counts


def _render(results: Results, job: Job) -> None:
    folder = results.output.with_name(f"{results.output.stem}-annotated")
    drawn = render(
        job.items,
        read_rows(results.output, job.schema),
        folder,
        job.model.label_space,
        every=job.config.every,
        about=results.about,
    )
    say(f"{folder}: {'what was found, drawn' if drawn else 'drawn already'}")


def _look(results: Results, job: Job) -> Counts:
    with results.opened() as start:
        if job.is_live and start != BEGIN:
            raise ConfigError(
                f"{results.folder} holds an unfinished recording, which cannot go on: delete it, "
                "or choose another output=FILE"
            )
        try:
            _write_parts(results, job, start)
        except KeyboardInterrupt:
            if not job.is_live:
                counts = results.write(job.follower.follow, partial=True)
                say(
                    f"{results.partial}: {_said(counts)} so far. The same command goes on; "
                    f"{results.folder} is needed for that."
                )
                raise
        return results.write(job.follower.follow)


def _write_parts(results: Results, job: Job, start: Position) -> None:
    """Look at what is left, and write what was found every few seconds, also when interrupted."""
    rows: list[Row] = []
    after, written = start, time.monotonic()
    try:
        with Pace(len(job.items), start.item) as pace:
            for looked in job.look(start):
                rows += looked.rows
                after = looked.after
                pace.advance(looked.frames, looked.rows, after.item)
                if time.monotonic() - written >= _PART_S:
                    results.add(rows, after)
                    rows, written = [], time.monotonic()
    finally:
        if rows:
            results.add(rows, after)


def _said(counts: Counts) -> str:
    parts = [f"{counts.files} files", f"{counts.faces} faces"]
    if counts.frames:
        parts.insert(1, f"{counts.frames} frames of videos")
    if counts.faults:
        parts.append(f"{counts.faults} could not be read (column fault)")
    return ", ".join(parts)


def _output(output: str | None, items: Sequence[Item], source: Any) -> Path:
    """The file to write."""
    if output is None:
        stem = re.sub(r"[^\w.-]+", "-", Path(str(source)).stem).strip("-.") or "faces"
        return Path(f"{stem}-expressions.parquet")
    path = local_path("output", output)
    if path.suffix not in ENDINGS:
        raise ConfigError(f"output={output}: a file of rows ends in {', '.join(ENDINGS)}")
    if any(item.kind in ("picture", "video") and Path(item.place) == path for item in items):
        raise ConfigError(f"output={output} is one of the files of source=")
    check_writable_file(path, "output=FILE")
    return path
