"""Which devices a job may use."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from cage_lightning.errors import ConfigError
from cage_lightning.system.machine import usable_cpus

CPU = "cpu"


class Slots:
    """Places for jobs, on devices and on the CPU.

    Args:
        devices: Their ids, as CUDA_VISIBLE_DEVICES takes them.
        jobs_per_device: How many jobs share one device at a time.
        cpu_slots: How many jobs without a device run at a time.

    Attributes:
        threads: The share of the processor that a job without a device has.
        jobs_per_device: As given.
        cpu_slots: As given.

    Raises:
        ConfigError: No job would ever run.
    """

    def __init__(self, devices: Sequence[str], jobs_per_device: int, cpu_slots: int) -> None:
        if jobs_per_device < 1 or cpu_slots < 1:
            raise ConfigError("hydra.launcher: jobs_per_device and cpu_slots are at least 1")
        self.threads = max(1, usable_cpus() // cpu_slots)
        self.jobs_per_device, self.cpu_slots = jobs_per_device, cpu_slots
        self._free = {CPU: cpu_slots} | dict.fromkeys(devices, jobs_per_device)

    @property
    def devices(self) -> list[str]:
        """The ids of the devices."""
        return [name for name in self._free if name != CPU]

    def take(self, count: int) -> list[str] | None:
        """Take a place on each of `count` devices, those with the most free places first.

        Args:
            count: 0 takes a place on the CPU.

        Returns:
            Their names; None while too few are free.
        """
        names = [name for name in (self.devices if count else [CPU]) if self._free[name]]
        names = sorted(names, key=lambda name: -self._free[name])[: count or 1]
        if len(names) < (count or 1):
            return None
        for name in names:
            self._free[name] -= 1
        return names

    def give_back(self, names: Sequence[str]) -> None:
        """Free the places that `take` returned."""
        for name in names:
            self._free[name] += 1


def visible_devices() -> list[str]:
    """The GPUs that CUDA_VISIBLE_DEVICES names, else all of this machine; asks no CUDA library."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, encoding="utf-8", check=True
        )
    except (OSError, subprocess.CalledProcessError):  # no driver, or no GPU
        return []
    gpus = [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]
    return [str(index) for index in range(len(gpus))]


def devices_needed(accelerator: str, devices: object, there: int) -> int:
    """How many devices a job takes that Lightning would run with these settings.

    Args:
        accelerator: The job's trainer.accelerator.
        devices: Its trainer.devices. Anything but a number means all of them: -1 and "auto" say
            so, and a list of indices keeps its meaning.
        there: How many there are. With none, a job that accepts a CPU runs there.

    Returns:
        0 for a job on the CPU.
    """
    if accelerator == "cpu" or (not there and accelerator not in ("gpu", "cuda")):
        return 0
    return int(str(devices)) if str(devices).isdigit() else max(1, there)
