"""What Hydra sees: it imports this file at its start, with the extra `slurm` or without."""

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from cage_lightning.errors import ConfigError


class SlurmLauncher(Launcher):
    """Submit the jobs of a sweep, wait for them, and cancel them if this process is stopped.

    Args:
        settings: conf/hydra/launcher/slurm.yaml. Each job reads them again from its own config,
            for they depend on its settings.
    """

    def __init__(self, **settings: Any) -> None: ...

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take what Hydra knows of the sweep; with `dry=true` the process ends here."""
        if config.get("dry"):
            from hydra_plugins.cage_launcher._dry import end_with_dry_run

            end_with_dry_run(config, hydra_context.config_loader, None)
        self._sweep: dict[str, Any] = {
            "hydra_context": hydra_context,
            "task_function": task_function,
            "config": config,
        }

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run the jobs.

        Returns:
            The objective of each training. A job that failed raises the report of the sweep, which
            names all of them and their logs, where its value is read.

        Raises:
            CageError: A job cannot be submitted as it is; or the objective is no number of the
                results.
        """
        try:
            from hydra_plugins.cage_slurm._jobs import run
        except ImportError as error:
            raise ConfigError(
                f"hydra/launcher=slurm: {error}; pip install 'cage-lightning[slurm]'"
            ) from error
        return run(self._sweep, job_overrides, initial_job_idx)
