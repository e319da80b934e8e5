"""What Hydra sees: the settings of the launcher, and the plugin."""

# No `from __future__ import annotations`: Hydra executes this file before it is in sys.modules,
# where dataclasses would look for the names.

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from hydra_plugins.cage_launcher._slots import Slots


@dataclass
class GpusConf:
    """The keys of `hydra.launcher`.

    Attributes:
        devices: Ids as CUDA_VISIBLE_DEVICES takes them; null: those of this process, or all GPUs.
        devices_per_job: null: as many as the job's own trainer.devices.
        jobs_per_device: How many jobs share a device at a time.
        cpu_slots: How many jobs without a GPU run at a time.
    """

    _target_: str = "hydra_plugins.cage_launcher.launcher.GpuLauncher"
    devices: list[str] | None = None
    devices_per_job: int | None = None
    jobs_per_device: int = 1
    cpu_slots: int = 1


ConfigStore.instance().store(
    group="hydra/launcher", name="gpus", node=GpusConf, provider="cage_lightning"
)


class GpuLauncher(Launcher):
    """Run the jobs of a sweep as plain single runs, as many at a time as there are devices."""

    def __init__(
        self,
        devices: list[str] | None,
        devices_per_job: int | None,
        jobs_per_device: int,
        cpu_slots: int,
    ) -> None:
        self._devices = devices
        self._devices_per_job = devices_per_job
        self._jobs_per_device = jobs_per_device
        self._cpu_slots = cpu_slots

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take what Hydra knows of the sweep, and look whether its logs can be written.

        With `dry=true` the process ends here.
        """
        from cage_lightning.system.storage import check_writable

        if config.get("dry"):
            from hydra_plugins.cage_launcher._dry import end_with_dry_run

            end_with_dry_run(
                config, hydra_context.config_loader, self._slots(), self._devices_per_job
            )
        setting = "runs=DIR" if "runs" in config else "hydra.sweep.dir=DIR"
        check_writable(Path(config.hydra.sweep.dir), setting)
        self._loader = hydra_context.config_loader
        self._config = config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run the jobs in the given order, each after the one it starts from.

        Returns:
            The objective of each training. A job that failed raises the report of the sweep, which
            names all of them and their logs, where its value is read.

        Raises:
            CageError: The grid cannot run as it is, and nothing was started; or the objective is
                no number of the results.
        """
        from hydra_plugins.cage_launcher._grid import jobs_of, work
        from hydra_plugins.cage_launcher._plan import plan
        from hydra_plugins.cage_launcher._returns import returns

        slots = self._slots()
        planned = plan(self._config, self._loader, job_overrides, initial_job_idx)
        failures = work(jobs_of(planned, self._config, self._devices_per_job, slots), slots)
        return returns(planned, failures)

    def _slots(self) -> "Slots":
        """The places that the jobs have."""
        from hydra_plugins.cage_launcher._slots import Slots, visible_devices

        devices = visible_devices() if self._devices is None else self._devices
        return Slots(devices, self._jobs_per_device, self._cpu_slots)
