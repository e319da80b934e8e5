"""`benchmark`: what it measures and keeps, and the sentence that it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cage_lightning.commands import benchmark
from cage_lightning.commands.bottleneck import Parts, verdict_of
from cage_lightning.runs.measured import counted_by, read_rates
from cage_lightning.runs.rates import Workload
from tests.conftest import TINY, Command
from tests.unit.runs.test_rates import plain

QUICK = (*(x for x in TINY if "max_epochs" not in x), "model.image_size=32", "data.batch_size=16")


@pytest.mark.slow
def test_the_rates_are_kept_for_a_dry_run(
    command: Command, tmp_path: Path, few_faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "draw_figures", lambda *_, **__: [])
    monkeypatch.setattr(benchmark, "results", lambda *_: {})
    few = (*QUICK, f"data.root={few_faces}")
    done = command("benchmark", *few, "seconds=1")
    (file,) = tmp_path.rglob("*.json")
    (measured,) = read_rates(file)
    assert file.parent == tmp_path / "runs/.rates"
    assert measured.workload == Workload.of(plain(*few))
    assert measured.counted == counted_by(plain(*few))
    assert measured.device.threads == 1
    assert measured.samples["test"] == 15
    assert measured.rates.evaluation is not None
    entry = json.loads(file.read_text())["measured"][0]
    assert all(rate > 0 for rate in entry["parts"].values())
    assert entry["verdict"] in done.stdout
    assert str(tmp_path) not in file.read_text()
    said = command("train", *few, "trainer.max_epochs=2", "dry=true").stdout
    assert "from benchmark; samples as in benchmark" in said


def test_several_devices_are_refused(command: Command) -> None:
    done = command("benchmark", *QUICK, "trainer.devices=2", check=False)
    assert done.returncode == 1
    assert "benchmark measures one device" in done.stderr


@pytest.mark.parametrize("seconds", ["0.5", "301"])
def test_it_measures_five_minutes_at_most(command: Command, seconds: str) -> None:
    done = command("benchmark", *QUICK, f"seconds={seconds}", check=False)
    assert (done.returncode, "seconds=" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("parts", "device", "workers", "said"),
    [
        (Parts(900, 9_000, 500, 460, 1_500), "cuda", 4, "The network binds"),
        (Parts(900, 9_000, 100, 60, 1_500), "cpu", 0, "The network binds"),
        (Parts(2_000, 500, 900, 270, 1_500), "cpu", 0, "The augmentation binds"),
        (Parts(300, 900, 900, 180, 1_500), "cpu", 0, "data.num_workers=1 or more read meanwhile"),
        (Parts(300, 9_000, 500, 290, 300), "cuda", 4, "raise data.num_workers=4, of 8 CPUs"),
        (Parts(300, 9_000, 500, 290, 300), "cuda", 8, "pack the pictures"),
        (Parts(900, 9_000, 500, 300, 900), "cpu", 4, "share the CPU"),
        (Parts(300, 400, 900, 280, 1_500), "cpu", 4, "binds, in the processes of the loader"),
        (Parts(300, 9_000, 900, 280, 1_500), "cpu", 4, "pack the pictures"),
        (Parts(900, 9_000, 500, 300, 900), "cuda", 4, "Neither the loader nor the device"),
    ],
    ids=str,
)
def test_a_sentence_says_what_binds(parts: Parts, device: str, workers: int, said: str) -> None:
    assert said in verdict_of(parts, device, workers, cpus=8, compiled=True)


@pytest.mark.parametrize("compiled", [False, True])
def test_to_compile_is_proposed_once(compiled: bool) -> None:
    said = verdict_of(Parts(900, 9_000, 500, 460, 1_500), "cuda", 4, 8, compiled)
    assert ("compile=default" in said) == (not compiled)
