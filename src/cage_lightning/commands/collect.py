"""Fill a table of the paper from finished runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from cage_lightning.errors import ConfigError, check_choice
from cage_lightning.report.affect_figures import absolute_errors
from cage_lightning.report.comparisons import Comparisons, comparisons
from cage_lightning.report.figures import save
from cage_lightning.report.missing import TAKEN_UP, missing_rows, missing_seeds
from cage_lightning.report.overview_figure import overview
from cage_lightning.report.page import page
from cage_lightning.report.page.curves import unread_curves
from cage_lightning.report.paper_tables import TABLES
from cage_lightning.report.resampling import resample
from cage_lightning.report.rows import repeated
from cage_lightning.report.run_tables import EXPLANATION, FilledTable, fill
from cage_lightning.report.runs import (
    Run,
    UnfinishedRun,
    left_out,
    read_affect,
    read_runs,
    read_unfinished,
)
from cage_lightning.report.searches import Search, read_searches
from cage_lightning.report.summary import print_malformed, unread_lines
from cage_lightning.report.verdicts import Verdicts, verdicts
from cage_lightning.system.atomic import write_atomic, write_csv
from cage_lightning.system.escaping import for_markdown
from cage_lightning.system.output import say
from cage_lightning.system.paths import local_path
from cage_lightning.system.storage import check_writable

_FIGURE_11, _OVERVIEW = "figure11", "overview"
_NAMED = 5  # paths that are left out, at most


def collect(config: DictConfig) -> Path:
    """Write results.csv of a table of the paper, with results.md, .tex and page.html; or a figure.

    The main scores of a table are also drawn, as overview.svg, .pdf and .png.

    Of what the paper says there, verdicts.csv has the verdicts, which are also in results.md and
    on the page; comparisons.csv has the rows that were compared with each other.

    What cannot be read of a run is left out, and printed with the reason.

    Returns:
        The folder they are in.

    Raises:
        CageError: What the user can put right.
    """
    check_choice("table", config.table, (*TABLES, _FIGURE_11))
    if config.compare is not None and config.table == _FIGURE_11:
        raise ConfigError(f"compare={config.compare}: table={_FIGURE_11} has no rows to compare")
    root, folder = local_path("runs", config.runs), local_path("output", config.output)
    check_writable(folder, "output=DIR")
    malformed: dict[Path, str] = {}
    runs, unfinished = read_runs(root, malformed), read_unfinished(root, malformed)
    malformed |= unread_curves(runs)
    judged, compared = verdicts(config.table, runs), None
    if config.table == _FIGURE_11:
        records = _figure11(runs, folder, judged, malformed)
    else:
        table, searches = TABLES[config.table], read_searches(root, malformed)
        resampled = resample(repeated(runs), table.metrics)
        if config.compare is not None:
            compared = comparisons(config.compare, config.equivalence, table, runs, resampled)
        filled = fill(table, runs, resampled)
        records = _table(
            filled,
            runs,
            unfinished,
            searches,
            judged,
            compared,
            unread_lines(malformed),
            folder,
            config.pictures,
        )
    if not records:
        raise ConfigError(f"no run below {config.runs} has a score of {config.table}")
    write_csv(folder / "results.csv", list(records[0]), records)
    if judged:
        rows = judged.records()
        write_csv(folder / "verdicts.csv", list(rows[0]), rows)
        say(f"what the paper says: {judged.summary}; verdicts.csv and results.md have the reasons")
    if compared is not None:
        _write_compared(compared, folder)
    print_malformed(malformed)
    if unread := left_out([*runs, *unfinished]):
        named = ", ".join(map(str, unread[:_NAMED])) + ", ..." * (len(unread) > _NAMED)
        say(f"left out, since they lead out of their run folder or are no files: {named}")
    say(f"{len(runs)} runs: {folder}")
    return folder


def _table(
    filled: FilledTable,
    runs: Sequence[Run],
    unfinished: Sequence[UnfinishedRun],
    searches: Sequence[Search],
    judged: Verdicts,
    compared: Comparisons | None,
    unread: Sequence[str],
    folder: Path,
    photographs: bool,
) -> list[dict[str, Any]]:
    """Write the table as Markdown, LaTeX, a picture and a page; the rows of results.csv."""
    if not filled.lines:
        return []
    table = filled.paper
    text = f"# {table.title}\n\n{filled.markdown()}\n{EXPLANATION}\n{table.note}\n"
    if without := "".join(f"- {for_markdown(reason)}\n" for reason in filled.without_interval):
        text += f"\nRows without an interval:\n\n{without}"
        say(f"rows without an interval: {len(filled.without_interval)}; results.md says why")
    if compared is not None:
        text += f"\n{compared.markdown()}"
    if judged:
        text += f"\n{judged.markdown()}"
    if missing := missing_rows(table, runs):
        commands = "\n".join(missing)
        text += f"\nMissing rows of the paper, {len(missing)}:\n\n```bash\n{commands}\n```\n"
        say(f"missing rows of the paper: {len(missing)}; results.md has their commands")
    if seeds := missing_seeds(runs):
        text += f"\nMissing runs of seeds that other rows have, {len(seeds)}; {TAKEN_UP}:\n\n"
        text += "".join(f"- {for_markdown(run)}\n" for run in seeds)
        say(f"missing runs of seeds: {len(seeds)}; results.md names them")
    write_atomic(folder / "results.md", text)
    write_atomic(folder / "results.tex", filled.latex())
    if drawing := overview(filled):
        save(folder, _OVERVIEW, *drawing)
    html = page(filled, runs, unfinished, searches, photographs, judged, compared, unread)
    write_atomic(folder / "page.html", html)
    return filled.records()


def _write_compared(compared: Comparisons, folder: Path) -> None:
    """Write comparisons.csv, and print what it says."""
    for one in compared.made:
        say(one.sentence)
    for reason in compared.not_made:
        say(f"not compared: {reason}")
    if rows := compared.records():
        write_csv(folder / "comparisons.csv", list(rows[0]), rows)


def _figure11(
    runs: Sequence[Run], folder: Path, judged: Verdicts, malformed: dict[Path, str]
) -> list[dict[str, Any]]:
    """Draw the runs on their own test split and wherever they were evaluated; their scores.

    Runs that were evaluated nowhere else are left out, where others were; also those that do not
    predict affect.
    """
    across = [run for run in runs if len(run.evaluations) > 1] or runs
    evaluations = [evaluation for run in across for evaluation in run.evaluations]
    compared = read_affect(evaluations, malformed)
    if compared:
        files = {evaluation.source: predictions for evaluation, predictions in compared}
        save(folder, _FIGURE_11, *absolute_errors(files))
        write_atomic(folder / "results.md", f"# Figure 11: across datasets\n\n{judged.markdown()}")
    return [
        {"predictions": evaluation.source.label, "key": key, "value": value}
        for evaluation, _ in compared
        for key, value in evaluation.metrics.items()
        if key.partition("/")[2].startswith(("ccc_", "rmse_", "mae_")) and "ddof" not in key
    ]
