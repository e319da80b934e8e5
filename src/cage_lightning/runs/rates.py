"""How fast a training is: of finished runs, and as `python -m cage_lightning.benchmark` found it.

<runs>/.rates/<device>.json    what `benchmark` measured; no paths, no names of machines
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from cage_lightning.runs.identity import network_name


@dataclass(frozen=True)
class Workload:
    """What decides how long a picture takes, beside the device.

    Attributes:
        network: The name of the network.
        image_size: Height and width of the pictures, in pixels.
        batch_size: Over all devices.
        accumulated: Batches between two steps of the optimiser.
        precision: As the setting says; ``auto`` means the same on the same device.
        augmentation: The steps of the augmentation.
        data: The name of the data set.
        loss: The name of the loss.
        sam: Whether the steps are sharpness-aware, which compute twice.
        compile: As the setting says.
    """

    network: str
    image_size: int
    batch_size: int
    accumulated: int
    precision: str
    augmentation: tuple[str, ...]
    data: str
    loss: str
    sam: bool = False
    compile: str = "off"

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Workload:
        """Return that of the config of a training, resolved, as plain containers."""
        data, trainer, choices = (settings[key] for key in ("data", "trainer", "choices"))
        steps = (settings.get("augment") or {}).get("steps") or ()
        return cls(
            network=str(network_name(settings)),
            image_size=int(data["image_size"]),
            batch_size=int(data["batch_size"]),
            accumulated=int(trainer.get("accumulate_grad_batches") or 1),
            precision=str(trainer.get("precision")),
            augmentation=tuple(str(step["_target_"]).rpartition(".")[2] for step in steps),
            data=str(choices["data"]),
            loss=str(choices["loss"]),
            sam=bool(settings.get("sam")),
            compile=str(settings.get("compile", "off")),
        )

    def costs_as_much_as(self, other: Workload) -> bool:
        """Whether a picture takes as long, but for what data set and loss change."""
        return self.like(other.data, other.loss) == other

    def like(self, data: str, loss: str) -> Workload:
        """Return the same one on other data, with another loss."""
        return Workload(**asdict(self) | {"data": data, "loss": loss})


@dataclass(frozen=True)
class Device:
    """What a training runs on.

    Attributes:
        type: ``cpu`` or ``cuda``.
        name: As `provenance` has it; None where it is not known, as on a login node.
        count: How many of them, one process each.
        threads: With how many a process computes on a CPU; None where it is not known.
    """

    type: str
    name: str | None
    count: int
    threads: int | None = None

    def is_like(self, other: Device) -> bool:
        """Whether a training takes as long on both, as far as is known."""
        same = (self.type, self.count) == (other.type, other.count)
        on_cpu = self.type == "cpu"
        return (
            same
            and (self.name == other.name or None in (self.name, other.name))
            and (
                not on_cpu or self.threads == other.threads or None in (self.threads, other.threads)
            )
        )

    def __str__(self) -> str:
        if self.type == "cpu":
            threads = "" if self.threads is None else f", {self.threads} threads"
            return f"CPU ({self.name}{threads})".replace("1 threads", "1 thread")
        times = f"{self.count} x " if self.count > 1 else ""
        return f"{times}{self.name or 'GPU'}"


@dataclass(frozen=True)
class Rates:
    """How fast a training is.

    Attributes:
        train: Samples per second, over all devices.
        evaluation: The same of a validation or test; None: `train` contains the validations.
        start_s: Seconds until the first step.
        results_s: Seconds for the scores of the test split, with their intervals.
        figures_s: Seconds for its figures; None where none were drawn.
    """

    train: float
    evaluation: float | None = None
    start_s: float = 0.0
    results_s: float = 0.0
    figures_s: float | None = None


@dataclass(frozen=True)
class Measured:
    """Rates, and what they are the rates of.

    Attributes:
        workload: What was trained.
        device: On what.
        rates: How fast.
        counted: `counted_by` of the data.
        samples: How many samples the splits had, by name.
        from_run: Whether a finished run says so, or else `benchmark`.
    """

    workload: Workload
    device: Device
    rates: Rates
    counted: str
    samples: Mapping[str, int]
    from_run: bool


@dataclass(frozen=True)
class Found:
    """The rates for a training, and where they come from, for a person to read."""

    rates: Rates
    source: str


def rates_for(known: Sequence[Measured], workload: Workload, device: Device) -> Found | None:
    """Return the rates of what costs as much on such a device.

    Finished runs count before `benchmark`, those of the same data and loss before others, and of
    several the median.

    Args:
        known: What has been measured.
        workload: What will be trained.
        device: On what.

    Returns:
        None if nothing of the kind was measured.
    """
    fitting = [
        one
        for one in known
        if one.workload.costs_as_much_as(workload) and one.device.is_like(device)
    ]
    if not fitting:
        return None
    best = min(_distance(one, workload, device) for one in fitting)
    chosen = [one for one in fitting if _distance(one, workload, device) == best]
    return Found(_median([one.rates for one in chosen]), _source(chosen, workload))


def _distance(one: Measured, workload: Workload, device: Device) -> tuple[bool, ...]:
    """How much else something measured is than what is asked for; less is better."""
    other_data = one.workload.data != workload.data
    other_loss = one.workload.loss != workload.loss
    unknown = one.rates.evaluation is None, one.device.threads != device.threads
    return (*unknown, not one.from_run, other_data, other_loss, one.rates.figures_s is None)


def _median(rates: Sequence[Rates]) -> Rates:
    def middle(values: Iterable[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return median(known) if known else None

    return Rates(
        train=median(one.train for one in rates),
        evaluation=middle(one.evaluation for one in rates),
        start_s=median(one.start_s for one in rates),
        results_s=median(one.results_s for one in rates),
        figures_s=middle(one.figures_s for one in rates),
    )


def _source(chosen: Sequence[Measured], workload: Workload) -> str:
    first = chosen[0]
    text = (
        f"{len(chosen)} finished run{'s' if len(chosen) > 1 else ''}"
        if first.from_run
        else "benchmark"
    )
    data = sorted({one.workload.data for one in chosen} - {workload.data})
    losses = sorted({one.workload.loss for one in chosen} - {workload.loss})
    others = [f"of data={','.join(data)}"] * bool(data) + [f"of loss={','.join(losses)}"] * bool(
        losses
    )
    without = first.rates.evaluation is None
    missing = ", which do not tell how long their start and their scores took" if without else ""
    return " ".join([text, *others]) + missing
