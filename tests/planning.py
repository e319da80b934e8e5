"""What `train -m ...` would run, without running it."""

from __future__ import annotations

from typing import Any

from hydra import initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import OmegaConf

from cage_lightning.app.schema import CONF_DIR, register
from hydra_plugins.cage_launcher._plan import Planned, plan


def planned(*arguments: str) -> list[Planned]:
    """The jobs of a sweep as the launchers get them from Hydra's sweeper."""
    register()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        config = loader.load_configuration("train", list(arguments), run_mode=RunMode.MULTIRUN)
        HydraConfig.instance().set_config(config)
        hydra: Any = OmegaConf.to_container(config.hydra, resolve=False)
        params = [f"{key}={value}" for key, value in (config.hydra.sweeper.params or {}).items()]
        parser = OverridesParser.create(config_loader=loader)
        overrides = parser.parse_overrides([*params, *hydra["overrides"]["task"]])
        (jobs,) = BasicSweeper.split_arguments(overrides, None)
        return plan(config, loader, jobs, 0)


def folders(*arguments: str) -> list[str]:
    """The run folders of the jobs, below the folder of all runs, in the order of the grid."""
    found = [job.folder for job in planned(*arguments)]
    return [f"{folder.path.parent.name}/{folder.path.name}" for folder in found if folder]
