"""The page of an experiment: one HTML file that needs no network and no other file.

The document (page.html) is complete without a script; page.js sorts its tables and compares two
configs. Everything from the runs is escaped, and no script but page.js is allowed to run.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from rich.progress import track

from cage_lightning.errors import DataError
from cage_lightning.report.affect_figures import absolute_errors
from cage_lightning.report.comparisons import Comparisons
from cage_lightning.report.missing import TAKEN_UP, missing_rows, missing_seeds
from cage_lightning.report.overview import left_out as left_out_of_overview
from cage_lightning.report.page.comparing import comparing
from cage_lightning.report.page.curves import learning_curves, read_curves
from cage_lightning.report.page.filters import FILTERS
from cage_lightning.report.page.forest_plots import forest_plots, marks
from cage_lightning.report.page.line_chart import SIZE
from cage_lightning.report.page.parallel import parallel_coordinates
from cage_lightning.report.page.pictures import Embedded, embed, embed_svg
from cage_lightning.report.page.searching import search_history
from cage_lightning.report.run_tables import EXPLANATION, FilledTable
from cage_lightning.report.runs import Run, UnfinishedRun, left_out, read_affect
from cage_lightning.report.searches import OBJECTIVE, VALIDATIONS, Search
from cage_lightning.report.verdicts import COLUMNS, PROXY_NOTE, SETTLING, Verdicts
from cage_lightning.runs.identity import flat
from cage_lightning.system.escaping import for_terminal
from cage_lightning.system.output import console
from cage_lightning.system.paths import is_inside

_HERE = Path(__file__).parent
_WITH_FIGURES = 18  # runs; of more, the first of each row
_BYTES = 6_600_000  # of all figures from the run folders together
_SHARE, _SHARE_OF_SHEET = 0.1, 0.4  # of what a run may take: six drawings and the sheet
_LINE_EVERY = 10  # runs: for fewer of them no progress is printed without a terminal
_SHEET = "worst_samples"
_IN_THE_CURVES = "selection.validations"
_FIGURES: Mapping[str, str] = {
    "figure9": "Confusion matrix (Figure 9)",
    "category_rates": "Categories found and missed",
    "figure10": "Absolute error of the affect (Figure 10)",
    "density": "True and predicted affect on the circumplex",
    "error_by_category": "Absolute error by category",
    "reliability": "Reliability of the probabilities",
    _SHEET: "The samples with the largest errors",
}


@dataclass(frozen=True)
class _Section:
    """What the page shows of a finished run, beside its scores in the table of the runs.

    `not_shown` names the files that should be figures and are not.
    """

    name: str
    run: Run
    facts: Mapping[str, Any]
    curves: Sequence[Embedded]
    figures: Sequence[Embedded]
    figures_left_out: bool
    not_shown: Sequence[str]

    @property
    def drawing(self) -> str:
        """The command that draws the figures."""
        folder = for_terminal(str(self.run.folder))
        paths = (f"predictions={folder}/predictions.parquet", f"figures={folder}/figures")
        return shlex.join(["python", "-m", "cage_lightning.score", *paths])


def page(
    table: FilledTable,
    runs: Sequence[Run],
    unfinished: Sequence[UnfinishedRun],
    searches: Sequence[Search] = (),
    photographs: bool = False,
    judged: Verdicts | None = None,
    compared: Comparisons | None = None,
    unread: Sequence[str] = (),
) -> str:
    """The page of an experiment as HTML; the same input gives the same bytes.

    Args:
        table: The table of the paper with the scores of the runs.
        runs: All finished runs; the figures in their folders are embedded, made smaller where they
            would together take more than 6.6 MB.
        unfinished: Listed with the last lines of their logs.
        searches: Listed with their trials, and the course of their best value.
        photographs: Show the pictures of samples also where they are not drawn.
        judged: The verdicts on what the paper says there.
        compared: Rows that were compared with each other.
        unread: A line for each run, evaluation or search that cannot be read: why.

    What cannot be read, files that are no figures, and links that lead out of their run folder are
    named instead of shown.
    """
    everything: list[Run | UnfinishedRun] = [*runs, *unfinished]
    names = _names([run.folder for run in everything])
    plots, shown = forest_plots(table), _with_figures(runs)
    budget = _BYTES / len(shown)
    script = (_HERE / "page.js").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    return environment.get_template("page.html").render(
        table=table,
        plots=plots,
        marks=marks([plot.panel for plot in plots]),
        not_drawn=left_out_of_overview(table),
        explanation=EXPLANATION,
        objective=OBJECTIVE,
        metrics=table.headings,
        judged=judged,
        comparing=comparing(compared),
        judged_columns=COLUMNS,
        proxy_note=PROXY_NOTE,
        settling=SETTLING,
        sections=[
            _section(
                names[run.folder],
                run,
                budget if run in shown else None,
                [name for name in _FIGURES if name != _SHEET or photographs or run.drawn],
            )
            for run in _with_progress(runs)
        ],
        without_photographs=any(
            not (photographs or run.drawn) and _figure(run, _SHEET).is_file() for run in shown
        ),
        unread=unread,
        left_out=[
            f"{names[run.folder]}/{path.relative_to(run.folder)}"
            for run in everything
            for path in left_out([run])
        ],
        failed=[(names[run.folder], run) for run in unfinished if run.error is not None],
        pruned=[(names[run.folder], run.pruned) for run in unfinished if run.pruned is not None],
        stopped=[
            (names[run.folder], run)
            for run in unfinished
            if run.error is None and run.pruned is None
        ],
        searches=[(search, _history(search), _parallel(search)) for search in searches],
        validations=VALIDATIONS,
        missing_rows=missing_rows(table.paper, runs),
        missing_seeds=missing_seeds(runs),
        taken_up=TAKEN_UP,
        configs={
            names[run.folder]: {key: json.dumps(value) for key, value in flat(run.config).items()}
            for run in everything
        },
        style=Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _with_progress(runs: Sequence[Run]) -> Iterator[Run]:
    """The runs one by one, and the progress on stderr: a bar on a terminal, else lines."""
    bar = console(stderr=True)
    if bar.is_terminal:
        yield from track(runs, description="Drawing the page", console=bar)
        return
    for number, run in enumerate(runs):
        if number % _LINE_EVERY == 0 and len(runs) > _LINE_EVERY:
            bar.print(f"drawing the page: {number} of {len(runs)} runs")
        yield run


def _names(folders: Sequence[Path]) -> dict[Path, str]:
    """What tells the run folders apart: their paths below the folder that holds them all."""
    above = os.path.commonpath([folder.parent for folder in folders])
    return {folder: folder.relative_to(above).as_posix() for folder in folders}


def _with_figures(runs: Sequence[Run]) -> Sequence[Run]:
    """The runs whose figures are shown: all, or of many the first seed of each row."""
    if len(runs) <= _WITH_FIGURES:
        return runs
    first: dict[Any, Run] = {}
    for run in sorted(runs, key=lambda run: run.seed):
        first.setdefault(run.row, run)
    return list(first.values())


def _section(name: str, run: Run, budget: float | None, figures: Sequence[str]) -> _Section:
    """The section of a run with some of `_FIGURES`, which take `budget`; None leaves them out."""
    not_shown: list[str] = []
    return _Section(
        name=name,
        run=run,
        facts={
            key: fact
            for key, fact in flat(run.metrics.get("meta", {})).items()
            if key != _IN_THE_CURVES
        },
        curves=_curves(run, not_shown),
        figures=[] if budget is None else list(_figures(run, figures, budget, not_shown)),
        figures_left_out=budget is None,
        not_shown=not_shown,
    )


def _curves(run: Run, not_shown: list[str]) -> list[Embedded]:
    """The learning curves of a run; adds to `not_shown` why it has none."""
    try:
        charts = learning_curves(read_curves(run.folder))
    except DataError as error:
        not_shown.append(str(error))
        return []
    return [embed_svg(title, chart, SIZE) for title, chart in charts.items()]


def _history(search: Search) -> Embedded | None:
    """The course of a search; None for several objectives, which have no common best one."""
    if len(search.objectives) > 1:
        return None
    return embed_svg(_titled("Value of every trial", search), search_history(search), SIZE)


def _parallel(search: Search) -> Embedded:
    """The trials of a search across parallel axes."""
    document, size = parallel_coordinates(search)
    return embed_svg(_titled("Settings and values of the trials", search), document, size)


def _titled(title: str, search: Search) -> str:
    beyond = "; those pruned beyond the finished ones lie at the edge"
    return title + beyond * any(search.pruned)


def _figure(run: Run, name: str) -> Path:
    return run.folder / "figures" / f"{name}.png"


def _figures(
    run: Run, names: Sequence[str], budget: float, not_shown: list[str]
) -> Iterator[Embedded]:
    """The figures in the run folder, and Figure 11 of a run that was evaluated on other datasets.

    Adds to `not_shown` why a file cannot be shown.
    """
    unread: dict[Path, str] = {}
    if len(run.evaluations) > 1 and (compared := read_affect(run.evaluations, unread)):
        figure, _ = absolute_errors({evaluation.source: file for evaluation, file in compared})
        yield embed("Absolute error across datasets (Figure 11)", figure, budget * _SHARE)
    not_shown += unread.values()
    for key in names:
        file, title = _figure(run, key), _FIGURES[key]
        if is_inside(run.folder, file):
            sheet = key == _SHEET
            try:
                yield embed(title, file, budget * (_SHARE_OF_SHEET if sheet else _SHARE), sheet)
            except DataError as error:
                not_shown.append(str(error))
