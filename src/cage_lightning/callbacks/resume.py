"""Exact resume: an interrupted run ends with the same weights, bit for bit, as an undisturbed one.

No random state is saved. The order of an epoch, the augmentation of a sample and the dropout of a
step are functions of (seed, epoch, ...). The position in the training is Lightning's own progress,
which is in every checkpoint.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities.exceptions import SIGTERMException

from cage_lightning.errors import CheckpointError
from cage_lightning.system.archives import check_archive
from cage_lightning.system.atomic import replacing
from cage_lightning.system.keyed_random import derived_seed

log = logging.getLogger(__name__)

# Entries that Lightning uses unchecked before it calls any callback, with their types.
_KINDS = {"state_dict": dict, "callbacks": dict, "loops": dict, "pytorch-lightning_version": str}


class AtomicCheckpointIO(TorchCheckpointIO):
    """Save checkpoints atomically: a kill at any moment leaves the old file or the new one, whole.

    Lightning itself saves through $TMPDIR, which is not atomic across file systems.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Save a checkpoint to a file.

        Raises:
            OutputError: The disk is full, or the file may not be written.
        """
        with replacing(Path(path)) as part, part.open("wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:
                if isinstance(error.__context__, KeyboardInterrupt):  # torch raises its own then
                    raise error.__context__ from None
                raise

    def load_checkpoint(
        self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Load a checkpoint of plain containers and tensors; nothing else is unpickled.

        Raises:
            CheckpointError: The file is damaged, or not a checkpoint of a training.
        """
        try:
            return _state(Path(path), map_location)
        except ValueError as error:
            raise _unusable(Path(path), error) from error

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a file if it exists; Lightning itself would also delete whole folders.

        Raises:
            OSError: It is a folder, or cannot be deleted.
        """
        Path(path).unlink(missing_ok=True)


def state_to_resume_from(last: Path, best: Path) -> Path:
    """The checkpoint that a run goes on from: the latest state, or if damaged the one before.

    That is the state after the best epoch so far, which is as complete. What the run has trained
    since is trained again, to the same end.

    Args:
        last: The file of `LastCheckpoint`.
        best: That of the best epoch, which need not be there.

    Raises:
        CheckpointError: Neither can be read; names `last`.
    """
    try:
        _state(last, "cpu")
    except ValueError as damage:
        if not _is_whole_state(best):
            raise _unusable(last, damage) from damage
        log.warning(
            "%s %s: the run goes on from %s, the state after its best epoch", last, damage, best
        )
        return best
    return last


def _unusable(file: Path, damage: ValueError) -> CheckpointError:
    return CheckpointError(f"{file} {damage}; delete it to start the run again")


def _is_whole_state(file: Path) -> bool:
    try:
        return "optimizer_states" in _state(file, "cpu")
    except (OSError, ValueError):
        return False


def _state(file: Path, map_location: Any) -> dict[str, Any]:
    """The content of a checkpoint.

    Raises:
        ValueError: The file is damaged, or not a checkpoint of a training; says what it is.
    """
    try:
        check_archive(file)
        content: dict[str, Any] = torch.load(file, map_location=map_location, weights_only=True)
    except Exception as error:  # torch reports damaged files by many kinds of errors
        what = f"is damaged or no checkpoint of a run ({type(error).__name__})"
        raise ValueError(what) from error
    for key, kind in _KINDS.items():
        if not isinstance(content, dict) or not isinstance(content.get(key, kind()), kind):
            raise ValueError(f"is no checkpoint of a run (it has no valid {key!r})")
    return content


def resumable_here(trainer: Trainer, batch_idx: int) -> bool:
    """Whether a checkpoint at the end of this batch resumes exactly.

    It does not if a validation follows, which Lightning would skip after the resume, nor if
    gradients are accumulated, which are in no checkpoint.
    """
    accumulated = (batch_idx + 1) % trainer.accumulate_grad_batches
    return accumulated == 0 and not (trainer.is_last_batch or _validation_follows(trainer))


def _validation_follows(trainer: Trainer) -> bool:
    loop = trainer.fit_loop.epoch_loop
    over_epochs = trainer.check_val_every_n_epoch is None
    batch = (loop.total_batch_idx if over_epochs else loop.batch_idx) + 1
    assert isinstance(trainer.val_check_batch, int), "validations are counted in batches"
    return trainer.should_stop or batch % trainer.val_check_batch == 0


class LastCheckpoint(Checkpoint):
    """Save the latest state after every validation, at intervals inside an epoch, and on SIGTERM.

    Lightning's own `save_last` saves only when the best epoch changes.

    Args:
        path: The checkpoint file.
        every_n_steps: Optimisation steps between two saves inside an epoch.
    """

    def __init__(self, path: str, every_n_steps: int) -> None:
        self.path = path
        self.every_n_steps = every_n_steps
        self._saved_step = 0
        self._training = self._stopped = False

    def state_dict(self) -> dict[str, Any]:
        """Return whether a callback has asked to end the training; Lightning does not save that."""
        return {"stopped": self._stopped}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` has returned."""
        self._stopped = state["stopped"]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End the training at once if a callback had asked for its end before the resume."""
        trainer.should_stop = trainer.should_stop or self._stopped

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Allow saving on SIGTERM, since the state is restored now."""
        self._training = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forbid saving on SIGTERM, since the test loads the weights of another epoch."""
        self._training = False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save inside an epoch, `every_n_steps` or more after the last time."""
        late = trainer.global_step - self._saved_step >= self.every_n_steps
        if late and resumable_here(trainer, batch_idx):
            self._save(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save after a validation, when the best epoch is known."""
        if not trainer.sanity_checking:
            self._save(trainer)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Save on SIGTERM; `Preemption` raises the exception between two steps."""
        if isinstance(exception, SIGTERMException) and self._training:
            self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        self._saved_step = trainer.global_step
        self._stopped = trainer.should_stop
        if _finite(trainer.lightning_module):  # otherwise the loss of the next step ends the run
            trainer.save_checkpoint(self.path)


def _finite(module: LightningModule) -> bool:
    """Whether all weights are finite. Buffers are left out, since they differ between the ranks."""
    return bool(torch.stack([weight.isfinite().all() for weight in module.parameters()]).all())


class StepSeed(Callback):
    """Seed the dropout and the stochastic depth of each step by (seed, epoch, batch, rank).

    Args:
        seed: The seed of the run.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed torch's default generators on the CPU and on the devices that train."""
        seed = derived_seed(self.seed, trainer.current_epoch, batch_idx, trainer.global_rank)
        torch.default_generator.manual_seed(seed)
        # This prepares seeds for every kind of device, too, which takes longer than a small step.
        if pl_module.device.type != "cpu":
            torch.manual_seed(seed)
