"""Lightning callbacks: exact resume, leaving in time, and what a person sees while it trains."""

from cage_lightning.callbacks.own_state import OwnState
from cage_lightning.callbacks.preemption import Preemption
from cage_lightning.callbacks.progress import ProgressLog, progress_bar
from cage_lightning.callbacks.resume import AtomicCheckpointIO, LastCheckpoint, StepSeed

__all__ = [
    "AtomicCheckpointIO",
    "LastCheckpoint",
    "OwnState",
    "Preemption",
    "ProgressLog",
    "StepSeed",
    "progress_bar",
]
