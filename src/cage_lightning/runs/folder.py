"""The run folder: its name, its files, and when a run counts as finished.

    runs/<group>/<data>-<model>-<loss>-s<seed>[-<tag>]/
        config.yaml  checkpoints/{best,last}.ckpt  metrics.json  predictions.parquet
        train.log    csv/version_<start>/metrics.csv    [error.txt]  [pruned.json]

The same command finds the same folder again: it resumes an unfinished run and skips a finished one.
`metrics.json` is written last and atomically: a run is finished when it exists.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from omegaconf import DictConfig, OmegaConf

from cage_lightning.errors import ConfigError, DataError, first_line
from cage_lightning.runs.identity import TIMM, essence, read_config
from cage_lightning.runs.naming import name_of, run_name
from cage_lightning.system.atomic import Held, NoLocks, locked, write_atomic
from cage_lightning.system.paths import is_inside, local_path, refuse_leading_out, refuse_outside
from cage_lightning.system.storage import not_writable

Stage = Literal["new", "begun", "finished"]

# W&B keeps links to its own logs elsewhere in this folder, of which nothing is read.
FOREIGN = ("wandb",)
_LARGEST_METRICS = 1 << 25  # bytes; ours have a thousandth of it
_BLANKS = 64  # bytes at an end of a file, of which some may be blanks
_LONGEST_NAME = 255  # bytes, of all usual file systems


@dataclass(frozen=True)
class RunFolder:
    """The files of one run."""

    path: Path

    @classmethod
    def of(cls, config: DictConfig) -> RunFolder:
        """Return the folder that a training config names.

        Where an older version has begun this run under another name, that folder is returned.

        Raises:
            ConfigError: The group, the tag or a choice cannot be part of a folder's name, or
                `choices` lacks a name.
        """
        if not isinstance(config.choices, DictConfig):
            raise ConfigError(
                f"choices={config.choices}: it holds the names of what was chosen, which the files "
                "of conf/ give: leave it out"
            )
        folder = cls._named(config, config.choices.model)
        older = cls._named(config, TIMM)
        return older if folder.stage == "new" and older._holds(config) else folder

    @classmethod
    def _named(cls, config: DictConfig, model: str | None) -> RunFolder:
        data, loss, tag = config.choices.data, config.choices.loss, config.tag
        if data is None or model is None or loss is None:
            raise ConfigError(
                "choices.data, choices.model and choices.loss name the run folder, and this config "
                "lacks at least one of them: give all three"
            )
        for name in (data, name_of(model), loss, *([] if tag is None else [tag]), config.group):
            if re.search(r"[/\\\s]", str(name)) or str(name) in ("", ".", ".."):
                raise ConfigError(
                    f"'{name}' cannot be part of a folder's name; choose another group or tag"
                )
        name = run_name(data, model, loss, config.seed, tag)
        for part in (name, str(config.group)):
            if len(os.fsencode(part)) > _LONGEST_NAME:
                raise ConfigError(
                    f"{part[:40]}... has more than {_LONGEST_NAME} bytes, too many for the name "
                    "of a folder: choose a shorter group or tag"
                )
        return cls(local_path("runs", config.runs) / config.group / name)

    def _holds(self, config: DictConfig) -> bool:
        """Whether this folder holds a run of this config that has begun."""
        if self.stage == "new" or not self.config_file.is_file():
            return False
        settings = config.copy()
        settings.run_dir = str(self.path)
        return not self._differing(settings)

    @property
    def config_file(self) -> Path:
        """The resolved config."""
        return self.path / "config.yaml"

    @property
    def metrics_file(self) -> Path:
        """The results; the file exists only when the run is finished."""
        return self.path / "metrics.json"

    @property
    def log_file(self) -> Path:
        """The log of the command."""
        return self.path / "train.log"

    @property
    def error_file(self) -> Path:
        """The error that ended the last attempt; each new attempt deletes it."""
        return self.path / "error.txt"

    @property
    def pruned_file(self) -> Path:
        """How a search ended the run early; each new attempt deletes it."""
        return self.path / "pruned.json"

    @property
    def best(self) -> Path:
        """The checkpoint of the best epoch."""
        return self.path / "checkpoints" / "best.ckpt"

    @property
    def last(self) -> Path:
        """The latest state of the training, from which it resumes."""
        return self.path / "checkpoints" / "last.ckpt"

    @property
    def lock_file(self) -> Path:
        """The lock that the training process holds."""
        return self.path / ".lock"

    @property
    def stage(self) -> Stage:
        """How far the run has come; it has begun when there is a checkpoint to resume from."""
        if self.finished:
            return "finished"
        return "begun" if self.last.is_file() else "new"

    @property
    def finished(self) -> bool:
        """Whether the run has results of its own.

        A link to those of another run does not count, nor a file with something else in it.
        """
        return is_inside(self.path, self.metrics_file) and _is_mapping(self.metrics_file)

    @property
    def ended(self) -> bool:
        """Whether the run has results, or was ended early by a search."""
        return self.finished or is_inside(self.path, self.pruned_file)

    def read_metrics(self) -> dict[str, Any]:
        """The results of a finished run.

        Raises:
            DataError: They cannot be read.
        """
        try:
            if self.metrics_file.stat().st_size > _LARGEST_METRICS:
                raise ValueError(f"it has more than {_LARGEST_METRICS:,} bytes")
            metrics = json.loads(self.metrics_file.read_text(encoding="utf-8"))
            if not isinstance(metrics, dict):
                raise ValueError("it holds no scores by name")
        except (OSError, ValueError, RecursionError) as error:
            raise DataError(
                f"{self.metrics_file} is unreadable: {first_line(error)}; delete it, and the "
                "command that made it makes it again"
            ) from error
        return metrics

    def claim(self, config: DictConfig) -> None:
        """Write the config into the folder, or check it against that of the run in the folder.

        Raises:
            ConfigError: The folder holds a run with another config; names the keys that differ.
            DataError: config.yaml is a link that leads out of the folder, or is unreadable.
        """
        refuse_outside(self.path, self.config_file)
        # An attempt that failed before it trained anything does not reserve the folder.
        if not self.last.is_file() and not self.finished:
            write_atomic(self.config_file, OmegaConf.to_yaml(config, resolve=True))
            return
        differing = self._differing(config)
        if differing:
            more = f" (and {len(differing) - 5} more)" if len(differing) > 5 else ""
            raise ConfigError(
                f"{self.path} holds a run with another config: {'; '.join(differing[:5])}{more}"
                " - give this one a name of its own with tag=NAME or group=NAME"
            )

    def _differing(self, config: DictConfig) -> list[str]:
        """Describe the settings by which this config computes something else than the run here."""
        ours = essence(OmegaConf.to_container(config, resolve=True))
        theirs = essence(read_config(self.config_file))
        return [
            f"{key} is {ours.get(key, 'absent')!r} here and {theirs.get(key, 'absent')!r} there"
            for key in sorted({*ours, *theirs})
            if ours.get(key, "absent") != theirs.get(key, "absent")
        ]

    def sweep_up(self) -> None:
        """Delete what an earlier attempt has said of its end, and the temporary files of one."""
        self.error_file.unlink(missing_ok=True)
        self.pruned_file.unlink(missing_ok=True)
        for pattern in (".part-*", ".decision-*"):
            for left in self.path.rglob(pattern):
                if not left.is_dir():
                    left.unlink(missing_ok=True)

    @contextmanager
    def locked(self, wait: bool = False) -> Iterator[None]:
        """Lock the folder, so that two processes never train the same run at once.

        Args:
            wait: Whether to wait for another process that holds the lock.

        Raises:
            ConfigError: Another process holds the lock, and `wait` is false; or the folder cannot
                be locked, because nothing can be written there or its file system has no locks.
            DataError: A link in the folder leads out of it, or something in it is neither a file
                nor a folder.
        """
        with ExitStack() as held:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                refuse_leading_out(self.path, FOREIGN)
                held.enter_context(self._lock(wait))
            except OSError as error:
                raise _not_locked(self.path, error) from error
            yield

    @contextmanager
    def _lock(self, wait: bool) -> Iterator[None]:
        with ExitStack() as held:
            try:
                held.enter_context(locked(self.lock_file, wait=False))
            except Held:
                if not wait:
                    raise
                print(f"waiting for another process that holds {self.path}", flush=True)
                held.enter_context(locked(self.lock_file))
            yield


def _is_mapping(file: Path) -> bool:
    """Whether a file begins and ends as a mapping in JSON, and so was not cut."""
    try:
        with file.open("rb") as opened:
            start = opened.read(_BLANKS)
            opened.seek(max(0, os.fstat(opened.fileno()).st_size - _BLANKS))
            end = opened.read()
    except OSError:
        return False
    return start.lstrip().startswith(b"{") and end.rstrip().endswith(b"}")


def _not_locked(folder: Path, error: OSError) -> ConfigError:
    if isinstance(error, Held):
        return ConfigError(
            f"{folder} is being trained by another process; wait for it to end, or give this run a "
            "name of its own with tag=NAME"
        )
    if isinstance(error, NoLocks):
        return ConfigError(
            f"the file system of {folder} has no locks ({error.strerror}), so that nothing would "
            "keep two processes from training the same run: choose another one with runs=DIR, or "
            "have it mounted with locks"
        )
    return not_writable(folder, error, "runs=DIR")


def run_of(start: Path) -> RunFolder | None:
    """Return the run that `init_from` names by its folder or by a checkpoint in it.

    Args:
        start: The path that `init_from` gives.

    Returns:
        The run, or None if the path is that of another file.
    """
    if start.parent.name == "checkpoints":
        return RunFolder(start.parents[1])
    is_file = start.is_file() or start.suffix in (".ckpt", ".pt", ".pth", ".safetensors")
    return None if is_file else RunFolder(start)
