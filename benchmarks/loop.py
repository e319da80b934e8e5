"""What a trainer adds to a step, over the same steps in a loop of plain PyTorch.

``python -m benchmarks.loop`` writes loop.csv and loop.md beside itself, in one or two minutes
on one core. Every rival trains the same network, loss, optimiser and schedule on the same batch,
which is in memory, normalised. They take short turns, one after the other and back, on one thread,
because the speed of a machine changes within seconds; the median over the rounds counts, of the
differences as well, each taken within a round. Wall time tells nothing unless the machine is quiet.
"""

from __future__ import annotations

import contextlib
import io
import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from benchmarks.measuring import write
from cage_lightning.app import build
from cage_lightning.app.nodes import build as instantiated
from cage_lightning.app.schema import CONF_DIR, register
from cage_lightning.callbacks import OwnState, Preemption, Timing, Validations
from cage_lightning.data.module import ExpressionData
from cage_lightning.labels import Batch
from cage_lightning.modules.parameter_groups import all_at_once
from cage_lightning.schedules import with_warmup
from cage_lightning.system.machine import keep_freed_memory

STEPS, WARM, BATCH, ROUNDS = 70, 10, 2, 15
BARE = "plain PyTorch"

Took = tuple[float, float]
"""Microseconds of a step: of the CPU, and by the clock."""


class Clock:
    """The batch for each step, as a loader that looks at the clock.

    No callback: that would be one that may read what is logged.
    """

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._times: list[Took] = []

    def __len__(self) -> int:
        return STEPS

    def __iter__(self) -> Iterator[Batch]:
        for step in range(STEPS):
            if step in (WARM, STEPS - 1):
                self._times.append((time.process_time(), time.perf_counter()))
            yield self._batch

    @property
    def took(self) -> Took:
        """What a step took."""
        before, after = self._times
        cpu, wall = ((b - a) / (STEPS - 1 - WARM) * 1e6 for a, b in zip(before, after, strict=True))
        return cpu, wall


class Terminal(io.StringIO):
    """Where a progress bar is drawn."""

    def isatty(self) -> bool:
        """Yes."""
        return True


def composed(folder: Path) -> DictConfig:
    """The config of a training, without its validations."""
    register()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return compose(
            "train",
            [
                *("data=demo8", "data.size=tiny", f"data.root={folder / 'faces'}"),
                *("model=tiny", "loss=combined", "trainer=cpu", "data.num_workers=0"),
                *(f"data.batch_size={BATCH}", "trainer.max_epochs=1", f"run_dir={folder / 'run'}"),
                *(f"+trainer.max_steps={STEPS}", "trainer.limit_val_batches=0"),
            ],
        )


def data_of(config: DictConfig) -> tuple[ExpressionData, Batch]:
    """The data, and a batch as a network gets it."""
    data = build.build_data(config)
    data.setup("fit")
    data.trainer = build.build_trainer(config, logger=False, enable_checkpointing=False)
    batch = next(iter(data.train_dataloader()))
    return data, batch._replace(image=data.normalize(batch.image, batch.index, 0))


def plain(config: DictConfig, data: ExpressionData, clock: Clock) -> None:
    """The steps in a loop."""
    module = build.build_module(config, data)
    optimizer = all_at_once(instantiated(config.optimizer)(module.network.parameters()))
    schedule = instantiated(config.scheduler)(optimizer, STEPS)
    schedule = with_warmup(schedule, round(config.warmup * STEPS))
    assert module.loss is not None
    for batch in clock:
        optimizer.zero_grad()
        module.loss(module(batch.image), batch)["loss"].backward()
        optimizer.step()
        schedule.step()


def trained(config: DictConfig, data: ExpressionData, clock: Clock) -> None:
    """The steps of Lightning's trainer alone: no callbacks and no loggers."""
    without_bar: Any = OmegaConf.merge(config, {"trainer": {"enable_progress_bar": False}})
    trainer = build.build_trainer(without_bar, logger=False, enable_checkpointing=False)
    trainer.fit(build.build_module(config, data), train_dataloaders=clock)


def whole(config: DictConfig, data: ExpressionData, clock: Clock) -> None:
    """The steps of the command `train`, with all that belongs to them."""
    own = [Validations(config.monitor.metric), build.build_timer(config), Preemption()]
    callbacks = [*build.build_callbacks(config), *own, OwnState(), Timing(0.0)]
    trainer = build.build_trainer(config, callbacks=callbacks, logger=build.build_loggers(config))
    data.train_dataloader = lambda: clock  # type: ignore[method-assign, assignment, return-value]
    trainer.fit(build.build_module(config, data), datamodule=data)


def on_a_terminal(config: DictConfig, data: ExpressionData, clock: Clock) -> None:
    """The same beside a progress bar."""
    with contextlib.redirect_stdout(Terminal()):
        whole(config, data, clock)


def measure() -> dict[str, list[Took]]:
    """What a step took in each round, by rival."""
    rivals: dict[str, Callable[[DictConfig, ExpressionData, Clock], None]] = {
        BARE: plain,
        "trainer alone": trained,
        "training": whole,
        "training, on a terminal": on_a_terminal,
    }
    found: dict[str, list[Took]] = {name: [] for name in rivals}
    with tempfile.TemporaryDirectory() as folder:
        config = composed(Path(folder))
        data, batch = data_of(config)
        for repeat in range(ROUNDS):
            for name in list(rivals)[:: -1 if repeat % 2 else 1]:
                clock = Clock(batch)
                rivals[name](config, data, clock)
                found[name].append(clock.took)
    return found


def rows(found: dict[str, list[Took]]) -> list[list[str]]:
    """The medians of each rival, and how much more than the loop it took."""
    lines = []
    for name, times in found.items():
        line = [name]
        for clock in range(2):
            own, bare = [one[clock] for one in times], [one[clock] for one in found[BARE]]
            more = [mine - of_it for mine, of_it in zip(own, bare, strict=True)]
            line += [f"{statistics.median(own):.0f}", f"{statistics.median(more):.0f}"]
        lines.append(line)
    return lines


if __name__ == "__main__":
    torch.set_num_threads(1)
    keep_freed_memory()  # as every training does
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    write(
        "loop",
        f"Microseconds of a step of `tiny`, with {BATCH} pictures of 64 pixels",
        ["rival", "CPU us", "more than the loop", "wall us", "more by the clock"],
        rows(measure()),
        ["lightning"],
    )
