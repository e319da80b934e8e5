"""The W&B workspace and report of an experiment, from its run folders.

Their panels show what `loggers.ExpressionWandbLogger` logs; nothing here asks the service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws

from cage_lightning.report.page.curves import PANELS, read_curves
from cage_lightning.report.paper_tables import PaperTable
from cage_lightning.report.run_tables import EXPLANATION, Cell, headings, markdown
from cage_lightning.report.runs import Run

_STEP = "trainer/global_step"
_ROW = "JobType"  # the logger's job_type: the runs of one row of a table
_WIDTH, _HEIGHT = 8, 6  # of a panel, in units of the grid, which is 24 wide

Curves = Mapping[str, Sequence[str]]
"""The keys of learning curves by the title of their panel."""


def workspace(
    entity: str, project: str, group: str, table: PaperTable, found: Sequence[Cell], curves: Curves
) -> ws.Workspace:
    """The project as a workspace: the runs of one group, a colour for each row of the table.

    Args:
        entity: Who owns the project: a user or a team.
        project: Of W&B.
        group: Of the runs.
        table: The table of the paper that is filled.
        found: Its cells.
        curves: What the runs logged; see `curves_of`.
    """
    metrics = headings(table, found)
    return ws.Workspace(
        entity=entity,
        project=project,
        name=f"{group}: {table.title}",
        sections=[
            ws.Section(name=name, panels=panels, is_open=True)
            for name, panels in _sections(metrics, curves).items()
        ],
        settings=ws.WorkspaceSettings(x_axis=_STEP, max_runs=100),
        runset_settings=ws.RunsetSettings(
            filters=[ws.Metric("Group") == group],
            groupby=[ws.Metric(_ROW)],
            order=[ws.Ordering(ws.Metric(_ROW), ascending=True)],
            pinned_columns=["run:state", *(f"summary:test/{key}" for key in metrics)],
        ),
        auto_generate_panels=True,
    )


def report(
    entity: str, project: str, group: str, table: PaperTable, found: Sequence[Cell], curves: Curves
) -> wr.Report:
    """The experiment as a report: the table as `collect` fills it, then the same panels.

    Args: as of `workspace`.
    """
    runset = wr.Runset(  # of the project that the report is in
        name=group,
        filters=[ws.Metric("Group") == group],
        groupby=[_ROW],
        order=[wr.OrderBy(_ROW, ascending=True)],
    )
    grids: list[Any] = []
    for name, panels in _sections(headings(table, found), curves).items():
        grids += [wr.H2(text=name), wr.PanelGrid(runsets=[runset], panels=panels)]
    return wr.Report(
        entity=entity,
        project=project,
        title=f"{group}: {table.title}"[:128],
        width="fluid",
        blocks=[
            wr.MarkdownBlock(text=markdown(table, found)),
            wr.MarkdownBlock(text=f"{EXPLANATION}\n{table.note}"),
            *grids,
        ],
    )


def curves_of(runs: Sequence[Run]) -> Curves:
    """The panels of learning curves that some run has something to show in."""
    logged = {key for run in runs for key in read_curves(run.folder)}
    shown = {title: [key for key in keys if key in logged] for title, keys in PANELS.items()}
    return {title: keys for title, keys in shown.items() if keys}


def _sections(metrics: Mapping[str, str], curves: Curves) -> dict[str, list[Any]]:
    """The panels by the name of their section; each section takes panels of its own."""
    scores: list[Any] = [
        wr.BarPlot(
            title=heading,
            metrics=[f"test/{key}"],
            groupby=_ROW,
            groupby_aggfunc="mean",
            groupby_rangefunc="stddev",
            max_bars_to_show=50,
        )
        for key, heading in metrics.items()
    ]
    learning: list[Any] = [
        wr.LinePlot(
            title=title,
            x=_STEP,
            y=list(keys),
            groupby=_ROW,
            groupby_aggfunc="mean",
            groupby_rangefunc="minmax",
        )
        for title, keys in curves.items()
    ]
    details: list[Any] = [
        _chart(
            "confusion_matrix",
            "wandb/confusion_matrix/v1",
            {name: name for name in ("Actual", "Predicted", "nPredictions")},
        ),
        _chart("circumplex", "wandb/scatter/v0", {"x": "valence_pred", "y": "arousal_pred"}),
        wr.WeavePanelSummaryTable(table_name="test/samples"),
    ]
    sections = {
        "Scores on the test split": scores,
        "Learning curves": learning,
        "Single samples": details,
    }
    for panels in sections.values():
        for number, panel in enumerate(panels):
            row, column = divmod(number, 24 // _WIDTH)
            panel.layout = wr.Layout(x=column * _WIDTH, y=row * _HEIGHT, w=_WIDTH, h=_HEIGHT)
    return sections


def _chart(key: str, preset: str, fields: dict[str, str]) -> wr.CustomChart:
    """A chart that `wandb.plot` logged under ``test/<key>``."""
    return wr.CustomChart(
        query={"summaryTable": {"tableKey": f"test/{key}_table"}},
        chart_name=preset,
        chart_fields=fields,
        chart_strings={"title": key.replace("_", " ").capitalize()},
    )
