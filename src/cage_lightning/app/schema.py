"""The keys of our own in a composed config, and where conf/ lies.

Nodes with a `_target_` stay untyped: their signature is their schema, and a test binds them.
"""

import functools
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import MISSING, DictConfig

_HERE = Path(__file__).resolve()
_PACKAGED = _HERE.parents[1] / "conf"  # inside a wheel
CONF_DIR = _PACKAGED if _PACKAGED.is_dir() else _HERE.parents[3] / "conf"  # in a checkout
NOT_TYPED = MappingProxyType({"typed": False})  # a key that a choice may set, and no user
_NAMED = ("data", "model", "loss", "protocol", "augment", "scheduler")


@dataclass
class Monitor:
    """Which number of the selection split chooses the best epoch."""

    metric: str = MISSING
    mode: str = MISSING


@dataclass
class Local:
    """What only one machine needs: conf/local/default.yaml, which is not in git."""

    data: str = "${oc.env:CAGE_DATA,data}"  # the folder of the data sets
    partition: str | None = None  # of SLURM, as is account
    account: str | None = None
    entity: str | None = None  # who owns the W&B project
    project: str = "cage_lightning"


@dataclass
class TrainConfig:
    """Top-level keys of conf/train.yaml; any other key is an error before anything is built."""

    data: Any = MISSING
    augment: Any = MISSING
    model: Any = MISSING
    module: Any = MISSING
    loss: Any = MISSING
    optimizer: Any = MISSING
    scheduler: Any = MISSING
    trainer: Any = MISSING
    callbacks: Any = MISSING
    logger: Any = MISSING
    monitor: Monitor = field(default_factory=Monitor)
    objective: Any = MISSING  # a name, or a list of names
    objective_on_test: bool = False
    pruning: str | None = None  # a file
    runs: str = MISSING
    group: str = MISSING
    seed: int = MISSING
    tag: str | None = None
    run_dir: str = MISSING
    choices: dict[str, str | None] = field(default_factory=dict)
    init_from: str | None = None
    init_wait_s: float = 0.0
    start_group: str = MISSING
    starts: dict[str, str | None] = field(default_factory=dict)  # by loss
    at: dict[str, str] = field(default_factory=dict)  # what the sweeps run on
    scripts: dict[str, Any] = field(default_factory=dict)  # what single published ones do otherwise
    figures: bool = False
    pictures: bool = False
    warmup: float = 0.0
    dry: bool = False
    layer_decay: float = 1.0
    decay_norms_and_biases: bool = True
    sam: float = 0.0
    skip_not_finite: int = 0
    compile: str = "off"
    local: Local = field(default_factory=Local)


@dataclass
class EvaluateConfig:
    """Top-level keys of conf/evaluate.yaml."""

    checkpoint: Any = MISSING  # a path, or a list of paths
    categories: Any = None  # a list: of the outputs of a plain state_dict, in their order
    mapping: Any = None  # from categories of the model to those of the data, or a file of it
    subgroups: Any = None  # a list of names
    groups_file: str | None = None
    output: str | None = None
    data: Any = MISSING
    model: Any = None
    module: Any = None
    loss: Any = None
    # What the file of a network says of its training (conf/model/tiny.yaml) is of no use here.
    optimizer: Any = field(default=None, metadata=NOT_TYPED)
    warmup: float | None = field(default=None, metadata=NOT_TYPED)
    trainer: Any = MISSING
    augment: Any = MISSING
    flip: bool = False
    clip: bool = False
    figures: bool = False
    pictures: bool = False
    seed: int = MISSING
    choices: dict[str, str | None] = field(default_factory=dict)
    starts: dict[str, str] = field(default_factory=dict)  # the checkpoint, by data
    at: dict[str, str] = field(default_factory=dict)  # what the sweeps run on
    dry: bool = False
    local: Local = field(default_factory=Local)


@dataclass
class ExportConfig:
    """Top-level keys of conf/export.yaml."""

    checkpoint: Any = MISSING  # a path, or a list of paths
    output: str = MISSING
    data: Any = None
    augment: Any = MISSING
    forms: list[str] = field(default_factory=list)
    calibrate: bool = False
    max_loss: float = MISSING
    force: bool = False
    quantisation_samples: int = MISSING
    push_to_hub: str | None = None
    private: bool = True
    seed: int = MISSING
    choices: dict[str, str | None] = field(default_factory=dict)
    local: Local = field(default_factory=Local)


@dataclass
class BenchmarkConfig:
    """Top-level keys of conf/benchmark.yaml: of train what decides how fast it is."""

    data: Any = MISSING
    augment: Any = MISSING
    model: Any = MISSING
    module: Any = MISSING
    loss: Any = MISSING
    optimizer: Any = MISSING
    scheduler: Any = MISSING
    trainer: Any = MISSING
    seconds: float = MISSING
    runs: str = MISSING
    seed: int = MISSING
    choices: dict[str, str | None] = field(default_factory=dict)
    scripts: dict[str, Any] = field(default_factory=dict)  # see TrainConfig
    sam: float = 0.0
    compile: str = "off"
    largest_batch: bool = False
    # These change no speed: files of other groups set two, and what builds a run reads all.
    monitor: Any = field(default=None, metadata=NOT_TYPED)
    warmup: float = field(default=0.0, metadata=NOT_TYPED)
    init_from: str | None = field(default=None, metadata=NOT_TYPED)
    init_wait_s: float = field(default=0.0, metadata=NOT_TYPED)
    layer_decay: float = field(default=1.0, metadata=NOT_TYPED)
    decay_norms_and_biases: bool = field(default=True, metadata=NOT_TYPED)
    skip_not_finite: int = field(default=0, metadata=NOT_TYPED)
    local: Local = field(default_factory=Local)


@dataclass
class PrepareConfig:
    """Top-level keys of conf/prepare.yaml."""

    data: Any = MISSING
    reencode: bool = False
    workers: int | None = None
    choices: dict[str, str | None] = field(default_factory=dict)
    local: Local = field(default_factory=Local)


@dataclass
class AnalyzeConfig:
    """Top-level keys of conf/analyze.yaml."""

    data: Any = MISSING
    output: str | None = None
    choices: dict[str, str | None] = field(default_factory=dict)
    local: Local = field(default_factory=Local)


@dataclass
class ScoreConfig:
    """Top-level keys of conf/score.yaml."""

    predictions: Any = MISSING  # a file, or a list of files
    label_space: str | None = None
    categories: Any = None  # a list: what the numbers of a CSV file mean
    subgroups: Any = None  # a list of names
    groups_file: str | None = None
    output: str | None = None
    figures: str | None = None
    over_seeds: bool = False
    resamples: int = MISSING
    confidence: float = MISSING
    seed: int = MISSING


@dataclass
class _FacesConfig:
    """What both commands that look for faces take."""

    checkpoint: Any = MISSING  # of one model, or a list
    faces: str | None = None
    threshold: float | None = None
    smallest_face: float = MISSING
    longest_side: int = MISSING
    detector_weights: str | None = None
    align: bool = False
    device: str = MISSING


@dataclass
class PredictConfig(_FacesConfig):
    """Top-level keys of conf/predict.yaml."""

    source: Any = MISSING  # one, or a list
    output: str | None = None
    boxes: str | None = None
    every: int = MISSING
    smoothing: str = MISSING
    render: bool = False
    batch_size: int | None = None


@dataclass
class ServeConfig(_FacesConfig):
    """Top-level keys of conf/serve.yaml."""

    host: str = MISSING
    port: int = MISSING
    upload_mb: float = MISSING


@dataclass
class CollectConfig:
    """Top-level keys of conf/collect.yaml."""

    table: str = MISSING
    runs: str = MISSING
    output: str = MISSING
    compare: str | None = None
    equivalence: float = 0.01
    pictures: bool = False


@dataclass
class DashboardConfig:
    """Top-level keys of conf/dashboard.yaml."""

    table: str = MISSING
    runs: str = MISSING
    entity: str | None = None
    output: str | None = None
    local: Local = field(default_factory=Local)


CommandName = Literal[
    "train",
    "evaluate",
    "predict",
    "serve",
    "export",
    "prepare",
    "analyze",
    "score",
    "collect",
    "benchmark",
    "dashboard",
]
"""What stands after `python -m cage_lightning.`"""

SCHEMAS: dict[str, type] = {
    "train": TrainConfig,
    "evaluate": EvaluateConfig,
    "predict": PredictConfig,
    "serve": ServeConfig,
    "export": ExportConfig,
    "prepare": PrepareConfig,
    "analyze": AnalyzeConfig,
    "score": ScoreConfig,
    "collect": CollectConfig,
    "benchmark": BenchmarkConfig,
    "dashboard": DashboardConfig,
}
"""The schema of each command; conf/<command>.yaml is its primary config."""


def name_choices(config: DictConfig) -> None:
    """Name what was chosen by files of others (`--config-dir`): ours say their own names.

    Args:
        config: Composed by a command. Its `choices` are completed.
    """
    for group, choice in HydraConfig.get().runtime.choices.items():
        if group in _NAMED and choice and not (CONF_DIR / group / f"{choice}.yaml").is_file():
            config.choices[group] = choice


@functools.cache
def register() -> None:
    """Make the schemas known to Hydra; calling it again changes nothing."""
    store = ConfigStore.instance()
    for command, schema in SCHEMAS.items():
        store.store(name=f"{command}_schema", node=schema)
