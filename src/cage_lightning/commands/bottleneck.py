"""What holds a training up, by the rates of its parts."""

from __future__ import annotations

from dataclasses import dataclass

# Of the rate of the network alone: from there on nothing else holds a training up.
_NEARLY = 0.9

_LESS = (
    "a shorter list of augment.steps or smaller pictures (data.image_size) would help, the packed "
    "store not."
)


@dataclass(frozen=True)
class Parts:
    """How fast the parts of a training are, each in pictures per second.

    Attributes:
        loader: Reading and decoding, by the processes of the loader.
        augmentation: The augmentation on the device, also where the loader augments.
        step: A step on a batch that is on the device and augmented already.
        whole: The training as it is.
        evaluation: A test.
    """

    loader: float
    augmentation: float
    step: float
    whole: float
    evaluation: float


def verdict_of(parts: Parts, device: str, workers: int, cpus: int, compiled: bool) -> str:
    """Say in a sentence what holds a training up, and what to change.

    Args:
        parts: What was measured.
        device: ``cpu`` or ``cuda``.
        workers: Processes of the loader.
        cpus: How many CPUs there are.
        compiled: Whether the steps were.
    """
    # Without processes of its own the loader reads between the steps.
    reading = 0.0 if workers else 1 / parts.loader
    # On a CPU they augment as well, see `ExpressionData.augmented_by_workers`.
    augmenting = 0.0 if workers and device == "cpu" else 1 / parts.augmentation
    computing = augmenting + 1 / parts.step
    took = reading + computing
    if reading / took > 1 / 3:
        free = ", if a CPU is free" if device == "cpu" else ""
        return (
            f"The loader binds: with data.num_workers=0 it takes {reading / took:.0%} of the time, "
            f"between the steps; data.num_workers=1 or more read meanwhile{free}."
        )
    if workers == 0 or parts.whole * took >= _NEARLY:
        share = augmenting / took
        if share > 0.5:
            return f"The augmentation binds: it takes {share:.0%} of the time; {_LESS}"
        switches = "" if compiled else "compile=default, "
        switches += "trainer.precision=bf16-mixed or a larger batch"
        more = "a GPU" if device == "cpu" else switches
        return (
            f"The network binds: its steps take {1 / parts.step / took:.0%} of the time; {more} or "
            "smaller pictures would help, the loader not."
        )
    if parts.loader < 1 / computing:
        if not augmenting and parts.augmentation < 2 * parts.loader:
            return f"The augmentation binds, in the processes of the loader; {_LESS}"
        if workers < cpus and device != "cpu":
            advice = f"raise data.num_workers={workers}, of {cpus} CPUs"
        else:
            advice = "pack the pictures with `python -m cage_lightning.prepare ... reencode=true`"
        return f"The loader binds: it gives less than the device computes; {advice}."
    if device == "cpu":
        return (
            "Loader and network share the CPU and hold each other up: lower data.num_workers, or "
            f"OMP_NUM_THREADS, until both fit into {cpus} CPUs."
        )
    return (
        "Neither the loader nor the device alone holds the training up, but what lies between "
        "them: a larger data.batch_size spreads the cost of a step over more pictures."
    )
