"""How fast this machine trains a model, and what holds it up."""

from __future__ import annotations

import logging
import tempfile
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback
from omegaconf import DictConfig, OmegaConf, open_dict
from torch import Tensor

from cage_lightning.app import build
from cage_lightning.app.cli import multirun
from cage_lightning.callbacks import Timing
from cage_lightning.commands.bottleneck import Parts, verdict_of
from cage_lightning.commands.largest_batch import STEPS, check_device, largest_batch
from cage_lightning.commands.results import draw_figures, gather, results
from cage_lightning.commands.stopwatch import Same, Stopwatch, Watch
from cage_lightning.data.face_dataset import FaceDataset
from cage_lightning.data.loading import Blocks
from cage_lightning.data.module import ExpressionData
from cage_lightning.errors import ConfigError, check_between
from cage_lightning.labels import Batch
from cage_lightning.modules import ExpressionModule
from cage_lightning.runs.log import start_logging
from cage_lightning.runs.measured import RATES, SPLITS, counted_by, keep_rates, rates_file
from cage_lightning.runs.provenance import provenance
from cage_lightning.runs.rates import Device, Measured, Rates, Workload
from cage_lightning.system.machine import process_age, processor, usable_cpus
from cage_lightning.system.output import say
from cage_lightning.system.paths import local_path
from cage_lightning.system.storage import check_writable

# The share of the time that each part is measured for.
_LOADER, _WHOLE, _EVALUATION, _AUGMENTATION, _STEP = 0.2, 0.4, 0.15, 0.05, 0.2


def benchmark(config: DictConfig) -> Measured:
    """Measure the rates of a training, print them, and keep them for `dry=true`.

    Raises:
        CageError: What the user can put right.
    """
    start_logging(None)
    logging.getLogger().setLevel(logging.WARNING)  # what a training says is of no interest here
    warnings.filterwarnings("ignore", message=".*no `val_dataloader`.*")
    check_between("seconds", config.seconds, 1, 300)
    build.check(config)
    if str(config.trainer.devices) not in ("1", "auto") or config.trainer.num_nodes != 1:
        raise ConfigError(
            f"trainer.devices={config.trainer.devices}: benchmark measures one device; of several "
            "a finished run tells how fast they are"
        )
    if config.largest_batch:
        check_device(_trainer(config).strategy.root_device.type, config.compile != "off")
    runs = local_path("runs", config.runs)
    check_writable(runs / RATES, "runs=DIR")
    pl.seed_everything(config.seed, workers=True, verbose=False)
    settings: Any = OmegaConf.to_container(config, resolve=True)
    _prepare(config)
    before_s = 0.0 if multirun() else process_age()
    build.build_data(config).setup("fit")  # at its first use a data set may be drawn or unpacked
    began = time.monotonic()
    data = build.build_data(config)
    data.setup("fit")
    module = build.build_module(config, data)
    start_s = before_s + time.monotonic() - began
    largest = _largest(config, data, module) if config.largest_batch else None
    parts, scores, trainer = _measure(config, data, module)
    about = provenance(trainer)
    device = _device(about)
    measured = Measured(
        workload=Workload.of(settings),
        device=device,
        rates=Rates(parts.whole, parts.evaluation, start_s, *scores),
        counted=counted_by(settings),
        samples={split: len(data.splits[split]) for split in SPLITS},
        from_run=False,
    )
    verdict = verdict_of(
        parts, device.type, data.num_workers, usable_cpus(), config.compile != "off"
    )
    file = rates_file(runs, device)
    more = {"parts": asdict(parts), "verdict": verdict, "workers": data.num_workers}
    more |= {} if largest is None else {"largest_batch": largest}
    here = {"cpus": usable_cpus(), "processor": processor(), "versions": about["versions"]}
    keep_rates(file, measured, more | here)
    _print(parts, measured, verdict, file)
    if largest is not None:
        say(f"data.batch_size={largest} fits into the memory")
    return measured


def _prepare(config: DictConfig) -> None:
    """Let the time end a training, and nothing be downloaded, validated or shown."""
    with open_dict(config):
        if "weights" in config.model:
            config.model.weights = "none"
        config.trainer.update(
            max_epochs=1_000_000, limit_val_batches=0, enable_progress_bar=False, max_steps=-1
        )
        config.trainer.update(num_sanity_val_steps=0, fast_dev_run=False, limit_train_batches=None)


def _largest(config: DictConfig, data: ExpressionData, module: ExpressionModule) -> int:
    """The largest batch that can be trained with.

    Raises:
        ConfigError: It is smaller than data.batch_size.
    """
    found = largest_batch(lambda: _trainer(config, max_steps=STEPS), module, data)
    if found < data.batch_size:
        fits = f"data.batch_size={found} does" if found else "nor does a smaller one"
        raise ConfigError(
            f"data.batch_size={data.batch_size} does not fit into the memory, {fits}: "
            "trainer.accumulate_grad_batches makes a step of several batches"
        )
    return found


def _measure(
    config: DictConfig, data: ExpressionData, module: ExpressionModule
) -> tuple[Parts, tuple[float, float], Trainer]:
    """The parts; seconds for the scores and for the figures of the test split; a trainer."""
    seconds = float(config.seconds)
    trainer = _trainer(config)
    data.trainer = trainer
    loader, batch = _load(data, seconds * _LOADER)
    # The steps come between two halves of the training: the speed of a machine changes meanwhile.
    before = _train(config, data, module, seconds * _WHOLE / 2)
    assert before.batch is not None, "a training has steps"
    step = _train(config, data, module, seconds * _STEP, Same(before.batch))
    after = _train(config, data, module, seconds * _WHOLE / 2)
    whole = (before.rate + after.rate) / 2
    limit = max(1, int(seconds * _EVALUATION * whole / data.batch_size))
    evaluation, scores = _evaluate(config, data, module, limit)
    device = before.batch.image.device
    augmentation = _augment(data, batch.index, device, seconds * _AUGMENTATION)
    return Parts(loader, augmentation, step.rate, whole, evaluation), scores, trainer


def _trainer(config: DictConfig, *callbacks: Callback, **arguments: Any) -> Trainer:
    used = [*callbacks, *build.build_compilation(config)]
    arguments |= {"callbacks": used, "logger": False, "enable_checkpointing": False}
    return build.build_trainer(config, **arguments)


def _train(
    config: DictConfig,
    data: ExpressionData,
    module: ExpressionModule,
    seconds: float,
    batches: Same | None = None,
) -> Stopwatch:
    """Train for a time, through the whole pipeline or on batches that are there."""
    watch = Stopwatch(seconds)
    loaded = {"datamodule": data} if batches is None else {"train_dataloaders": batches}
    _trainer(config, watch).fit(module, **loaded)
    return watch


def _load(data: ExpressionData, seconds: float) -> tuple[float, Batch]:
    """Pictures per second of the loader alone, and a batch as it comes from there."""
    loader, watch = data.train_dataloader(), Watch(seconds)
    while True:
        for batch in loader:
            if not watch.goes_on(len(batch.index)):
                return watch.rate, batch


def _augment(data: ExpressionData, index: Tensor, device: torch.device, seconds: float) -> float:
    """Pictures per second of the augmentation alone, on the device."""
    samples = FaceDataset(data.train, data.image_size, data.margin)
    batch, watch = samples.batch(index.tolist(), Blocks()), Watch(seconds)
    image = batch.image.to(device)
    with torch.no_grad():
        while watch.goes_on(len(index)):
            data.augment(image, index, 0)
    return watch.rate


def _evaluate(
    config: DictConfig, data: ExpressionData, module: ExpressionModule, limit: int
) -> tuple[float, tuple[float, float]]:
    """Pictures per second of a test; seconds for the scores and the figures of the whole split."""
    with open_dict(config):
        config.trainer.limit_test_batches = limit
    timing = Timing(0.0)
    _trainer(config, timing).test(module, datamodule=data, verbose=False)
    predictions = gather(module, data.test)
    began = time.monotonic()
    results(predictions, {})
    results_s = time.monotonic() - began
    with timing.drawing(), tempfile.TemporaryDirectory() as folder:
        draw_figures(Path(folder), predictions, data, photographs=False)
    took = timing.to_dict()
    share = took["test_samples"] / len(data.test)
    scores = results_s / share, took["figures_s"]
    return took["test_samples"] / took["test_s"], scores


def _device(about: Mapping[str, Any]) -> Device:
    device = about["device"]
    threads = torch.get_num_threads() if device["type"] == "cpu" else None
    return Device(device["type"], device["name"], device["count"], threads)


def _print(parts: Parts, measured: Measured, verdict: str, file: Path) -> None:
    workload, rates = measured.workload, measured.rates
    size = f"{workload.image_size} pixels in batches of {workload.batch_size}"
    say(f"{workload.network} at {size} on {measured.device}")
    names = {
        "loader": "loader alone",
        "augmentation": "augmentation alone",
        "step": "step on a batch that is there",
        "whole": "the whole training",
        "evaluation": "evaluation",
    }
    for name, rate in asdict(parts).items():
        say(f"  {names[name]:<30} {rate:9.0f} pictures/s")
    say(f"  {'start':<30} {rates.start_s:9.1f} s")
    say(f"  {'scores of the test split':<30} {rates.results_s:9.1f} s")
    say(f"  {'its figures':<30} {rates.figures_s:9.1f} s")
    say(verdict)
    say(f"{file} keeps the rates for dry=true")
