"""Checks of the checkpoint that a run resumes from: its paths, callback states and data."""

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

# What Lightning or torch raise when the content of a checkpoint is not what they expect.
_OF_THE_CONTENT = (AttributeError, IndexError, KeyError, TypeError, ValueError)


class OwnState(Callback):
    """Make a run resume with its own files and on the same data, wherever its folder is by now.

    Lightning saves the paths of the other checkpoints in each checkpoint, trusts them when it
    resumes, and deletes and uploads the files under them. Here a checkpoint is saved without paths,
    and only the scores are taken from one that is loaded: the files are those of the run's own
    folder. The fingerprints of the splits are saved as well, and compared before training.
    """

    def __init__(self) -> None:
        self._data: dict[str, dict[str, Any]] = {}
        self._accepted = self._trains = self._stepped = False

    @contextmanager
    def resuming(self, file: Path | None) -> Iterator[None]:
        """Translate errors that the content of a checkpoint causes in Lightning or torch.

        Args:
            file: The checkpoint that the training in this block resumes from, or None.

        Raises:
            CheckpointError: The content is not a state of this run; names the file.
        """
        try:
            yield
        except Exception as error:
            # After the start of training, a RuntimeError comes from a device or another process.
            misfit = not self._trains and type(error) is RuntimeError
            if file is None or self._stepped or not (misfit or isinstance(error, _OF_THE_CONTENT)):
                raise
            cause = f"{type(error).__name__}: {first_line(error)}"
            raise _unusable(
                file, f"holds no state that this run can resume from ({cause})"
            ) from error

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Remove paths from the states of ModelCheckpoint, and add the facts about the data."""
        states = checkpoint["callbacks"]
        for keeper in _model_checkpoints(trainer):
            states[keeper.state_key] = _without_paths(keeper, states[keeper.state_key])
        checkpoint["data"] = self._facts(trainer)

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Check the states and insert this run's own paths, before the callbacks load them.

        Raises:
            CheckpointError: A state is not one of this run, or a file that it names is missing.
            DataError: The checkpoint was trained on other data.
            ValueError: A state has an unexpected type; `resuming` translates it.
        """
        states, file = checkpoint["callbacks"], Path(str(trainer.ckpt_path))
        if trainer.state.fn != TrainerFn.FITTING:  # a test needs only the weights
            for keeper in _model_checkpoints(trainer):
                states.pop(keeper.state_key, None)
            return
        _check_data(checkpoint.get("data"), self._facts(trainer), file)
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, ModelCheckpoint):
                state = _checked(states.get(callback.state_key), callback, file)
                states[callback.state_key] = _with_paths(callback, state, file)
            elif callback.state_key in states:
                _compare(callback.state_dict(), states[callback.state_key], callback.state_key)
        own, given = trainer.fit_loop.state_dict(), checkpoint["loops"]["fit_loop"]
        _compare(own, given, "fit_loop", counts=True)
        self._accepted = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check that `on_load_checkpoint` has seen the states of the checkpoint.

        Raises:
            ValueError: The checkpoint has no states of callbacks, so that Lightning called nothing.
        """
        if trainer.ckpt_path is not None and not self._accepted:
            raise ValueError("there are no states of callbacks")
        self._trains = True

    def on_train_batch_end(self, *_: Any) -> None:
        """Remember that a step has succeeded: later errors are not due to the checkpoint."""
        self._stepped = True

    def _facts(self, trainer: Trainer) -> dict[str, dict[str, Any]]:
        """Return the number of samples and the fingerprint of each split."""
        if not self._data:
            splits: dict[str, Annotations] = trainer.datamodule.splits  # type: ignore[attr-defined]
            self._data = {
                name: {"samples": len(splits[name]), "fingerprint": splits[name].fingerprint()}
                for name in ("train", "val", "test")
            }
        return self._data


def _check_data(there: Any, here: dict[str, dict[str, Any]], file: Path) -> None:
    if there is None:
        log.info("%s does not name the data it was trained on; they are not compared", file)
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


def _model_checkpoints(trainer: Trainer) -> list[ModelCheckpoint]:
    return [c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint)]


def _without_paths(keeper: ModelCheckpoint, state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of a ModelCheckpoint with its files by their names in its folder."""

    def name(path: str) -> str:
        return os.path.relpath(path, keeper.dirpath) if path else ""

    paths = ("best_model_path", "kth_best_model_path", "last_model_path")
    return (
        state
        | {key: name(state[key]) for key in paths}
        | {"dirpath": "", "best_k_models": {name(p): s for p, s in state["best_k_models"].items()}}
    )


def _checked(state: Any, keeper: ModelCheckpoint, file: Path) -> dict[str, Any]:
    """Return the state of a ModelCheckpoint, after a check of its types.

    Raises:
        CheckpointError: It is missing, or not of the types that Lightning saves.
    """
    if not isinstance(state, dict):
        raise _unusable(file, f"does not contain the best epoch by {keeper.monitor}")
    scores, texts = state.get("best_k_models"), ("best_model_path", "last_model_path", "dirpath")
    if not isinstance(scores, dict) or not all(isinstance(state.get(k), str) for k in texts):
        raise _unusable(file, "holds no valid state of ModelCheckpoint")
    for name, score in scores.items():
        if not isinstance(name, str) or not isinstance(score, Tensor) or score.ndim:
            raise _unusable(file, "holds a state of ModelCheckpoint with a score that is no number")
    return state


def _with_paths(keeper: ModelCheckpoint, state: dict[str, Any], file: Path) -> dict[str, Any]:
    """Return a state with the same scores, for the files of these names in the keeper's folder."""

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
    """Map a path, which may be that of another machine, to the file in the keeper's own folder.

    Args:
        keeper: The callback that saved the file.
        path: The path in the checkpoint.
        folder_then: The folder of the keeper when the checkpoint was saved.
        file: The checkpoint.

    Returns:
        The path of the file, or an empty text if the keeper lacks it and has another folder than
        `file`, for example a new one for each start of a run.

    Raises:
        CheckpointError: The file belongs beside `file` and is missing, or the path leads elsewhere.
    """
    folder = Path(str(keeper.dirpath))
    # Checkpoints of earlier versions contain absolute paths.
    name = os.path.relpath(path, folder_then) if path.startswith("/") else os.path.normpath(path)
    place = folder / name
    if name.startswith(("/", "..")) or place.suffix != keeper.FILE_EXTENSION:
        raise _unusable(file, "names a checkpoint outside its folder")
    if place.is_file() and place.resolve() == folder.resolve() / name:
        return str(place)
    if folder.resolve() != file.parent.resolve():
        return ""
    raise CheckpointError(
        f"{file} belongs together with {place}, which is not there: copy the whole run folder, or "
        f"delete {file} to start the run again"
    )


def _unusable(file: Path, problem: str) -> CheckpointError:
    return CheckpointError(f"{file} {problem}; delete it to start the run again")


def _compare(own: Any, given: Any, where: str, counts: bool = False) -> None:
    """Compare the types in a state from a file with those of this run's own state.

    Args:
        own: The state of the same object before the file is loaded.
        given: The state from the file.
        where: The name of the state, for the message.
        counts: Whether all numbers are counts, that is integers of 0 or more.

    Raises:
        ValueError: A value is of another type, or a count is negative.
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
