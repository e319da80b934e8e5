"""Rates: of finished runs of this version and of older ones, and of the file of `benchmark`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from cage_lightning.runs.folder import RunFolder
from cage_lightning.runs.measured import (
    counted_by,
    keep_rates,
    of_run,
    rates_file,
    read_measured,
    read_rates,
)
from cage_lightning.runs.rates import Device, Measured, Rates, Workload, rates_for
from tests.conftest import composed
from tests.fabricated_runs import write_run

GOLDEN = Path(__file__).parents[2] / "golden/run_479195c/finished/demo8-tiny-combined-s0"
TIMING = {
    "start_s": 4.0,
    "train_s": 10.0,
    "train_samples": 5_000,
    "validation_s": 2.0,
    "validation_samples": 1_500,
    "test_s": 1.0,
    "test_samples": 1_000,
    "results_s": 3.0,
    "threads": 2,
}
CPU = Device("cpu", "x86_64", 1, 2)


def plain(*overrides: str) -> Any:
    config = composed(*overrides)
    config.run_dir = "run"
    return OmegaConf.to_container(config, resolve=True)


WORKLOAD = Workload("tiny", 64, 64, 1, "auto", ("Flip",), "demo8", "combined")
MEASURED = Measured(
    WORKLOAD, CPU, Rates(100.0, 200.0), "x", {"train": 1, "val": 1, "test": 1}, from_run=True
)


def of(rate: float, **changed: Any) -> Measured:
    """Something measured with this rate of training."""
    mine = {key: changed.pop(key) for key in ("data", "loss", "network") if key in changed}
    one = replace(MEASURED, workload=replace(WORKLOAD, **mine), **changed)
    return replace(one, rates=replace(one.rates, train=rate))


def found(*known: Measured, device: Device = CPU) -> tuple[float, str] | None:
    one = rates_for(known, WORKLOAD, device)
    return None if one is None else (one.rates.train, one.source)


def test_the_median_of_finished_runs_of_the_same_kind_counts() -> None:
    assert found(of(100.0), of(300.0), of(120.0)) == (120.0, "3 finished runs")
    assert found(of(100.0), of(1.0, from_run=False)) == (100.0, "1 finished run")
    assert found(of(1.0, from_run=False)) == (1.0, "benchmark")


def test_the_same_data_and_loss_count_first_and_others_are_named() -> None:
    assert found(of(100.0), of(50.0, loss="va")) == (100.0, "1 finished run")
    assert found(of(50.0, loss="va"), of(60.0, loss="va", data="demo7")) == (
        50.0,
        "1 finished run of loss=va",
    )


def test_what_costs_something_else_says_nothing() -> None:
    assert found() is None
    assert found(of(1.0, network="small")) is None
    assert found(replace(MEASURED, workload=replace(WORKLOAD, image_size=32))) is None
    assert found(replace(MEASURED, workload=replace(WORKLOAD, augmentation=()))) is None
    assert found(replace(MEASURED, workload=replace(WORKLOAD, sam=True))) is None
    assert found(replace(MEASURED, workload=replace(WORKLOAD, compile="default"))) is None
    assert found(MEASURED, device=Device("cpu", "x86_64", 1, 1)) is None
    assert found(MEASURED, device=Device("cuda", "A card", 1)) is None
    assert found(MEASURED, device=Device("cpu", None, 1)) is not None  # on a login node


def test_a_run_tells_its_phases(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "data=demo8", "model=tiny", "trainer=cpu")
    run = RunFolder(folder)
    metrics = run.read_metrics()
    metrics["meta"]["timing"] = TIMING
    metrics["meta"]["device"] |= {"type": "cpu", "name": "x86_64"}
    run.metrics_file.write_text(json.dumps(metrics))
    measured = of_run(run)
    assert measured is not None
    assert measured.rates == Rates(500.0, 1_000.0, 4.0, 3.0)
    assert measured.device == CPU
    assert measured.workload == Workload.of(plain("data=demo8", "model=tiny", "trainer=cpu"))


def test_a_run_of_an_older_version_tells_its_training_as_a_whole() -> None:
    measured = of_run(RunFolder(GOLDEN))
    assert measured is not None
    assert measured.rates == Rates(train=3 * 229 / 7.7)
    assert measured.device == Device("cpu", "x86_64", 1)
    assert measured.samples == {"train": 229, "val": 27, "test": 63}
    assert "do not tell" in rates_for([measured], measured.workload, CPU).source  # type: ignore[union-attr]


def test_samples_are_counted_once_for_all_seeds_networks_and_places() -> None:
    same = counted_by(plain("data=demo8", "model=tiny"))
    for other in ("seed=1", "data.root=/elsewhere", "data.num_workers=7", "loss=discrete"):
        assert counted_by(plain("data=demo8", "model=tiny", other)) == same
    for other in ("data.size=tiny", "data=demo7", "data.selection=test", "loss=va"):
        assert counted_by(plain("data=demo8", "model=tiny", other)) != same


def test_what_benchmark_keeps_is_read_again_and_replaced(tmp_path: Path) -> None:
    file = rates_file(tmp_path, CPU)
    assert file == tmp_path / ".rates/cpu-x86-64.json"
    first, other = of(1.0, from_run=False), of(2.0, from_run=False, loss="va")
    for one in (first, other, replace(first, rates=Rates(3.0, None, figures_s=2.0))):
        keep_rates(file, one, {"verdict": "a sentence"})
    assert read_rates(file) == [other, replace(first, rates=Rates(3.0, None, figures_s=2.0))]
    assert json.loads(file.read_text())["measured"][0]["verdict"] == "a sentence"


def broken(file: Path, content: str) -> list[str]:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content, encoding="utf-8")
    found, ignored = read_measured(file.parents[1], ["tiny"])
    assert found == []
    return ignored


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"version": 2}', '{"version": 1, "measured": [{}]}', '{"version": 1}', "nan"],
)
def test_a_damaged_rates_file_is_left_out_with_one_line(tmp_path: Path, content: str) -> None:
    file = rates_file(tmp_path, CPU)
    (line,) = broken(file, content)
    assert line.startswith(f"{file} is left out: it holds no rates")
    assert "\n" not in line
    keep_rates(file, MEASURED, {})
    assert len(read_rates(file)) == 1


@pytest.mark.parametrize("rate", ["0", "-1", "NaN", '"fast"', "true", "null", "Infinity"])
def test_a_rate_that_is_none_is_refused(tmp_path: Path, rate: str) -> None:
    file = rates_file(tmp_path, CPU)
    keep_rates(file, MEASURED, {})
    assert broken(file, file.read_text().replace('"train": 100.0', f'"train": {rate}'))


@pytest.mark.parametrize(
    "content",
    ["", "{}", '{"meta": 1}', '{"meta": {"device": {}, "data": {}, "wall_time_s": "long"}}'],
)
def test_damaged_results_are_left_out_with_one_line(tmp_path: Path, content: str) -> None:
    folder = write_run(tmp_path, "data=demo8", "model=tiny")
    (folder / "metrics.json").write_text(content)
    found, (line,) = read_measured(tmp_path, ["tiny"])
    assert found == []
    assert line.startswith(f"{folder} is left out: ")


def test_a_measurement_names_no_place(tmp_path: Path) -> None:
    settings = plain("data=demo8", "model=tiny", f"data.root={tmp_path}")
    file = rates_file(tmp_path, CPU)
    keep_rates(file, replace(MEASURED, counted=counted_by(settings)), {})
    assert str(tmp_path) not in file.read_text()
