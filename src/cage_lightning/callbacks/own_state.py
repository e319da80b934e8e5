"""What a run takes from the checkpoint that it resumes from: scores, but no place; and its data."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from cage_lightning.errors import CheckpointError, DataError, first_line

if TYPE_CHECKING:
    from cage_lightning.data.annotations import Annotations

log = logging.getLogger(__name__)

_OF_THE_CONTENT = (AttributeError, IndexError, KeyError, TypeError, ValueError)


class OwnState(Callback):
    """Make a run resume as itself: with its own files, on the same data, wherever it lies.

    Lightning keeps in a checkpoint where the others lie, believes it, and deletes and uploads what
    it finds there. So a checkpoint is saved without places, and from one that is loaded nothing is
    taken but the scores: the files are those of the run's own folder. The fingerprints of the
    splits are saved as well, and compared before anything is trained.
    """

    def __init__(self) -> None:
        self._data: dict[str, dict[str, Any]] = {}
        self._accepted = self._trains = self._stepped = False

    @contextmanager
    def resuming(self, file: Path | None) -> Iterator[None]:
        """Name the file where Lightning or torch stumble over what a checkpoint holds.

        Args:
            file: What the training in this block resumes from, if from anything.

        Raises:
            CheckpointError: The state in it is not one of this run.
        """
        try:
            yield
        except Exception as error:
            # Once it trains, a RuntimeError is one of a device or of another process.
            misfit = not self._trains and type(error) is RuntimeError
            if file is None or self._stepped or not (misfit or isinstance(error, _OF_THE_CONTENT)):
                raise
            raise CheckpointError(
                f"{file} holds no state that this run can resume from ({type(error).__name__}: "
                f"{first_line(error)}); delete it to start the run again"
            ) from error

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Leave the places out, put the data in."""
        states = checkpoint["callbacks"]
        for keeper in _keepers(trainer):
            states[keeper.state_key] = _without_places(keeper, states[keeper.state_key])
        checkpoint["data"] = self._facts(trainer)

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Put this run's own places in, before Lightning hands the states to the callbacks.

        Raises:
            CheckpointError: A state is not one of this run, or a file that belongs to it is gone.
            DataError: It was trained on other data.
        """
        states, file = checkpoint["callbacks"], Path(str(trainer.ckpt_path))
        if trainer.state.fn != TrainerFn.FITTING:  # a test wants the weights of an epoch alone
            for keeper in _keepers(trainer):
                states.pop(keeper.state_key, None)
            return
        _check_data(checkpoint.get("data"), self._facts(trainer), file)
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, ModelCheckpoint):
                state = _checked(states.get(callback.state_key), callback, file)
                states[callback.state_key] = _with_places(callback, state, file)
            elif callback.state_key in states:
                _compare(callback.state_dict(), states[callback.state_key], callback.state_key)
        own, given = trainer.fit_loop.state_dict(), checkpoint["loops"]["fit_loop"]
        _compare(own, given, "fit_loop", counts=True)
        self._accepted = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Be sure that the states were seen.

        Raises:
            ValueError: There were none, so that Lightning asked no callback about them.
        """
        if trainer.ckpt_path is not None and not self._accepted:
            raise ValueError("there are no states of callbacks")
        self._trains = True

    def on_train_batch_end(self, *_: Any) -> None:
        """From here on an error is none of the checkpoint."""
        self._stepped = True

    def _facts(self, trainer: Trainer) -> dict[str, dict[str, Any]]:
        """Number of samples and fingerprint of each split."""
        if not self._data:
            splits: dict[str, Annotations] = trainer.datamodule.splits  # type: ignore[attr-defined]
            self._data = {
                name: {"samples": len(splits[name]), "fingerprint": splits[name].fingerprint()}
                for name in ("train", "val", "test")
            }
        return self._data


def _check_data(there: Any, here: dict[str, dict[str, Any]], file: Path) -> None:
    if there is None:
        log.info("%s does not say on which data it was trained; they are not compared", file)
        return
    if not isinstance(there, dict) or here.keys() != there.keys():
        raise ValueError(f"its data are not the splits {', '.join(here)}")
    _compare(here, there, "data", counts=True)
    differences = [
        f"the {split} split had {there[split]['samples']} samples and has {ours['samples']} now"
        if there[split]["samples"] != ours["samples"]
        else f"the {split} split has {ours['samples']} samples as before, but other labels or "
        "pictures"
        for split, ours in here.items()
        if there[split] != ours
    ]
    if differences:
        raise DataError(
            f"{file} was trained on other data: {'; '.join(differences)}. Put them back, "
            "wherever data.root is, or give this run a name of its own with tag=NAME"
        )


def _keepers(trainer: Trainer) -> list[ModelCheckpoint]:
    return [c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint)]


def _without_places(keeper: ModelCheckpoint, state: dict[str, Any]) -> dict[str, Any]:
    """The state of a ModelCheckpoint, its files by their names in its folder."""

    def name(path: str) -> str:
        return os.path.relpath(path, keeper.dirpath) if path else ""

    paths = ("best_model_path", "kth_best_model_path", "last_model_path")
    return (
        state
        | {key: name(state[key]) for key in paths}
        | {"dirpath": "", "best_k_models": {name(p): s for p, s in state["best_k_models"].items()}}
    )


def _checked(state: Any, keeper: ModelCheckpoint, file: Path) -> dict[str, Any]:
    """The state of a ModelCheckpoint as what Lightning saves, whatever is in the file."""
    if not isinstance(state, dict):
        raise CheckpointError(f"{file} does not know the best epoch by {keeper.monitor}")
    scores, texts = state.get("best_k_models"), ("best_model_path", "last_model_path", "dirpath")
    if not isinstance(scores, dict) or not all(isinstance(state.get(k), str) for k in texts):
        raise CheckpointError(f"{file} holds no sound state of ModelCheckpoint")
    for name, score in scores.items():
        if not isinstance(name, str) or not isinstance(score, Tensor) or score.ndim:
            raise CheckpointError(f"{file}: a score in the state of ModelCheckpoint is no number")
    return state


def _with_places(keeper: ModelCheckpoint, state: dict[str, Any], file: Path) -> dict[str, Any]:
    """The same scores, of the files of this name in the keeper's own folder."""

    def own(path: str) -> str:
        return _own_file(keeper, path, state["dirpath"], file) if path else ""

    kept = {own(path): score for path, score in state["best_k_models"].items()}
    kept.pop("", None)
    worst, best = (max, min) if keeper.mode == "min" else (min, max)
    best_path = best(kept, key=kept.__getitem__) if kept else own(state["best_model_path"])
    full = 0 < keeper.save_top_k <= len(kept)
    worst_path = worst(kept, key=kept.__getitem__) if full else ""
    return {
        "dirpath": keeper.dirpath,
        "best_k_models": kept,
        "best_model_path": best_path,
        "best_model_score": kept.get(best_path),
        "kth_best_model_path": worst_path,
        "kth_value": kept.get(worst_path, keeper.kth_value),
        "last_model_path": own(state["last_model_path"]) if keeper.save_last else "",
    }


def _own_file(keeper: ModelCheckpoint, path: str, folder_then: str, file: Path) -> str:
    """The file that a path, which may be of another machine, is in the keeper's own folder.

    Returns:
        The path; empty if the keeper has no such file and its folder is not that of `file`, but one
        that each start of a run has anew, say.

    Raises:
        CheckpointError: The file is missing beside `file`, or would lie elsewhere.
    """
    folder = Path(str(keeper.dirpath))
    # Checkpoints of earlier versions hold whole paths.
    name = os.path.relpath(path, folder_then) if path.startswith("/") else os.path.normpath(path)
    place = folder / name
    if name.startswith(("/", "..")) or place.suffix != keeper.FILE_EXTENSION:
        raise CheckpointError(f"{file} names a checkpoint outside its folder: refused")
    if place.is_file() and place.resolve() == folder.resolve() / name:
        return str(place)
    if folder.resolve() != file.parent.resolve():
        return ""
    raise CheckpointError(
        f"{file} belongs together with {place}, which is not there: copy the whole run folder, or "
        f"delete {file} to start the run again"
    )


def _compare(own: Any, given: Any, where: str, counts: bool = False) -> None:
    """Raise a ValueError where a state is of another kind than this run's own.

    Args:
        own: The state of the same object before it is loaded.
        given: What is to be loaded.
        where: What it is, for the message.
        counts: The numbers are counts.
    """
    if isinstance(own, dict):
        if not isinstance(given, dict):
            raise ValueError(f"{where} is no mapping")
        for key in own.keys() & given.keys():
            _compare(own[key], given[key], f"{where}.{key}", counts)
    elif type(own) in (int, float):
        if type(given) not in ((int,) if counts else (int, float)) or (counts and given < 0):
            raise ValueError(f"{where} is no {'count' if counts else 'number'}")
    elif own is not None and given is not None and type(own) is not type(given):
        raise ValueError(f"{where} is a {type(given).__name__}, not a {type(own).__name__}")
