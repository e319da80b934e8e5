"""Lightning callbacks: exact resume, stopping on a signal, and progress for a person to read."""

from cage_lightning.callbacks.compilation import CompiledSteps
from cage_lightning.callbacks.own_state import OwnState
from cage_lightning.callbacks.preemption import OwnSigterm, Preemption
from cage_lightning.callbacks.progress import ProgressLog, progress_bar
from cage_lightning.callbacks.resume import (
    AtomicCheckpointIO,
    LastCheckpoint,
    StepSeed,
    state_to_resume_from,
)
from cage_lightning.callbacks.step_timeout import StepTimeout
from cage_lightning.callbacks.timing import Timing
from cage_lightning.callbacks.unfreezing import GradualUnfreezing
from cage_lightning.callbacks.validations import Validations

__all__ = [
    "AtomicCheckpointIO",
    "CompiledSteps",
    "GradualUnfreezing",
    "LastCheckpoint",
    "OwnSigterm",
    "OwnState",
    "Preemption",
    "ProgressLog",
    "StepSeed",
    "StepTimeout",
    "Timing",
    "Validations",
    "progress_bar",
    "state_to_resume_from",
]
