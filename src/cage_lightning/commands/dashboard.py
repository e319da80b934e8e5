"""Make the W&B workspace and report of an experiment from its finished runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wandb
from omegaconf import DictConfig

from cage_lightning.errors import CageError, ConfigError, check_choice, first_line
from cage_lightning.report.paper_tables import TABLES
from cage_lightning.report.resampling import resample
from cage_lightning.report.rows import repeated
from cage_lightning.report.run_tables import fill
from cage_lightning.report.runs import Run, read_runs
from cage_lightning.report.summary import print_malformed
from cage_lightning.system.atomic import write_atomic
from cage_lightning.system.output import say
from cage_lightning.system.paths import local_path
from cage_lightning.system.storage import check_writable

_SECONDS_TO_CONNECT = 10


def dashboard(config: DictConfig) -> None:
    """Save the workspace and the report of a group of runs, or write them as JSON.

    Raises:
        CageError: What the user can put right.
    """
    check_choice("table", config.table, tuple(TABLES))
    try:
        from cage_lightning.report.dashboard import workspace_and_report
    except ModuleNotFoundError as error:
        raise ConfigError(f"{error}: pip install 'cage-lightning[dashboard]'") from error

    if config.output is not None:
        check_writable(local_path("output", config.output), "output=DIR")
    malformed: dict[Path, str] = {}
    table, runs = TABLES[config.table], read_runs(local_path("runs", config.runs), malformed)
    print_malformed(malformed)
    project, group = _place(runs, config.runs)
    filled = fill(table, runs, resample(repeated(runs), table.metrics))
    if not filled.lines:
        raise ConfigError(f"no run below {config.runs} has a score of {config.table}")
    entity = config.entity or _default_entity()
    views = workspace_and_report(entity, project, group, filled, runs)
    for name, view in zip(("workspace", "report"), views, strict=True):
        if config.output is not None:
            file = local_path("output", config.output) / f"{name}.json"
            model = view._to_model()  # there is no public way to the serialised form
            write_atomic(file, model.model_dump_json(by_alias=True, exclude_none=True, indent=1))
            say(f"{name}: {file}")
        else:
            try:
                view.save()
            except Exception as error:  # of any library between here and the service
                raise CageError(f"W&B does not take the {name}: {first_line(error)}") from error
            say(f"{name}: {view.url}")


def _place(runs: list[Run], root: str) -> tuple[str, str]:
    """Project and group of runs that were logged with W&B."""
    logged: list[Mapping[str, Any]] = [
        logger for run in runs if isinstance(logger := _wandb(run), Mapping)
    ]
    if not logged:
        raise ConfigError(f"no run below {root} was trained with logger=wandb")
    places = {(str(logger.get("project")), str(logger.get("group"))) for logger in logged}
    if len(places) > 1:
        names = ", ".join(sorted(f"{group} in {project}" for project, group in places))
        raise ConfigError(
            f"the runs below {root} are of several groups ({names}): choose one with runs=DIR"
        )
    return places.pop()


def _wandb(run: Run) -> Any:
    """The settings of W&B in the config of a run; None where it has none."""
    loggers = run.config.get("logger")
    return loggers.get("wandb") if isinstance(loggers, Mapping) else None


def _default_entity() -> str:
    """The user or team that owns a project in W&B where none is named."""
    try:
        entity: str | None = wandb.Api(timeout=_SECONDS_TO_CONNECT).default_entity
    except Exception as error:  # no login, no network
        raise CageError(
            f"W&B does not answer ({first_line(error)}): log in with `wandb login`; or "
            "entity=NAME output=DIR writes both as JSON, without the service"
        ) from error
    if entity is None:
        raise ConfigError("your W&B account has no default entity: name one with entity=NAME")
    return entity
