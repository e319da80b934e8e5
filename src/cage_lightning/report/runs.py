"""The finished runs below a folder, as what their files say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from yaml import YAMLError

from cage_lightning.errors import ConfigError, DataError


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: The run folder.
        config: Its config.yaml.
        metrics: Its metrics.json.
    """

    folder: Path
    config: Mapping[str, Any]
    metrics: Mapping[str, Any]

    @property
    def row(self) -> tuple[str, str, str, str]:
        """What the seeds of one row of a table share: data, model, loss and tag."""
        choices = self.config["choices"]
        return choices["data"], choices["model"], choices["loss"], self.config["tag"] or ""

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return int(self.config["seed"])


def read_runs(root: Path) -> list[Run]:
    """Every finished run below `root`, in the order of their paths.

    Raises:
        ConfigError: There is none.
        DataError: A file of a run cannot be read.
    """
    runs = []
    for file in sorted(root.glob("**/metrics.json")):
        config = file.with_name("config.yaml")
        if not config.is_file():
            continue  # an evaluation of a run, not a run
        try:
            settings: Any = OmegaConf.to_container(OmegaConf.load(config))
            runs.append(Run(file.parent, settings, json.loads(file.read_text())))
        except (OSError, ValueError, YAMLError) as error:
            raise DataError(f"{file.parent} holds an unreadable file: {error}") from error
    if not runs:
        raise ConfigError(f"{root} holds no finished run (a metrics.json beside a config.yaml)")
    return runs
