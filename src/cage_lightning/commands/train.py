"""One training run, from its config to its results."""

from __future__ import annotations

import logging
import math
import os
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from omegaconf import DictConfig, open_dict

from cage_lightning.app import build
from cage_lightning.app.cli import in_sweep, multirun
from cage_lightning.app.signatures import taken_by
from cage_lightning.app.sweeps import automatic_tag, chosen_for_this_process
from cage_lightning.callbacks import (
    OwnState,
    Preemption,
    Timing,
    Validations,
    state_to_resume_from,
)
from cage_lightning.commands.preflight import (
    Course,
    check_checkpoints,
    check_limits,
    check_monitors,
    check_pictures,
    fine_tunes_nothing,
)
from cage_lightning.commands.result_loggers import ended_likewise, tell_agent
from cage_lightning.commands.trained import finish_run
from cage_lightning.data.module import ExpressionData
from cage_lightning.data.weighting import ClassWeights
from cage_lightning.errors import ConfigError, DivergedError, OutputError
from cage_lightning.modules import ExpressionModule
from cage_lightning.runs.folder import RunFolder, Stage
from cage_lightning.runs.log import first_process, start_logging
from cage_lightning.runs.objective import objectives
from cage_lightning.runs.pruning import mark_pruned, read_pruning
from cage_lightning.runs.slurm import one_decision, restarted
from cage_lightning.runs.waiting import wait_for_run
from cage_lightning.runs.wandb_agent import run_id
from cage_lightning.system.atomic import write_atomic
from cage_lightning.system.credentials import without_credentials
from cage_lightning.system.escaping import for_terminal
from cage_lightning.system.machine import process_age
from cage_lightning.system.paths import local_path
from cage_lightning.system.storage import check_writable, lost_loader, out_of_memory, room_for

log = logging.getLogger(__name__)


def train(config: DictConfig) -> dict[str, Any] | None:
    """Train the run that `config` describes, or resume it; a finished one is left alone.

    Returns:
        The content of metrics.json; None on all ranks but the first, of a run that a search ended
        early, and after `trainer.fast_dev_run`, which keeps nothing.

    Raises:
        CageError: What the user can put right.
    """
    # In a sweep in one process, what came before this run says nothing of it.
    before_s = 0.0 if multirun() else process_age()
    with open_dict(config):
        config.pop("dry", None)  # no setting of the run
    if config.tag is None:
        config.tag = automatic_tag(config, chosen_for_this_process())
    folder = RunFolder.of(config)
    config.run_dir = str(folder.path)
    build.check(config)
    _check_processes(config)
    objectives(config)  # refuses names that cannot be
    check_limits(config.trainer)
    check_pictures(config.figures, config.pictures)
    check_checkpoints(config)
    pruning = None if config.pruning is None else read_pruning(config.pruning)
    validations = Validations(config.monitor.metric, pruning)
    pl.seed_everything(config.seed, workers=True, verbose=False)
    if config.trainer.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # before CUDA starts
    if config.trainer.fast_dev_run:
        start_logging(None)
        trainer, module, data = _assemble(config, callbacks=[], logger=[])
        trainer.fit(module, datamodule=data)
        trainer.test(module, datamodule=data, verbose=False)
        log.info("fast_dev_run: it works; nothing was kept")
        return None

    first = first_process()
    preemption = Preemption()
    preemption.listen()
    try:
        with ExitStack() as held:

            def enter() -> Stage:
                if first and folder.finished:  # perhaps where nothing can be written
                    folder.claim(config)
                elif first:
                    check_writable(folder.path, "runs=DIR")
                    # A start before this one may still be saving, or go on on a node that is lost.
                    held.enter_context(folder.locked(wait=in_sweep() or restarted()))
                    folder.claim(config)
                    folder.sweep_up()
                return folder.stage

            stage = one_decision(folder.path, enter, first)
            start_logging(None if stage == "finished" else folder.log_file)
            if stage == "finished":
                log.info(
                    "%s is finished already; nothing to do (to train it again, delete it)",
                    folder.path,
                )
                metrics = folder.read_metrics()
                if run_id():
                    tell_agent(build.build_loggers(config), metrics)
                return metrics
            try:
                loggers = build.build_loggers(config)
                with ended_likewise(loggers), room_for(folder.path):
                    if config.init_from and stage == "new":
                        wait_for_run(local_path("init_from", config.init_from), config.init_wait_s)
                        log.info("the weights to start from are those of %s", config.init_from)
                    begun = stage == "begun"
                    last = state_to_resume_from(folder.last, folder.best) if begun else None
                    timing = Timing(before_s)
                    return _train_and_test(
                        config, folder, loggers, last, preemption, validations, timing
                    )
            except Exception as error:
                if first and not folder.finished:
                    with suppress(OutputError):  # the disk may be what failed
                        said = f"{str(error).strip() or repr(error)}\n"
                        write_atomic(folder.error_file, for_terminal(without_credentials(said)))
                raise
    except SIGTERMException:
        preemption.left()
        log.warning("stopped by SIGTERM; the same command resumes from %s", folder.last)
        sys.exit(143)  # Lightning would leave with 0, as if the run were finished


def _train_and_test(
    config: DictConfig,
    folder: RunFolder,
    loggers: list[Logger],
    last: Path | None,
    preemption: Preemption,
    validations: Validations,
    timing: Timing,
) -> dict[str, Any] | None:
    try:
        timer = build.build_timer(config)
        own = OwnState()
        given = build.build_callbacks(config)
        callbacks = [*given, validations, timer, preemption, own, Course(), timing]
        trainer, module, data = _assemble(config, callbacks=callbacks, logger=loggers)
        for logger in loggers:
            logger.log_hyperparams(module.config or {})
        if last:
            log.info("resuming from %s", last)
        with own.resuming(last):
            trainer.fit(module, datamodule=data, ckpt_path=last, weights_only=True)
        preemption.trained(trainer)
        seconds = timer.time_elapsed("train")
        if (left := timer.time_remaining("train")) is not None and left <= 0:
            log.info(
                "trainer.max_time is over: the training ends after %s steps", trainer.global_step
            )
        if (pruned := validations.pruned) is not None:
            if trainer.is_global_zero:
                mark_pruned(folder, pruned)
            log.info(
                "the search %s prunes its trial %s after validation %s; without pruning=FILE the "
                "same command trains the run to its end",
                *(pruned.pruning.search, pruned.pruning.trial, len(pruned.values)),
            )
            return None
        selection = _selection(config, trainer, data) | _values(validations)
        about: dict[str, Any] = {
            "seed": config.seed,
            "selection": selection,
            "wall_time_s": round(seconds, 1),
        }
        weights = _class_weights(config, data)
        about |= {"class_weights": weights.to_dict()} if weights else {}
        return finish_run(config, folder, loggers, trainer, module, data, about, timing)
    except SIGTERMException:
        raise
    except SystemExit:
        log.warning("interrupted; the same command resumes the run")
        sys.exit(130)
    except (MisconfigurationException, ModuleNotFoundError) as error:  # a callback wants something
        log.exception("%s failed", folder.path)
        raise ConfigError(str(error)) from error
    except Exception as error:
        if preemption.asked and lost_loader(error):  # the signal was sent to all processes
            raise SIGTERMException(143) from error
        log.exception("%s failed", folder.path)
        if (said := out_of_memory(error)) is not None:
            raise OutputError(
                f"data.batch_size={config.data.batch_size} needs more memory than the device has "
                f"({said}). Where it is free again, or with the batch shared out among more "
                "devices (trainer.devices=N), the same command goes on; less is needed by a "
                "smaller data.batch_size, with trainer.accumulate_grad_batches=N for steps as "
                "large, or model.image_size, under another tag=NAME"
            ) from error
        raise


def _assemble(
    config: DictConfig, **arguments: Any
) -> tuple[pl.Trainer, ExpressionModule, ExpressionData]:
    data = build.build_data(config)
    data.setup("fit")
    module = build.build_module(config, data)
    if weights := _class_weights(config, data):
        log.info("%s", weights)
    for warning in (weights and weights.warning(), fine_tunes_nothing(config)):
        if warning:
            log.warning("%s", warning)
    check_monitors(config, arguments["callbacks"], module)
    trainer = build.build_trainer(
        config,
        default_root_dir=config.run_dir,
        enable_checkpointing=bool(arguments["callbacks"]),
        **arguments | {"callbacks": [*arguments["callbacks"], *build.build_compilation(config)]},
    )
    return trainer, module, data


def _check_processes(config: DictConfig) -> None:
    """Refuse a sweep in one process over several devices.

    Each rank would run the whole sweep again, and jobs of different settings could pair up.
    """
    started_elsewhere = "SLURM_PROCID" in os.environ or "TORCHELASTIC_RUN_ID" in os.environ
    single = config.trainer.devices in (1, "1", "auto") and config.trainer.num_nodes == 1
    if multirun() and not single and not started_elsewhere:
        raise ConfigError(
            "a sweep (-m) in one process cannot use several devices: Lightning would start the "
            "whole sweep again on each; use hydra/launcher=gpus, a process for each job"
        )


def _class_weights(config: DictConfig, data: ExpressionData) -> ClassWeights | None:
    """How the loss weighs the categories; None for a loss that does not."""
    return data.weighted() if "class_weights" in taken_by(config.loss) else None


def _values(validations: Validations) -> dict[str, Any]:
    """The monitored value of every validation, null where it is not finite."""
    values = [value if math.isfinite(value) else None for value in validations.values]
    return {"validations": values} if values else {}


def _selection(config: DictConfig, trainer: pl.Trainer, data: ExpressionData) -> dict[str, Any]:
    """How the epoch was chosen, and which one."""
    best = next(
        c
        for c in trainer.checkpoint_callbacks
        if isinstance(c, ModelCheckpoint) and c.filename == "best"
    )
    if best.best_model_score is None:
        raise ConfigError("trainer.max_time ended the training before its first validation")
    if not math.isfinite(best.best_model_score):
        raise DivergedError(
            f"no epoch has a finite {config.monitor.metric}: choose another monitor.metric, or "
            "lower optimizer.lr, under another tag=NAME"
        )
    return {
        "split": data.selection,
        "metric": config.monitor.metric,
        "mode": config.monitor.mode,
        "value": best.best_model_score.item(),
    }
