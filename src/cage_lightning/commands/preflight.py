"""Checks, before a training begins, that it can come to a result at all.

A run is reported from its best epoch, so there must be an epoch, a validation in it, and the number
that chooses.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from omegaconf import DictConfig, OmegaConf

from cage_lightning.errors import ConfigError
from cage_lightning.modules import ExpressionModule

# Scores; of any other one a larger value is better.
_SMALLER_IS_BETTER = ("val/mae_", "val/mse_", "val/rmse_", "val/n")

# Up to this learning rate a training is taken for a fine-tuning; that of the protocols is 5e-5.
_FINE_TUNING_RATE = 1e-4

_NONE_LEFT = {
    "limit_train_batches": "nothing would be trained",
    "limit_val_batches": "the best epoch is chosen by a validation",
    "limit_test_batches": "there would be no result",
}


def check_limits(settings: DictConfig) -> None:
    """Refuse arguments of the trainer that leave no epoch, no validation or no test.

    Args:
        settings: The node `trainer` of the config.

    Raises:
        ConfigError: Names the argument.
    """
    for name, consequence in _NONE_LEFT.items():
        if settings.get(name) == 0:
            raise ConfigError(f"trainer.{name}={settings[name]} is refused: {consequence}")
    steps = settings.get("max_steps", -1)
    for name, value in (("max_epochs", settings.max_epochs), ("max_steps", steps)):
        unlimited = name == "max_steps" and value == -1
        if not unlimited and (not isinstance(value, int) or value < 1):
            raise ConfigError(f"trainer.{name}={value} is refused: a training has 1 or more")


def check_pictures(figures: bool, pictures: bool) -> None:
    """Refuse to show pictures in figures that are not drawn."""
    if pictures and not figures:
        raise ConfigError("pictures=true shows pictures in the figures: set figures=true as well")


def check_checkpoints(config: DictConfig) -> None:
    """Refuse settings under which the run folder would lack best.ckpt or last.ckpt.

    Raises:
        ConfigError: Names the setting.
    """
    callbacks: Any = OmegaConf.to_container(config.callbacks, resolve=True)
    if not callbacks or callbacks.get("best") is None:
        raise ConfigError("callbacks.best=null is refused: a run is reported from its best epoch")
    place = f"{config.run_dir}/checkpoints"
    fixed: dict[str, dict[str, Any]] = {
        "best": {
            "dirpath": place,
            "filename": "best",
            "monitor": config.monitor.metric,
            "mode": config.monitor.mode,
            "save_top_k": 1,
            "every_n_epochs": 1,
            "every_n_train_steps": 0,
            "train_time_interval": None,
            "save_on_train_epoch_end": False,
            "enable_version_counter": False,
        },
        "last": {"path": f"{place}/last.ckpt"},
    }
    for name, expected in fixed.items():
        for key, value in (callbacks.get(name) or {}).items():
            unset = value is None and key.startswith("every_n")
            if key in expected and value != expected[key] and not unset:
                raise ConfigError(
                    f"callbacks.{name}.{key}={value} is refused: the run needs it to be "
                    f"{expected[key]}; monitor.metric and monitor.mode choose the best epoch, and "
                    "a ModelCheckpoint of your own goes beside it: +callbacks.NAME._target_=..."
                )


def check_monitors(
    config: DictConfig, callbacks: Iterable[Callback], module: ExpressionModule
) -> None:
    """Refuse to wait for a number that no validation gives, or to choose by the worst one.

    Args:
        config: Of the run.
        callbacks: Those of the run; some wait for a number.
        module: The model, which knows what a training step and a validation log.

    Raises:
        ConfigError: Names the numbers there are, or the mode that the number needs.
    """
    loss, scores = module.score_names()
    validated = sorted(f"val/{name}" for name in (*loss, *scores))
    names = sorted([*(f"train/{name}" for name in loss), *validated])
    if config.monitor.metric not in validated:
        raise ConfigError(
            f"monitor.metric={config.monitor.metric} is not among what a validation of this model "
            f"gives: {', '.join(validated)}"
        )
    if config.monitor.metric.removeprefix("val/") in scores:
        _check_direction(config.monitor.metric, config.monitor.mode)
    for callback in callbacks:
        monitor = getattr(callback, "monitor", None)
        if monitor is not None and monitor not in (*names, "epoch", "step"):
            raise ConfigError(
                f"{type(callback).__name__} monitors {monitor}, which is not among what this "
                f"training gives: {', '.join(names)}"
            )


def _check_direction(metric: str, mode: str) -> None:
    """Refuse the mode that would keep the epoch with the worst score."""
    needed = "min" if metric.startswith(_SMALLER_IS_BETTER) else "max"
    if mode in ("min", "max") and mode != needed:
        raise ConfigError(
            f"monitor.mode={mode} would keep the worst epoch by {metric}: set monitor.mode={needed}"
        )


def fine_tunes_nothing(config: DictConfig) -> str | None:
    """What to say where a network of random weights gets the values for one that knows ImageNet.

    Args:
        config: Of the run.

    Returns:
        The warning; None where the weights come from somewhere, or the values are others.
    """
    known = config.init_from or config.model.get("weights", "none") not in ("none", None)
    rate = config.optimizer.get("lr", _FINE_TUNING_RATE)
    if known or config.warmup > 0 or rate > _FINE_TUNING_RATE:
        return None
    return (
        f"{config.model.get('name')} starts from random weights (model.weights=none) with the "
        f"values for fine-tuning, optimizer.lr={rate:g} and warmup=0, which are too low and too "
        "abrupt for that: optimizer.lr=1e-3 warmup=0.1 is a start, and it takes more epochs"
    )


class Course(Callback):
    """End a run before it trains if it would end without a validation."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Compare the first validation with the end, both in steps.

        Raises:
            ConfigError: Says how many steps there are until each.
        """
        if stage != "fit":
            return
        whole = len(trainer.datamodule.train_dataloader())  # type: ignore[attr-defined]
        batches = min(whole, _share(whole, trainer.limit_train_batches))
        between = _share(batches, trainer.val_check_interval)
        every = trainer.check_val_every_n_epoch
        if every is not None and between > batches:
            raise ConfigError(
                f"trainer.val_check_interval={between} is more than the {batches} batches of an "
                "epoch; +trainer.check_val_every_n_epoch=null counts on over epochs"
            )
        assert trainer.max_epochs is not None, "`check_limits` has seen it"
        per_epoch = math.ceil(batches / trainer.accumulate_grad_batches)
        first = (every or 1) * per_epoch - per_epoch
        first += math.ceil(between / trainer.accumulate_grad_batches)
        last = trainer.max_epochs * per_epoch
        if 0 < trainer.max_steps < last:
            last = trainer.max_steps
        if first > last:
            raise ConfigError(
                f"the first validation would come after {first} steps, and the training ends after "
                f"{last}: raise trainer.max_epochs or trainer.max_steps, or lower "
                "trainer.check_val_every_n_epoch or trainer.val_check_interval"
            )


def _share(batches: int, part: int | float) -> int:
    """How many batches a setting of Lightning means: a number, or a share of what there is."""
    return part if isinstance(part, int) else max(1, int(batches * part))
