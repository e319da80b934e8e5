"""The W&B workspace and report of an experiment, from its run folders.

Their panels show what `loggers.ExpressionWandbLogger` logs; nothing here asks the service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws

from cage_lightning.report.page.curves import PANELS, read_curves
from cage_lightning.report.run_tables import EXPLANATION, FilledTable
from cage_lightning.report.runs import Run

_STEP = "trainer/global_step"
_ROW = "JobType"  # the logger's job_type: the runs of one row of a table
_LONGEST_TITLE = 128  # characters
_WIDTH, _HEIGHT = 8, 6  # of a panel, in units of the grid, which is 24 wide


def workspace_and_report(
    entity: str, project: str, group: str, table: FilledTable, runs: Sequence[Run]
) -> tuple[ws.Workspace, wr.Report]:
    """The project as a workspace, and the experiment as a report, which begins with its table.

    Both show the runs of one group, together by the row of their table.

    Args:
        entity: Who owns the project: a user or a team.
        project: The project in W&B.
        group: The group of the runs in W&B.
        table: The table of the paper with the scores of the runs.
        runs: Those of the group.
    """
    metrics, ours = table.headings, [ws.Metric("Group") == group]
    title = f"{group}: {table.paper.title}"
    workspace = ws.Workspace(
        entity=entity,
        project=project,
        name=title,
        sections=[
            ws.Section(name=name, panels=panels, is_open=True)
            for name, panels in _sections(metrics, runs).items()
        ],
        settings=ws.WorkspaceSettings(x_axis=_STEP, max_runs=100),
        runset_settings=ws.RunsetSettings(
            filters=ours,
            groupby=[ws.Metric(_ROW)],
            order=[ws.Ordering(ws.Metric(_ROW), ascending=True)],
            pinned_columns=["run:state", *(f"summary:test/{key}" for key in metrics)],
        ),
        auto_generate_panels=True,
    )
    runset = wr.Runset(  # of the project that the report is in
        name=group, filters=ours, groupby=[_ROW], order=[wr.OrderBy(_ROW, ascending=True)]
    )
    grids: list[Any] = []
    for name, panels in _sections(metrics, runs).items():
        grids += [wr.H2(text=name), wr.PanelGrid(runsets=[runset], panels=panels)]
    report = wr.Report(
        entity=entity,
        project=project,
        title=title[:_LONGEST_TITLE],
        width="fluid",
        blocks=[
            wr.MarkdownBlock(text=table.markdown()),
            wr.MarkdownBlock(text=f"{EXPLANATION}\n{table.paper.note}"),
            *grids,
        ],
    )
    return workspace, report


def _sections(metrics: Mapping[str, str], runs: Sequence[Run]) -> dict[str, list[Any]]:
    """The panels that some run has something to show in, by the name of their section."""
    scores = [
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
    logged = {key for run in runs for key in read_curves(run.folder)}
    curves = [
        wr.LinePlot(
            title=title,
            x=_STEP,
            y=[key for key in keys if key in logged],
            groupby=_ROW,
            groupby_aggfunc="mean",
            groupby_rangefunc="minmax",
        )
        for title, keys in PANELS.items()
        if logged.intersection(keys)
    ]
    scored = {key for run in runs for key in run.metrics}
    charts = [
        _chart(key, preset, fields)
        for key, preset, fields, score in (
            (
                "confusion_matrix",
                "wandb/confusion_matrix/v1",
                {name: name for name in ("Actual", "Predicted", "nPredictions")},
                "test/accuracy",
            ),
            (
                "circumplex",
                "wandb/scatter/v0",
                {"x": "valence_pred", "y": "arousal_pred"},
                "test/ccc_valence",
            ),
        )
        if score in scored
    ]
    samples = [*charts, wr.WeavePanelSummaryTable(table_name="test/samples")]
    sections = {
        "Scores on the test split": scores,
        "Learning curves": curves,
        "Single samples": samples,
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
