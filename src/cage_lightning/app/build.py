"""From a composed config to what trains: data module, network, trainer, callbacks, loggers."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import get_class
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.callbacks import Callback, EarlyStopping, ProgressBar, Timer
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf
from torch import nn

from cage_lightning.app.data_nodes import data_nodes
from cage_lightning.app.lightning_settings import check_callbacks, check_trainer
from cage_lightning.app.nodes import build, check_target
from cage_lightning.app.signatures import check_settings, shown
from cage_lightning.callbacks import AtomicCheckpointIO, CompiledSteps
from cage_lightning.data.module import ExpressionData
from cage_lightning.deploy import loading
from cage_lightning.deploy.checkpoints import describe
from cage_lightning.deploy.loading import Loaded
from cage_lightning.errors import ConfigError, check_between, check_not_negative, check_seed
from cage_lightning.labels import LabelSpace
from cage_lightning.models import load_weights, read_state_dict
from cage_lightning.models.compiled import check_compile
from cage_lightning.modules import MODES, ExpressionModule
from cage_lightning.system.machine import keep_freed_memory
from cage_lightning.system.paths import local_path


def check(config: DictConfig) -> None:
    """Refuse settings of a training that nothing can be built from, before anything is.

    Raises:
        ConfigError: Names the key, its value and what is needed.
    """
    check_seed(config.seed)
    check_between("warmup", config.warmup, 0, 1)
    check_between("layer_decay", config.layer_decay, 0, 1)
    check_not_negative("sam", config.sam)
    check_not_negative("skip_not_finite", config.skip_not_finite)
    check_not_negative("init_wait_s", config.init_wait_s)
    check_compile(config.compile, gpu=_on_gpu(config.trainer.get("accelerator", "auto")))
    if not isinstance(config.module, DictConfig):
        raise ConfigError(f"module={shown(config.module)}: choose it with loss=...")
    replaced = {"loss": ["class_weights"], "trainer": ["precision"]}
    for key in config:
        if key != "data" and not OmegaConf.is_missing(config, key):
            check_settings(config[key], given=replaced.get(str(key), ()))
    for node in data_nodes(config.data):
        check_settings(node)


def build_data(config: DictConfig) -> ExpressionData:
    """The data module, with its augmentation."""
    source, loading = data_nodes(config.data)
    augment = build(config.augment)
    data: ExpressionData = build(loading, source=build(source), augment=augment)
    return data


def build_module(config: DictConfig, data: ExpressionData) -> ExpressionModule:
    """The module of a training run: network, loss and optimiser. `data` is set up for fit.

    Raises:
        CheckpointError: `model.weights` or `init_from` cannot be loaded.
    """
    mode = _mode(config.module)
    _check_labels(mode, data)
    # init_from replaces every weight of the backbone: nothing else is downloaded for it.
    weights = {"weights": "none"} if config.init_from else {}
    network = _channels_last(
        build(config.model, **weights)(num_outputs=mode.num_outputs(data.label_space))
    )
    if config.init_from:
        load_weights(network, checkpoint_of(config.init_from, "init_from"))
    return mode(
        network,
        data.label_space,
        loss=_loss(config, data),
        optimizer=build(config.optimizer),
        scheduler=build(config.scheduler),
        warmup=config.warmup,
        layer_decay=config.layer_decay,
        decay_norms_and_biases=config.decay_norms_and_biases,
        sam=config.sam,
        config=OmegaConf.to_container(config, resolve=True),  # type: ignore[arg-type]
        training=data.train.statistics(),
        skip_not_finite=config.skip_not_finite,
    )


# What Lightning takes where a setting is left out, as by ~trainer.precision.
_OF_LIGHTNING = {"accelerator": "auto", "precision": "32-true", "enable_progress_bar": True}


def build_trainer(config: DictConfig, **arguments: Any) -> Trainer:
    """The trainer. `precision: auto` is decided by the device that it got.

    On a CPU the process keeps the memory that it has had, see `keep_freed_memory`.

    Raises:
        ConfigError: A setting that does not work here, or that Lightning refuses.
    """
    given: Any = OmegaConf.to_container(config.trainer, resolve=True)
    settings = _OF_LIGHTNING | given
    if settings["accelerator"] == "auto":  # Lightning would also choose what does not work here
        settings["accelerator"] = "gpu" if torch.cuda.is_available() else "cpu"
    check_trainer(settings)
    if settings["precision"] == "auto":
        settings["precision"] = _precision(settings["accelerator"])
    plugins: list[Any] = [AtomicCheckpointIO()]
    if SLURMEnvironment.detect():  # the ranks are there already; `Preemption` requeues, and saves
        plugins.append(SLURMEnvironment(auto_requeue=False))
    settings.setdefault("enable_model_summary", False)
    if not settings["enable_progress_bar"]:
        others = [c for c in arguments.get("callbacks", []) if not isinstance(c, ProgressBar)]
        arguments["callbacks"] = others
    node = OmegaConf.create({"trainer": settings}).trainer  # where errors say that it stands
    trainer: Trainer = build(node, use_distributed_sampler=False, plugins=plugins, **arguments)
    if isinstance(trainer.accelerator, CPUAccelerator):
        keep_freed_memory()
    return trainer


def build_timer(config: DictConfig) -> Timer:
    """The clock of a run, which goes on when it is taken up again; ends it after `max_time`.

    Raises:
        ConfigError: `trainer.max_time` is no time.
    """
    limit: Any = OmegaConf.to_container(config.trainer, resolve=True)
    try:
        return Timer(limit.get("max_time"))
    except (MisconfigurationException, TypeError) as error:
        raise ConfigError(f"trainer.max_time={limit['max_time']}: {error}") from error


def build_callbacks(config: DictConfig) -> list[Callback]:
    """The callbacks in the order of the config.

    Raises:
        ConfigError: One that does not work here.
    """
    callbacks: dict[str, Callback] = _built(config.callbacks, "callbacks")
    check_callbacks(callbacks)
    for name, callback in callbacks.items():
        if isinstance(callback, EarlyStopping):
            _after_validation(name, callback)
    return list(callbacks.values())


def build_compilation(config: DictConfig) -> list[Callback]:
    """What compiles the steps of a training; nothing where they are not."""
    if config.compile == "off":
        return []
    return [CompiledSteps(config.compile, config.data.batch_size)]


def build_loggers(config: DictConfig) -> list[Logger]:
    """The loggers in the order of the config."""
    return list(_built(config.logger, "logger").values())


def checkpoint_of(path: str, key: str = "checkpoint") -> Path:
    """The checkpoint that a setting means: a file itself, or the best one of a run folder.

    Raises:
        CheckpointError: There is none.
        DataError: It is a link that leads out of the run folder.
    """
    return loading.checkpoint_of(local_path(key, path).expanduser())


def load_module(file: Path) -> ExpressionModule:
    """Rebuild the module of one of our checkpoints, for prediction and evaluation.

    Raises:
        CheckpointError: The file is not one of our checkpoints, or asks for what only a config of
            one's own may ask for.
    """
    described = describe(file)
    description = described.description
    network = description.build(str(file))
    load_weights(network, file, strict=True)
    return described.mode(
        network, description.label_space, config=described.config, training=description.training
    )


def module_of(loaded: Loaded) -> ExpressionModule:
    """A module for evaluation whose network is a trained model in any form."""
    layout = loaded.description.layout
    mode = next(
        mode
        for mode in MODES
        if (mode.predicts_categories, mode.predicts_affect) == (layout.categories, layout.affect)
    )
    return mode(loaded.predictor, layout.space, training=loaded.description.training)


def module_for_weights(config: DictConfig, space: LabelSpace, file: Path) -> ExpressionModule:
    """A module for prediction and evaluation with the weights of `file`, every one of them.

    Raises:
        CheckpointError: The weights do not fit the network that the config describes.
    """
    mode, weights = _mode(config.module), read_state_dict(file)
    if "head_dropout" in config.model and any(x.endswith("classifier.6.weight") for x in weights):
        config.model.head_dropout = 0.0  # a published valence-arousal model has the layer
    network = build(config.model, weights="none")(num_outputs=mode.num_outputs(space))
    load_weights(network, weights, strict=True, name=str(file))
    plain: Any = OmegaConf.to_container(config, resolve=False)
    return mode(network, space, config=plain)


def _mode(node: DictConfig) -> type[ExpressionModule]:
    check_target(node)
    return get_class(node._target_)


def _check_labels(mode: type[ExpressionModule], data: ExpressionData) -> None:
    """Refuse a mode that the training split has no labels for."""
    space, train = data.label_space, data.train
    where = f"no training sample under {data.source.root} has"
    if mode.predicts_affect and np.isnan(train.affect).all():
        affect = " or ".join(space.dimensions) or "valence or arousal"
        raise ConfigError(f"{where} {affect}: choose loss=discrete")
    if mode.predicts_categories and not train.class_counts().any():
        raise ConfigError(f"{where} a category: choose loss=va")


def _loss(config: DictConfig, data: ExpressionData) -> nn.Module:
    """The loss, with the weights of the categories if it takes any."""
    check_target(config.loss)
    # Older configs repeat the setting there.
    if config.loss.get("class_weights", config.data.class_weights) != config.data.class_weights:
        raise ConfigError("loss.class_weights has no effect: set data.class_weights")
    if "soft_labels" in config.loss:
        raise ConfigError("loss.soft_labels has no effect: set data.soft_labels")
    takes = signature(get_class(config.loss._target_)).parameters
    arguments: dict[str, Any] = {}
    if "class_weights" in takes:
        arguments["class_weights"] = data.class_weights()
    mixed = data.mixing and _mode(config.module).predicts_categories
    for asked, key in (
        (data.soft_labels, "data.soft_labels"),
        (mixed and not data.label_space.multi_label, "data.mixup or data.cutmix"),
    ):
        if asked and "soft_labels" not in takes:
            raise ConfigError(f"{key}: this loss takes no shares of the categories; leave it out")
        if asked:
            arguments["soft_labels"] = True
    loss: nn.Module = build(config.loss, **arguments)
    return loss


def _channels_last(network: nn.Module) -> nn.Module:
    """The same network with its convolutions in the memory layout that GPUs are faster in."""
    return network.to(memory_format=torch.channels_last)


def _built(nodes: DictConfig | None, group: str) -> dict[str, Any]:
    """The objects of a mapping of nodes, by name; `name=null` switches one off."""
    if not isinstance(nodes, DictConfig):
        raise ConfigError(
            f"{group}={shown(nodes)}: a mapping is needed, each entry with a _target_"
        )
    present = {str(name): node for name, node in nodes.items() if node is not None}
    for name, node in present.items():
        if not isinstance(node, DictConfig) or "_target_" not in node:
            raise ConfigError(
                f"{group}.{name} has no _target_: choose a file of {group}/ that defines it, or "
                f"{group}.{name}=null"
            )
    return {name: build(node) for name, node in present.items()}


def _after_validation(name: str, callback: EarlyStopping) -> None:
    """Let it look at the number when the latest state is saved, which then knows what it described.

    Lightning's default is the end of the epoch: later, when a resumed run has no number any more.
    """
    if callback._check_on_train_epoch_end:
        raise ConfigError(
            f"callbacks.{name}.check_on_train_epoch_end=true is refused: a run could not be taken "
            "up again at the end of an epoch; the check follows every validation"
        )
    callback._check_on_train_epoch_end = False


def _on_gpu(accelerator: str) -> bool:
    return accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()


def _precision(accelerator: str) -> str:
    if _on_gpu(accelerator):
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"
    return "32-true"
