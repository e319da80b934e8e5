"""Every argument of Lightning's Trainer and every callback: works as it says, or is refused."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch.callbacks as lightning_callbacks
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from cage_lightning.app import build
from cage_lightning.app.lightning_settings import ARGUMENTS, CALLBACKS, Setting, check_callbacks
from cage_lightning.commands.evaluate import evaluate
from cage_lightning.errors import ConfigError
from cage_lightning.runs.folder import RunFolder
from tests.conftest import TINY, Train, composed

ROOT = Path(__file__).parents[2]
LIGHTNING = "lightning.pytorch.callbacks"


# --- the tables ----------------------------------------------------------------------------------


def test_the_tables_know_every_argument_and_callback() -> None:
    assert list(ARGUMENTS) == list(inspect.signature(Trainer).parameters)
    assert set(CALLBACKS) == set(lightning_callbacks.__all__)


def rows(table: dict[str, Setting]) -> list[str]:
    found = []
    for name, setting in table.items():
        values = ", ".join(f"`{value}`" for value in setting.values)
        said = "; ".join(text for text in (values, setting.note) if text)
        found.append(f"| `{name}` | {'works' if setting.works else 'refused'} | {said} |")
    return found


def test_the_page_shows_the_tables() -> None:
    page = (ROOT / "docs" / "lightning.md").read_text()
    shown = [line for line in page.splitlines() if re.match(r"\| `\w+` \|", line)]
    assert shown == rows(ARGUMENTS) + rows(CALLBACKS)


# --- what is refused -----------------------------------------------------------------------------

REFUSED_VALUES = {
    "trainer.accelerator=tpu": "choose one of auto, cpu, gpu, cuda",
    "trainer.accelerator=mps": "choose one of auto, cpu, gpu, cuda",
    "trainer.strategy=ddp_spawn": "trainer.strategy=ddp_spawn: choose one of",
    "trainer.strategy=fsdp": "trainer.strategy=fsdp: choose one of",
    "trainer.strategy={_target_: lightning.pytorch.strategies.FSDPStrategy}": "choose one of",
    "trainer.precision=16-true": "trainer.precision=16-true: choose one of",
    "trainer.precision=transformer-engine": "choose one of",
    "trainer.precision=16-mixed": "needs a GPU",
    "+trainer.sync_batchnorm=true": "needs GPUs",
    "+trainer.gradient_clip_algorithm=value": "does nothing without gradient_clip_val",
    "+trainer.val_check_interval='00:00:15:00'": "is no number",
    "+trainer.val_check_interval={minutes: 15}": "is no number",
    "trainer.fast_dev_run=2.5": "true or a number",
    "trainer.devices=0": "Trainer(devices=0)",
    "+trainer.foo=1": "no such argument",
}


@pytest.mark.parametrize("name", [n for n, setting in ARGUMENTS.items() if not setting.works])
@pytest.mark.parametrize("value", ["true", "false"])
def test_a_refused_argument_is_named_with_the_reason(name: str, value: str) -> None:
    config = composed(f"+trainer.{name}={value}", "trainer=cpu")
    with pytest.raises(ConfigError) as raised:
        build.build_trainer(config)
    assert str(raised.value) == f"trainer.{name} is refused: {ARGUMENTS[name].note}"


@pytest.mark.parametrize("override", REFUSED_VALUES)
def test_a_refused_value_is_named_with_the_reason(override: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(REFUSED_VALUES[override])):
        build.build_trainer(composed("trainer=cpu", override))


def test_a_time_that_is_none_is_named() -> None:
    with pytest.raises(ConfigError, match=r"trainer.max_time=abc: .*DD:HH:MM:SS"):
        build.build_timer(composed("+trainer.max_time=abc"))


@pytest.mark.parametrize("name", [n for n, setting in CALLBACKS.items() if not setting.works])
def test_a_refused_callback_is_named_with_the_reason(name: str) -> None:
    base = getattr(lightning_callbacks, name)
    derived: Any = type("Derived", (base,), {"__abstractmethods__": frozenset()})
    for kind in (base, derived):
        with pytest.raises(ConfigError) as raised:
            check_callbacks({"mine": kind.__new__(kind)})
        assert str(raised.value) == f"callbacks.mine: {name} is refused: {CALLBACKS[name].note}"


def test_a_refused_callback_ends_the_run_before_it_begins(train_here: Train) -> None:
    with pytest.raises(ConfigError, match=r"callbacks\.spike: SpikeDetection is refused"):
        train_here(f"+callbacks.spike._target_={LIGHTNING}.SpikeDetection")
    with pytest.raises(ConfigError, match="trainer: Found more than one stateful callback"):
        train_here(
            f"+callbacks.second={{_target_: {LIGHTNING}.ModelCheckpoint, monitor: val/loss}}"
        )


# --- what works ----------------------------------------------------------------------------------


@dataclass
class Seen:
    """What a training did, as the callback `Spy` saw it, and its folder."""

    folder: RunFolder = field(default_factory=lambda: RunFolder(Path()))
    batches: list[tuple[int, list[int]]] = field(default_factory=list)  # epoch, rows
    steps: int = 0
    validated: list[int] = field(default_factory=list)  # the step of each validation
    sanity: int = 0
    inference: bool = False
    anomaly: bool = False
    gradient: float = 0.0  # the largest value, after clipping
    norm: float = 0.0
    dtype: torch.dtype = torch.float32
    trainer: Trainer | None = None

    @property
    def log(self) -> str:
        return self.folder.log_file.read_text()

    @property
    def metrics(self) -> dict[str, Any]:
        return self.folder.read_metrics()


class Spy(Callback):
    seen: ClassVar[Seen] = Seen()

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.seen.batches.append((trainer.current_epoch, batch.index.tolist()))
        self.seen.dtype = batch.image.dtype
        self.seen.anomaly = torch.is_anomaly_enabled()
        self.seen.trainer = trainer

    def on_before_zero_grad(self, trainer: Trainer, pl_module: LightningModule, _: Any) -> None:
        found = [w.grad for w in pl_module.parameters() if w.grad is not None]
        if found:
            self.seen.gradient = max(float(g.abs().max()) for g in found)
            self.seen.norm = float(torch.stack([g.norm() for g in found]).norm())

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.seen.inference = torch.is_inference_mode_enabled()
        if trainer.sanity_checking:
            self.seen.sanity += 1
        else:
            self.seen.validated.append(trainer.global_step)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.seen.steps = trainer.global_step


SPY = f"+callbacks.spy._target_={__name__}.Spy"


def spied(train_here: Train, *overrides: str) -> Seen:
    Spy.seen = Seen()
    Spy.seen.folder = train_here(SPY, *overrides)
    return Spy.seen


def rows_of(seen: Seen, epoch: int) -> list[list[int]]:
    return [rows for number, rows in seen.batches if number == epoch]


# Four steps make an epoch. By argument: what is set, and how the run shows that it was obeyed.
WORKS: dict[str, tuple[tuple[str, ...], Callable[[Seen], bool]]] = {
    "accelerator": (
        ("trainer.accelerator=auto",),
        lambda seen: (
            (seen.metrics["meta"]["device"]["type"] == "cuda") == torch.cuda.is_available()
        ),
    ),
    "precision": (
        ("trainer.precision=bf16-true",),
        lambda seen: (
            seen.dtype == torch.bfloat16
            and seen.metrics["meta"]["device"]["precision"] == "bf16-true"
        ),
    ),
    "max_epochs": (("trainer.max_epochs=2",), lambda seen: seen.steps == 8),
    "min_epochs": (
        (
            "trainer.max_epochs=3",
            "callbacks=early_stopping",
            "+callbacks.early_stopping.stopping_threshold=99",
            "+trainer.min_epochs=2",
        ),
        lambda seen: seen.steps == 8,
    ),
    "max_steps": (
        ("trainer.max_epochs=3", "+trainer.max_steps=6"),
        lambda seen: seen.steps == 6 and seen.validated == [4],
    ),
    "min_steps": (
        ("trainer.max_epochs=3", "+trainer.max_time=00:00:00:00", "+trainer.min_steps=5"),
        lambda seen: seen.steps == 5,
    ),
    "max_time": (
        ("trainer.max_epochs=9999", "+trainer.max_time={seconds: 1}"),
        lambda seen: (
            seen.validated[-1] == seen.steps < 9999
            and f"trainer.max_time is over: the training ends after {seen.steps} st" in seen.log
        ),
    ),
    "limit_train_batches": (("trainer.limit_train_batches=2",), lambda seen: seen.steps == 2),
    "limit_val_batches": (
        ("trainer.limit_val_batches=1", "data.batch_size=9"),
        lambda seen: seen.trainer is not None and seen.trainer.num_val_batches == [1],
    ),
    "limit_test_batches": (
        ("trainer.limit_test_batches=2", "data.batch_size=16"),
        lambda seen: (
            seen.metrics["test/n"] == 32 and "32 of 63 test samples are scored" in seen.log
        ),
    ),
    "overfit_batches": (
        ("+trainer.overfit_batches=2", "trainer.max_epochs=2"),
        lambda seen: (
            seen.steps == 4 and rows_of(seen, 0) == rows_of(seen, 1) and "shuffling" not in seen.log
        ),
    ),
    "val_check_interval": (
        ("+trainer.val_check_interval=0.5",),
        lambda seen: seen.validated == [2, 4],
    ),
    "check_val_every_n_epoch": (
        ("+trainer.check_val_every_n_epoch=2", "trainer.max_epochs=3"),
        lambda seen: seen.validated == [8] and seen.steps == 12,
    ),
    "num_sanity_val_steps": (
        ("trainer.num_sanity_val_steps=2",),
        lambda seen: seen.sanity == 1 and seen.log.count("epoch 1/1") == 1,
    ),
    "log_every_n_steps": (
        ("trainer.log_every_n_steps=1",),
        lambda seen: (
            next(seen.folder.path.glob("csv/*/metrics.csv")).read_text().count("\n") >= 1 + 4 + 4
        ),
    ),
    "enable_progress_bar": (
        ("trainer.enable_progress_bar=false",),
        lambda seen: seen.trainer is not None and seen.trainer.progress_bar_callback is None,
    ),
    "enable_model_summary": (
        ("+trainer.enable_model_summary=true",),
        lambda seen: any(
            isinstance(c, lightning_callbacks.RichModelSummary)
            for c in seen.trainer.callbacks  # type: ignore[union-attr]
        ),
    ),
    "accumulate_grad_batches": (
        ("trainer.accumulate_grad_batches=2",),
        lambda seen: seen.steps == 2 and len(seen.batches) == 4,
    ),
    "gradient_clip_val": (
        ("trainer.gradient_clip_val=0.01",),
        lambda seen: 0 < seen.norm <= 0.0101,
    ),
    "gradient_clip_algorithm": (
        ("trainer.gradient_clip_val=0.01", "+trainer.gradient_clip_algorithm=value"),
        lambda seen: 0 < seen.gradient <= 0.01 < seen.norm,
    ),
    "deterministic": (
        ("trainer.deterministic=true",),
        lambda seen: torch.are_deterministic_algorithms_enabled(),
    ),
    "benchmark": (("+trainer.benchmark=true",), lambda seen: torch.backends.cudnn.benchmark),
    "inference_mode": (("+trainer.inference_mode=false",), lambda seen: not seen.inference),
    "profiler": (
        ("+trainer.profiler=simple",),
        lambda seen: "run_training_batch" in seen.log,
    ),
    "detect_anomaly": (("+trainer.detect_anomaly=true",), lambda seen: seen.anomaly),
    "reload_dataloaders_every_n_epochs": (
        ("+trainer.reload_dataloaders_every_n_epochs=1", "trainer.max_epochs=2"),
        lambda seen: seen.steps == 8 and rows_of(seen, 0) != rows_of(seen, 1),
    ),
}
# Shown by tests of their own.
ELSEWHERE = {
    "strategy": "tests/integration/test_ddp.py",
    "devices": "tests/integration/test_ddp.py",
    "num_nodes": "tests/slurm/test_slurm.py",
    "fast_dev_run": "tests/integration/test_train.py",
}
UNTESTED = {"sync_batchnorm"}  # needs two GPUs; its note says so


def test_what_is_said_to_work_is_shown_to() -> None:
    said = {name for name, setting in ARGUMENTS.items() if setting.works}
    assert said == {*WORKS, *ELSEWHERE, *UNTESTED}
    assert {*QUICK, *(name for names in TOGETHER for name in names)} == {*WORKS}
    assert all("untested" in ARGUMENTS[name].note for name in UNTESTED)
    assert all((ROOT / file).is_file() for file in ELSEWHERE.values())


QUICK = ("overfit_batches",)
# What one training shows at once.
TOGETHER = (
    (
        *("accelerator", "num_sanity_val_steps", "log_every_n_steps", "enable_model_summary"),
        *("deterministic", "inference_mode", "detect_anomaly", "gradient_clip_val"),
    ),
    (
        *("enable_progress_bar", "benchmark", "val_check_interval", "profiler"),
        "gradient_clip_algorithm",
    ),
    ("max_epochs", "reload_dataloaders_every_n_epochs"),
    ("limit_train_batches", "limit_test_batches", "precision"),
    ("min_epochs",),
    ("max_steps",),
    ("limit_val_batches",),
    ("check_val_every_n_epoch",),
    ("accumulate_grad_batches",),
    ("max_time",),
    ("min_steps",),
)


@pytest.fixture
def torch_settings() -> Any:
    """What Trainer switches for the whole process is switched back."""
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    yield
    torch.use_deterministic_algorithms(before[0])
    torch.backends.cudnn.benchmark = before[1]


@pytest.mark.usefixtures("torch_settings")
@pytest.mark.parametrize("name", QUICK)
def test_an_argument_works(train_here: Train, name: str) -> None:
    overrides, obeyed = WORKS[name]
    assert obeyed(spied(train_here, *overrides))


@pytest.mark.slow
@pytest.mark.usefixtures("torch_settings")
@pytest.mark.parametrize("names", TOGETHER)
def test_arguments_work(train_here: Train, names: tuple[str, ...]) -> None:
    overrides = dict.fromkeys(override for name in names for override in WORKS[name][0])
    seen = spied(train_here, *overrides)
    assert [name for name in names if not WORKS[name][1](seen)] == []


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true", "32-true"])
def test_further_precisions_work(train_here: Train, precision: str) -> None:
    seen = spied(train_here, f"trainer.precision={precision}")
    assert seen.dtype == (torch.float64 if precision == "64-true" else torch.float32)
    assert seen.metrics["meta"]["device"]["precision"] == precision


# By callback: its node, and how the run shows that it worked.
CALLBACKS_WORK: dict[str, tuple[tuple[str, ...], Callable[[Seen], bool]]] = {
    "EarlyStopping": (
        (
            "trainer.max_epochs=3",
            "callbacks=early_stopping",
            "+callbacks.early_stopping.stopping_threshold=99",
        ),
        lambda seen: seen.steps == 4,
    ),
    "LambdaCallback": (
        (
            f"+callbacks.told={{_target_: {LIGHTNING}.LambdaCallback,"
            f" on_train_end: {{_target_: {__name__}.note, _partial_: true}}}}",
        ),
        lambda seen: seen.sanity == -1,
    ),
    "LearningRateMonitor": (
        ("trainer.log_every_n_steps=1",),
        lambda seen: "lr-AdamW" in next(seen.folder.path.glob("csv/*/metrics.csv")).read_text(),
    ),
    "ModelCheckpoint": (
        (
            f"+callbacks.mine={{_target_: {LIGHTNING}.ModelCheckpoint,"
            " every_n_epochs: 1, save_top_k: -1}",
            "trainer.max_epochs=2",
        ),
        lambda seen: len(list(seen.folder.path.rglob("epoch=*.ckpt"))) == 2,
    ),
    "ModelSummary": (
        (f"+callbacks.summary._target_={LIGHTNING}.ModelSummary",),
        lambda seen: "Trainable params" in seen.log,
    ),
    "RichModelSummary": (
        (f"+callbacks.summary._target_={LIGHTNING}.RichModelSummary",),
        lambda seen: seen.steps == 4,
    ),
    "RichProgressBar": (
        (f"callbacks.progress._target_={LIGHTNING}.RichProgressBar",),
        lambda seen: seen.steps == 4,
    ),
    "TQDMProgressBar": (
        (f"callbacks.progress._target_={LIGHTNING}.TQDMProgressBar",),
        lambda seen: seen.steps == 4,
    ),
}
CALLBACKS_TOGETHER = (
    ("LambdaCallback", "LearningRateMonitor", "ModelSummary", "TQDMProgressBar"),
    ("RichModelSummary", "RichProgressBar"),
    ("EarlyStopping",),
    ("ModelCheckpoint",),
)
OWN = {
    "Callback",
    "Checkpoint",
    "ProgressBar",
}  # `Spy`, `LastCheckpoint`; what the bars are made of
AVERAGES = {"EMAWeightAveraging", "WeightAveraging"}


def note(*arguments: object) -> None:
    Spy.seen.sanity = -1


def test_what_callback_is_said_to_work_is_shown_to() -> None:
    said = {name for name, setting in CALLBACKS.items() if setting.works}
    assert said == {*CALLBACKS_WORK, *OWN, *AVERAGES, "DeviceStatsMonitor"}
    assert {name for names in CALLBACKS_TOGETHER for name in names} == {*CALLBACKS_WORK}


@pytest.mark.slow
@pytest.mark.parametrize("names", CALLBACKS_TOGETHER)
def test_callbacks_work(train_here: Train, names: tuple[str, ...]) -> None:
    overrides = dict.fromkeys(override for name in names for override in CALLBACKS_WORK[name][0])
    seen = spied(train_here, *overrides)
    assert [name for name in names if not CALLBACKS_WORK[name][1](seen)] == []


def test_the_device_is_watched_or_the_package_named(train_here: Train) -> None:
    watched = (f"+callbacks.mine._target_={LIGHTNING}.DeviceStatsMonitor",)
    if find_spec("psutil") is None and not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="psutil"):
            train_here(*watched)
    else:
        seen = spied(train_here, *watched, "trainer.log_every_n_steps=1")
        csv = next(seen.folder.path.glob("csv/*/metrics.csv")).read_text()
        assert "DeviceStatsMonitor" in csv


@pytest.mark.slow
@pytest.mark.parametrize(
    "node",
    [
        f"{{_target_: {LIGHTNING}.EMAWeightAveraging, decay: 0.7}}",
        f"{{_target_: {LIGHTNING}.WeightAveraging}}",
    ],
)
def test_the_reported_weights_are_those_that_were_chosen(
    train_here: Train, tmp_path: Path, node: str
) -> None:
    folder = train_here(f"+callbacks.average={node}", "trainer.max_epochs=2")
    evaluated = evaluate(
        composed(
            *(setting for setting in TINY if not setting.startswith(("model", "trainer.max"))),
            f"checkpoint={folder.path}",
            f"output={tmp_path / 'evaluation'}",
            config_name="evaluate",
        )
    )
    assert evaluated is not None
    checkpoint = torch.load(folder.best, weights_only=True)
    raw, kept = checkpoint["current_model_state"], checkpoint["state_dict"]
    assert not all(torch.equal(raw[name], kept[name]) for name in kept)
    reported = folder.read_metrics()
    scores = {key: value for key, value in reported.items() if key.startswith("test/")}
    assert {key: evaluated[key] for key in scores} == scores


@pytest.mark.parametrize(
    "setting",
    [
        "trainer.max_epochs=3",
        "+trainer.max_time=00:00:01:00",
        "data.selection=test",
        "data.class_weights=none",
        "loss.alpha=1",
        "optimizer.lr=1",
        "warmup=0.1",
    ],
)
def test_evaluate_refuses_how_to_train(setting: str) -> None:
    weights = ("checkpoint=nowhere.pt", "data=demo8", "model=tiny", "loss=combined")
    config = composed(*weights, setting, config_name="evaluate")
    with pytest.raises(ConfigError, match=f"^{setting.lstrip('+').partition('=')[0]} says how to"):
        evaluate(config)
