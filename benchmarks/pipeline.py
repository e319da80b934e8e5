"""How much of the rate of a step the whole training reaches, on a CPU.

``python -m benchmarks.pipeline [SETTING ...]`` writes pipeline.csv and pipeline.md beside itself,
in some minutes. The settings are those of ``train``, for example ``data=fer2013 data.root=DIR``; by
default ``tiny`` trains on the drawn faces, read by two processes, with one thread. The whole
training and the same step on a batch that is in memory already, augmented, take turns for
ten seconds each; the median of the ratios of five rounds counts. Wall time tells nothing unless
the machine is quiet.
"""

from __future__ import annotations

import logging
import statistics
import sys
import warnings

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from benchmarks.measuring import REPEATS, write
from cage_lightning.app import build
from cage_lightning.app.schema import CONF_DIR, register
from cage_lightning.commands.stopwatch import Same, Stopwatch
from cage_lightning.data.module import ExpressionData

SECONDS = 10.0
DEFAULTS = ("data=demo8", "model=tiny", "loss=combined", "trainer=cpu", "data.num_workers=2")
NEVER_ENDS = (
    *("trainer.max_epochs=1000000", "trainer.limit_val_batches=0"),
    *("trainer.enable_progress_bar=false", "run_dir=none"),
)


def composed(settings: list[str]) -> DictConfig:
    """The config of a training that only time ends."""
    register()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return compose("train", [*DEFAULTS, *NEVER_ENDS, *settings])


def trained(config: DictConfig, data: ExpressionData, batches: Same | None = None) -> Stopwatch:
    """A training of some seconds, through the pipeline or on batches that are there."""
    watch = Stopwatch(SECONDS)
    trainer = build.build_trainer(
        config, callbacks=[watch], logger=False, enable_checkpointing=False
    )
    module = build.build_module(config, data)
    if batches is None:
        trainer.fit(module, datamodule=data)
    else:
        trainer.fit(module, train_dataloaders=batches)
    return watch


def measure(config: DictConfig) -> list[tuple[float, float]]:
    """Pictures per second of the whole training and of the steps alone, in each round."""
    data = build.build_data(config)
    data.setup("fit")
    batch = trained(config, data).batch
    assert batch is not None, "a training has steps"
    found = []
    for _ in range(REPEATS):
        whole = trained(config, data).rate
        found.append((whole, trained(config, data, Same(batch)).rate))
    return found


def main() -> None:
    """Measure what is typed."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    settings = sys.argv[1:]
    found = measure(composed(settings))
    whole, step = (statistics.median(values) for values in zip(*found, strict=True))
    ratios = sorted(whole / step for whole, step in found)
    shown = " ".join((*DEFAULTS, *(one for one in settings if "root" not in one)))
    write(
        "pipeline",
        "The whole training, and its step on a batch that is there",
        [
            "settings",
            "training, pictures/s",
            "step, pictures/s",
            "median ratio",
            "lowest",
            "highest",
        ],
        [
            [
                *(shown, f"{whole:.0f}", f"{step:.0f}"),
                *(f"{one:.2f}" for one in (statistics.median(ratios), ratios[0], ratios[-1])),
            ]
        ],
        ["lightning"],
    )


if __name__ == "__main__":
    main()
