"""Which arguments and callbacks of Lightning work here; docs/lightning.md shows these tables.

A setting that would be ignored, or would make a result something else than the config says, is
refused before anything is built. A test runs every setting that is listed as working, and finds the
ones that a new version of Lightning adds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from lightning.pytorch.callbacks import Callback

from cage_lightning.errors import ConfigError, check_choice


class Setting(NamedTuple):
    """What becomes of an argument or a callback.

    Attributes:
        works: Whether it can be set.
        note: What to know of it, or why it is refused.
        values: The values that work, where not all do.
    """

    works: bool
    note: str
    values: tuple[str, ...] = ()


_DDP = "lightning.pytorch.strategies.DDPStrategy"


def _works(note: str = "", *values: str) -> Setting:
    return Setting(True, note, values)


def _refused(reason: str) -> Setting:
    return Setting(False, reason)


ARGUMENTS = {
    "accelerator": _works(
        "`mps` has no float64, which the metrics need", "auto", "cpu", "gpu", "cuda"
    ),
    "strategy": _works(
        f"also a node `_target_: {_DDP}`; sharded weights are in no checkpoint of ours, and of "
        "spawned processes no result comes back",
        "auto",
        "ddp",
        "ddp_find_unused_parameters_false",
        "ddp_find_unused_parameters_true",
        "single_device",
    ),
    "devices": _works(),
    "num_nodes": _works(),
    "precision": _works(
        "`auto`: bf16-mixed on a GPU that has it, 16-mixed on an older one, else 32-true; "
        "16-mixed only on a GPU; bf16-true rounds labels and small steps of the weights as well",
        "auto",
        "32-true",
        "32",
        "bf16-mixed",
        "bf16",
        "16-mixed",
        "16",
        "bf16-true",
        "64-true",
        "64",
    ),
    "logger": _refused("choose logger=csv, wandb or tensorboard"),
    "callbacks": _refused("add callbacks by name: +callbacks.NAME._target_=..."),
    "fast_dev_run": _works("also a number of batches; nothing is kept"),
    "max_epochs": _works("at least 1: the schedule needs an end"),
    "min_epochs": _works("how long no callback may end the training"),
    "max_steps": _works(
        "the end of the schedule as well; what follows the last validation is lost"
    ),
    "min_steps": _works("how long no callback may end the training"),
    "max_time": _works(
        "DD:HH:MM:SS over all starts of the run, which ends with a validation then; the schedule "
        "is still that of max_epochs"
    ),
    "limit_train_batches": _works(),
    "limit_val_batches": _works("not 0: a validation chooses the epoch"),
    "limit_test_batches": _works("not 0; the log says on how many samples the scores are"),
    "limit_predict_batches": _refused("nothing calls Trainer.predict"),
    "overfit_batches": _works("the same batches of the training split in every epoch"),
    "val_check_interval": _works("a number; a time would make the validations a matter of speed"),
    "check_val_every_n_epoch": _works(),
    "num_sanity_val_steps": _works(),
    "log_every_n_steps": _works(),
    "enable_checkpointing": _refused("callbacks.best and callbacks.last are the run's checkpoints"),
    "enable_progress_bar": _works(),
    "enable_model_summary": _works("false by default"),
    "accumulate_grad_batches": _works("a number"),
    "gradient_clip_val": _works(),
    "gradient_clip_algorithm": _works("with gradient_clip_val", "norm", "value"),
    "deterministic": _works(),
    "benchmark": _works(),
    "inference_mode": _works(),
    "use_distributed_sampler": _refused("the samplers of the data share out every batch exactly"),
    "profiler": _works("the summary is in the log"),
    "detect_anomaly": _works(),
    "barebones": _refused("it would leave nothing; trainer.fast_dev_run=true tries a run out"),
    "plugins": _refused("the run brings its own, which write checkpoints atomically"),
    "sync_batchnorm": _works("on GPUs: torch has none for the CPU; untested here, for want of two"),
    "reload_dataloaders_every_n_epochs": _works("changes nothing: the data are read from the disk"),
    "default_root_dir": _refused("the run folder is made of runs, group and tag"),
    "enable_autolog_hparams": _refused("the whole config is logged, once"),
    "model_registry": _refused("logger.wandb.log_model=true uploads the best checkpoint"),
}

CALLBACKS = {
    "BackboneFinetuning": _refused("the schedule is that of the parameters at the start"),
    "BaseFinetuning": _refused("the schedule is that of the parameters at the start"),
    "BasePredictionWriter": _refused("nothing calls Trainer.predict; see predictions.parquet"),
    "BatchSizeFinder": _refused("the batch size is data.batch_size, part of the run's identity"),
    "Callback": _works("your own"),
    "Checkpoint": _works("your own"),
    "DeviceStatsMonitor": _works("on a CPU it needs the package psutil"),
    "EarlyStopping": _works("callbacks=early_stopping; it looks after every validation"),
    "EMAWeightAveraging": _works(
        "the averaged weights are validated, kept in best.ckpt and tested"
    ),
    "GradientAccumulationScheduler": _refused("the schedule needs the number of steps"),
    "LambdaCallback": _works("functions as nodes with `_partial_: true`"),
    "LearningRateFinder": _refused("the learning rate is optimizer.lr, part of the run's identity"),
    "LearningRateMonitor": _works("on by default"),
    "ModelCheckpoint": _works(
        "further ones beside callbacks.best, which is the run's own; a run that is taken up again "
        "at the end of an epoch may write that epoch's file twice"
    ),
    "ModelPruning": _refused("a resumed run would go on without its masks"),
    "ModelSummary": _works("trainer.enable_model_summary=true is a nicer one"),
    "OnExceptionCheckpoint": _refused("callbacks.last keeps the latest state that can be resumed"),
    "ProgressBar": _works("your own, as callbacks.progress"),
    "RichModelSummary": _works(),
    "RichProgressBar": _works("as callbacks.progress"),
    "SpikeDetection": _refused(
        "it cannot be resumed; a loss that is not finite ends the run anyway"
    ),
    "StochasticWeightAveraging": _refused(
        "its average comes after the last validation, which chooses; EMAWeightAveraging works"
    ),
    "ThroughputMonitor": _refused("the log says how many images a second there are"),
    "Timer": _refused("the run has one; trainer.max_time sets its limit"),
    "TQDMProgressBar": _works("as callbacks.progress"),
    "WeightAveraging": _works("as EMAWeightAveraging"),
}


# Arguments that say how to train: `evaluate` does not, and would take them without effect.
OF_TRAINING = frozenset(
    {
        *("max_epochs", "min_epochs", "max_steps", "min_steps", "max_time", "overfit_batches"),
        *("limit_train_batches", "limit_val_batches", "val_check_interval"),
        *("check_val_every_n_epoch", "num_sanity_val_steps", "accumulate_grad_batches"),
        *("gradient_clip_val", "gradient_clip_algorithm"),
    }
)


def check_trainer(settings: Mapping[str, Any]) -> None:
    """Refuse arguments of the trainer that would not do here what they say.

    Args:
        settings: The node of the config as plain containers; what is null is not set.

    Raises:
        ConfigError: Names the argument and why.
    """
    for name, value in settings.items():
        if name == "_target_" or value is None:
            continue
        if name not in ARGUMENTS:
            raise ConfigError(f"trainer.{name}: the Trainer of Lightning has no such argument")
        setting = ARGUMENTS[name]
        if not setting.works:
            raise ConfigError(f"trainer.{name} is refused: {setting.note}")
        is_ddp = name == "strategy" and isinstance(value, dict) and value.get("_target_") == _DDP
        if setting.values and not is_ddp:
            check_choice(f"trainer.{name}", str(value), setting.values)
    if not isinstance(settings.get("fast_dev_run", False), int):
        raise ConfigError(f"trainer.fast_dev_run={settings['fast_dev_run']}: true or a number")
    on_cpu = settings.get("accelerator") == "cpu"
    if on_cpu and str(settings.get("precision")) in ("16-mixed", "16"):
        raise ConfigError("trainer.precision=16-mixed needs a GPU; on a CPU choose bf16-mixed")
    if on_cpu and settings.get("sync_batchnorm"):
        raise ConfigError("trainer.sync_batchnorm=true needs GPUs: torch has none for the CPU")
    if settings.get("gradient_clip_algorithm") and settings.get("gradient_clip_val") is None:
        raise ConfigError("trainer.gradient_clip_algorithm does nothing without gradient_clip_val")
    if isinstance(settings.get("val_check_interval"), str | dict):
        raise ConfigError(
            f"trainer.val_check_interval={settings['val_check_interval']} is no number: "
            "validations by the clock would choose another epoch on another machine"
        )


def check_callbacks(callbacks: Mapping[str, Callback]) -> None:
    """Refuse callbacks of Lightning that would not do here what they say, and their subclasses.

    Args:
        callbacks: By their name in the config.

    Raises:
        ConfigError: Names the callback and why.
    """
    for name, callback in callbacks.items():
        known = next(c.__name__ for c in type(callback).__mro__ if c.__name__ in CALLBACKS)
        if not CALLBACKS[known].works:
            raise ConfigError(f"callbacks.{name}: {known} is refused: {CALLBACKS[known].note}")
