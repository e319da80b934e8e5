"""The real command on drawn faces: what a run leaves behind, skips, refuses and reports."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
import yaml

from cage_lightning.labels import AFFECTNET_8
from cage_lightning.predictions.files import read_predictions
from tests.conftest import TINY, Command


def test_a_run_from_start_to_finish(command: Command, tmp_path: Path) -> None:
    done = command("train", *TINY, "loss=combined", "logger=tensorboard")
    run = tmp_path / "runs/default/demo8-tiny-combined-s0"
    assert "CCC valence" in done.stdout
    assert str(run.relative_to(tmp_path)) in done.stdout
    assert {p.name for p in run.iterdir()} >= {
        "config.yaml",
        "checkpoints",
        "metrics.json",
        "predictions.parquet",
        "train.log",
        "csv",
        "tensorboard",
    }
    metrics = json.loads((run / "metrics.json").read_text())
    for score in ("accuracy", "f1_weighted", "f1_macro", "precision_weighted", "recall_weighted"):
        assert 0 <= metrics[f"test/{score}"] <= 1
    for score in ("mse", "mae", "rmse", "ccc"):
        for part in ("valence", "arousal", "pooled"):
            assert f"test/{score}_{part}" in metrics
    meta = metrics["meta"]
    assert meta["seed"] == 0
    assert "dry" not in yaml.safe_load((run / "config.yaml").read_text())
    timing = meta["timing"]
    assert timing["train_samples"] == 2 * meta["data"]["train"]["samples"]
    assert timing["validation_samples"] == 2 * meta["data"]["val"]["samples"]
    assert timing["test_samples"] == meta["data"]["test"]["samples"]
    phases = ("start", "train", "validation", "test", "results")
    assert all(timing[f"{phase}_s"] > 0 for phase in phases)
    assert meta["selection"]["split"] == "holdout"
    assert meta["class_weights"]["setting"] == "paper"
    counts = meta["class_weights"]["counts"]
    assert sum(counts.values()) == meta["data"]["train"]["samples"]
    assert meta["class_weights"]["weights"].keys() == counts.keys()
    log = (run / "train.log").read_text(encoding="utf-8")
    assert f"Neutral 0.01561 ({counts['Neutral']})" in log
    assert "distributed otherwise" not in log
    assert meta["data"]["test"]["samples"] == 63  # one contempt is missing, as in the release

    predictions = read_predictions(run / "predictions.parquet")
    assert predictions.space == AFFECTNET_8
    assert len(predictions) == 63
    rows = pq.read_table(run / "predictions.parquet").to_pylist()
    right = sum(row["category_true"] == row["category_pred"] for row in rows)
    assert right / 63 == pytest.approx(metrics["test/accuracy"])
    assert all(
        sum(row[f"prob_{c}"] for c in AFFECTNET_8.categories) == pytest.approx(1) for row in rows
    )
    errors = [(row["valence_true"] - row["valence_pred"]) ** 2 for row in rows]
    assert sum(errors) / 63 == pytest.approx(metrics["test/mse_valence"], abs=1e-6)

    # Nothing pickled: both checkpoints load as plain containers, and `last` is the last epoch.
    last = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    best = torch.load(run / "checkpoints/best.ckpt", weights_only=True)
    assert last["global_step"] == 8
    assert last["label_space"] == best["label_space"] == AFFECTNET_8.to_dict()
    assert all(name.startswith("network.") for name in best["state_dict"])

    # The same command again: finished, left alone.
    before = (run / "metrics.json").stat().st_mtime_ns
    again = command("train", *TINY, "loss=combined", "logger=tensorboard")
    assert "finished already" in again.stderr
    assert (run / "metrics.json").stat().st_mtime_ns == before

    # Another config under the same name.
    other = command("train", *TINY, "loss=combined", "optimizer.lr=0.5", check=False)
    assert other.returncode == 1
    assert "optimizer.lr is 0.5 here and" in other.stderr
    assert "tag=NAME" in other.stderr

    # The evaluation of its checkpoint gives the same numbers.
    command("evaluate", f"checkpoint={run}", "data=demo8", "data.size=tiny", "data.num_workers=0")
    evaluated = json.loads((run / "evaluations/demo8/metrics.json").read_text())
    for key, value in metrics.items():
        if key.startswith("test/"):
            assert evaluated[key] == pytest.approx(value, abs=1e-6), key

    # A va run from it takes over the backbone and says that the head does not fit.
    va = command("train", *TINY, "loss=va", f"init_from={run}", "seed=3")
    assert "head not loaded" in va.stderr
    results = json.loads((tmp_path / "runs/default/demo8-tiny-va-s3/metrics.json").read_text())
    assert "test/ccc_valence" in results
    assert "test/accuracy" not in results
    assert results["meta"]["data"]["train"]["samples"] % 8 == 0  # balanced


@pytest.mark.slow
@pytest.mark.usefixtures("only_png")
def test_a_run_draws_figures_where_it_is_asked_to(command: Command, tmp_path: Path) -> None:
    command("train", *TINY, "trainer.max_epochs=1", "figures=true")
    run = tmp_path / "runs/default/demo8-tiny-combined-s0"
    assert (run / "figures/worst_samples.png").is_file()
    assert json.loads((run / "metrics.json").read_text())["meta"]["timing"]["figures_s"] > 0


MISTAKES = {
    "missing root": (("data=affectnet8", "data.root=/nowhere"), "/nowhere"),
    "unknown key": (("optimizer.lrr=1",), "did you mean 'optimizer.lr'"),
    "unknown group": (("modell=tiny",), "did you mean 'model'"),
    "unknown choice": (("model=maxvitt",), "did you mean 'maxvit'"),
    "wrong type": (("seed=abc",), "could not be converted to Integer"),
    "no such checkpoint": ((*TINY, "init_from=/nowhere.ckpt"), "there is no checkpoint"),
    "batch too small": ((*TINY, "data.batch_size=0"), "data.batch_size=0"),
    "diverged": ((*TINY, "optimizer.lr=1e6", "optimizer._target_=torch.optim.SGD"), "diverged"),
    "image size": ((*TINY, "model=maxvit", "model.weights=none", "model.image_size=64"), "224"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_ends_in_one_clear_line(command: Command, tmp_path: Path, mistake: str) -> None:
    arguments, expected = MISTAKES[mistake]
    done = command("train", *arguments, check=False)
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("metrics.json"))
    # What went wrong is found in the run folder as well, once there is one.
    assert all(expected in log.read_text() for log in tmp_path.rglob("train.log"))


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["discrete", "combined", "va"])
def test_fast_dev_run_keeps_nothing(command: Command, tmp_path: Path, loss: str) -> None:
    overrides = (f"loss={loss}", "trainer.fast_dev_run=true")
    done = command("train", *TINY, "model=maxvit_mini", *overrides)
    assert "it works" in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_config_needs_no_torch(command: Command) -> None:
    done = command("train", "--cfg", "job", process="started", PYTHONPROFILEIMPORTTIME="1")
    modules = {line.rsplit("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "hydra" in modules
    assert not modules & {"torch", "lightning", "torchvision", "timm", "wandb", "numpy"}


@pytest.mark.slow
def test_a_sweep_over_seeds(command: Command, tmp_path: Path) -> None:
    command("train", "-m", *TINY, "trainer.max_epochs=1", "seed=0,1")
    found = {p.parent.name for p in tmp_path.rglob("metrics.json")}
    assert found == {"demo8-tiny-combined-s0", "demo8-tiny-combined-s1"}
    again = command("train", "-m", *TINY, "trainer.max_epochs=1", "seed=0,1")
    assert again.stdout == "2 jobs: 2 skipped\n"


def test_a_sweep_over_several_devices_in_one_process_is_refused(command: Command) -> None:
    devices = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")
    jobs = (*TINY[:3], *devices, "seed=0,1", "hydra/launcher=basic")
    done = command("train", "-m", *jobs, check=False)
    assert done.returncode == 1
    assert "a sweep (-m) in one process cannot use several devices" in done.stderr
    assert "hydra/launcher=gpus" in done.stderr
