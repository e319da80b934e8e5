"""W&B without login and network: it never waits, and leaves one run per job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
import yaml

from tests.conftest import TINY, Command, environment, forks
from tests.documentation import ROOT
from tests.planted_keys import KEYS, files_with_keys
from tests.wandb_files import read_run
from tests.wandb_service import Service


def table(run: Path, key: str) -> dict[str, Any]:
    """A table that was logged, as its file says."""
    (file,) = run.glob(f"wandb/offline-run-*/files/media/table/{key}_*.table.json")
    return json.loads(file.read_text())  # type: ignore[no-any-return]


@pytest.mark.slow
def test_a_run_is_logged_offline(command: Command, tmp_path: Path) -> None:
    settings = (*TINY, "logger=wandb", "group=paper", "trainer.log_every_n_steps=1")
    done = command("train", *settings, WANDB_MODE="offline", **KEYS)
    assert files_with_keys(tmp_path) == []
    assert not any(key in done.stdout + done.stderr for key in KEYS.values())
    folder = tmp_path / "runs/paper/demo8-tiny-combined-s0"
    found = read_run(folder)
    assert found["exit"] == 0
    run = found["run"]
    assert (run.run_group, run.job_type) == ("paper", "demo8-tiny-combined")
    assert run.display_name == "demo8-tiny-combined-s0"
    assert set(run.tags) == {
        *("data:demo8", "model:tiny", "loss:combined", "seed:0", "protocol:paper", "augment:paper")
    }
    logged = {key for row in found["history"] for key in row}
    assert {"train/loss", "val/loss", "val/ccc_valence", "test/accuracy"} <= logged
    assert found["config"]["loss"]["alpha"] == 5
    assert {a.type for a in found["artifacts"]} == {"run_table"}  # no checkpoint unless asked for

    scores = json.loads((folder / "metrics.json").read_text())
    numbers = {k: v for k, v in scores.items() if k.startswith(("test/", "baseline_"))}
    assert {k: found["summary"][k] for k in numbers} == pytest.approx(numbers)

    predictions = pyarrow.parquet.read_table(folder / "predictions.parquet").to_pylist()
    matrix = table(folder, "test/confusion_matrix_table")
    counts = {(true, predicted): n for true, predicted, n in matrix["data"] if n}
    expected = Counter((row["category_true"], row["category_pred"]) for row in predictions)
    assert counts == expected
    samples = table(folder, "test/samples")
    assert len(samples["data"]) == min(100, len(predictions))
    assert "picture" not in samples["columns"]
    by_id = {row["id"]: row for row in predictions}
    for values_ in samples["data"]:
        row = dict(zip(samples["columns"], values_, strict=True))
        for name in ("category_true", "category_pred", "valence_true", "arousal_pred"):
            assert row[name] == pytest.approx(by_id[row["id"]][name], abs=1e-6)
    points = table(folder, "test/circumplex_table")
    assert points["columns"] == ["valence_pred", "arousal_pred", "valence_true", "arousal_true"]
    assert len(points["data"]) == len(predictions)


@pytest.mark.slow
def test_what_is_off_by_default(command: Command, tmp_path: Path) -> None:
    more = ("logger.wandb.log_model=true", "logger.wandb.pictures=true", "loss=discrete")
    command("train", *TINY, "logger=wandb", *more, "trainer.max_epochs=1")
    folder = tmp_path / "runs/default/demo8-tiny-discrete-s0"
    files = [
        (artifact.type, Path(entry.path).suffix)
        for artifact in read_run(folder)["artifacts"]
        for entry in artifact.manifest.contents
    ]
    samples = table(folder, "test/samples")
    assert samples["columns"][-1] == "picture"
    assert Counter(files) == {
        ("model", ".ckpt"): 1,
        ("run_table", ".png"): len(samples["data"]),
        ("run_table", ".json"): 2,
    }


@pytest.mark.slow
def test_a_run_that_is_stopped_and_goes_on_is_one_run(
    command: Command, tmp_path: Path, demo_root: Path
) -> None:
    settings = (*TINY, "logger=wandb", "trainer.max_epochs=4")
    with forks():
        process = subprocess.Popen(
            [sys.executable, "-m", "cage_lightning.train", *settings],
            cwd=tmp_path,
            env=environment(demo_root),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    folder = tmp_path / "runs/default/demo8-tiny-combined-s0"
    while process.poll() is None and not (folder / "checkpoints/last.ckpt").is_file():
        time.sleep(0.02)
    process.terminate()
    assert process.wait(60) == 143
    command("train", *settings)
    stopped, finished = read_run(folder, 0), read_run(folder, 1)
    assert stopped["run"].run_id == finished["run"].run_id
    assert (stopped["exit"], stopped["preempting"]) == (143, True)
    assert finished["exit"] == 0
    steps = [row["trainer/global_step"] for run in (stopped, finished) for row in run["history"]]
    assert steps == sorted(steps)


@pytest.mark.slow
def test_a_run_that_never_begins_says_why(command: Command, tmp_path: Path) -> None:
    command("train", *TINY, "logger=wandb", "init_from=nowhere.ckpt", check=False)
    found = read_run(tmp_path / "runs/default/demo8-tiny-combined-s0")
    assert found["exit"] == 1
    assert "there is no checkpoint nowhere.ckpt" in found["summary"]["error"]


@pytest.mark.slow
def test_every_job_of_a_sweep_has_a_run_and_a_failure_says_so(
    command: Command, tmp_path: Path
) -> None:
    jobs = (*TINY, "trainer.max_epochs=1", "optimizer._target_=torch.optim.SGD")
    sweep = ("-m", "hydra/launcher=basic", *jobs, "optimizer.lr=1e-4,1e6")
    done = command("train", *sweep, "logger=wandb", check=False)
    assert done.returncode == 1
    assert read_run(tmp_path / "runs/default/demo8-tiny-combined-s0-lr0.0001")["exit"] == 0
    assert read_run(tmp_path / "runs/default/demo8-tiny-combined-s0-lr1000000")["exit"] == 1


@pytest.mark.slow
def test_a_server_that_does_not_answer_turns_it_offline(command: Command, tmp_path: Path) -> None:
    # Nothing listens there; with a key W&B would try for a minute and a half.
    server = {"WANDB_API_KEY": "a" * 40, "WANDB_BASE_URL": "http://127.0.0.1:9"}
    done = command("train", *TINY, "trainer.max_epochs=1", "logger=wandb", **server)
    assert "logging offline" in done.stderr
    assert read_run(tmp_path / "runs/default/demo8-tiny-combined-s0")["exit"] == 0


@pytest.mark.slow
def test_a_server_that_is_gone_in_the_middle_costs_no_run(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cage_lightning.loggers._SECONDS_TO_FINISH", 5)
    with Service.running(goes_dark=True) as service:
        done = command("train", *TINY, "logger=wandb", process="forked", **service)
        assert Service.dark
    assert "W&B does not answer" in done.stderr
    assert (tmp_path / "runs/default/demo8-tiny-combined-s0/metrics.json").is_file()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_an_agent_trains_what_the_sweep_of_the_docs_says(tmp_path: Path, few_faces: Path) -> None:
    """By the programs of W&B themselves; who chooses the settings is made up, and keeps no run."""
    sweep = yaml.safe_load((ROOT / "docs/wandb-sweep.yaml").read_text())
    smaller = [one for one in TINY if one not in sweep["command"]]
    smaller += ["trainer.max_epochs=1", "model.image_size=32", f"data.root={few_faces}"]
    sweep["command"][-1:-1] = smaller
    sweep["command"].insert(1, "WANDB_MODE=offline")  # after ${env}
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    chosen = [{"optimizer.lr": 0.002, "augment": "none", "trainer.gradient_clip_val": None}]
    with Service.running(chosen=chosen) as service:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        env = environment(tmp_path) | service | {"PATH": path, "WANDB_PROJECT": "cage_lightning"}
        for words in (("sweep", "sweep.yaml"), ("agent", "me/cage_lightning/abc")):
            done = subprocess.run(
                [sys.executable, "-m", "wandb", *words],
                cwd=tmp_path,
                env=env,
                capture_output=True,
                text=True,
                timeout=900,
                stdin=subprocess.DEVNULL,
            )
            assert done.returncode == 0, done.stdout + done.stderr
    (file,) = (tmp_path / "runs/lr").glob("*/metrics.json")
    name = "demo8-tiny-combined-s0-augment-none-lr0.002-gradient_clip_val-null"
    assert file.parent.name == name
    run = read_run(file.parent)["run"]
    assert (run.run_id, run.sweep_id) == ("run0", "abc")
