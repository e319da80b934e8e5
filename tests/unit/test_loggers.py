"""What W&B is told of a run's place."""

from __future__ import annotations

from pathlib import Path

import pytest

from cage_lightning import loggers
from cage_lightning.app import build
from tests.conftest import composed


@pytest.mark.parametrize("entity", [None, "my-team"])
def test_the_owner_of_the_project_is_a_setting(
    entity: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, object]] = []
    monkeypatch.setattr(loggers, "_start", asked.append)
    typed = () if entity is None else (f"local.entity={entity}",)
    config = composed("logger=wandb", f"run_dir={tmp_path}", *typed)
    build.build_loggers(config)
    assert [(one["entity"], one["project"]) for one in asked] == [(entity, "cage_lightning")]
