"""Run folders that an earlier commit wrote are read as what they meant then."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from cage_lightning.errors import ConfigError
from cage_lightning.models.tiny import TinyNetwork
from cage_lightning.runs.folder import RunFolder
from cage_lightning.runs.identity import essence
from tests.conftest import TINY, Command, composed

OLD = Path(__file__).with_name("run_479195c")
CONFIGS = sorted((OLD / "configs").glob("*.yaml"))
SETTINGS = (
    *TINY,
    "trainer.max_epochs=3",
    "optimizer._target_=torch.optim.SGD",
    "optimizer.lr=0.002",
)
NAME = "demo8-tiny-combined-s0"


def plain(config: Any) -> Any:
    return OmegaConf.to_container(config, resolve=True)


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_the_same_command_means_the_same_run(file: Path) -> None:
    # A new setting that breaks this needs its line in identity.ABSENT.
    command = file.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# train ").split()
    config = composed(*command)
    config.run_dir = str(RunFolder.of(config).path)
    assert essence(plain(config)) == essence(plain(OmegaConf.load(file)))


def take_up(config: DictConfig, place: Path, write: Callable[[Any], None]) -> None:
    """Take up a run that was begun below `place`; `write` changes what its config.yaml says."""
    config.runs = str(place)
    folder = RunFolder.of(config)
    config.run_dir = str(folder.path)
    there = plain(config)
    write(there)
    folder.last.parent.mkdir(parents=True)
    folder.last.touch()
    folder.config_file.write_text(OmegaConf.to_yaml(there))
    folder.claim(config)


def test_an_absent_setting_has_the_value_it_stood_for(tmp_path: Path) -> None:
    config = composed(*SETTINGS, "loss=va")
    take_up(config, tmp_path / "a", lambda there: there["loss"].pop("gamma"))
    config.loss.gamma = 0.5
    with pytest.raises(ConfigError, match=r"loss.gamma is 0.5 here and 1.0 there"):
        take_up(config, tmp_path / "b", lambda there: there["loss"].pop("gamma"))


def test_a_setting_without_effect_makes_no_other_run(tmp_path: Path) -> None:
    config = composed(*SETTINGS)
    take_up(config, tmp_path / "a", lambda there: there["loss"].update(class_weights="none"))
    take_up(config, tmp_path / "b", lambda there: there["loss"].pop("class_weights", None))
    take_up(
        config, tmp_path / "c", lambda there: there["choices"].update(protocol="mine", more="x")
    )


def curve(run: Path, start: int) -> list[tuple[str, str]]:
    """Epoch and loss of the selection split, as one start of a run logged it."""
    with (run / f"csv/version_{start}/metrics.csv").open() as lines:
        return [(row["epoch"], row["val/loss"]) for row in csv.DictReader(lines) if row["val/loss"]]


@pytest.mark.slow
def test_runs_of_an_earlier_commit(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TinyNetwork.__init__, "__defaults__", (64, (16, 16, 16, 16)))
    shutil.copytree(OLD, tmp_path / "runs")
    runs = tmp_path / "runs"
    before = (runs / "finished" / NAME / "metrics.json").read_bytes()

    skipped = command("train", *SETTINGS, "group=finished")
    assert "is finished already" in skipped.stderr
    assert (runs / "finished" / NAME / "metrics.json").read_bytes() == before

    resumed = command("train", *SETTINGS, "group=begun")
    assert "resuming from" in resumed.stderr
    # What that commit came to without a stop.
    undisturbed = curve(runs / "finished" / NAME, 0)
    assert [epoch for epoch, _ in undisturbed] == ["0", "1", "2"]
    left = curve(runs / "begun" / NAME, 1)
    assert [float(loss) for _, loss in left] == pytest.approx(
        [float(loss) for _, loss in undisturbed[1:]], rel=1e-4
    )
    scores, expected = (
        json.loads((runs / group / NAME / "metrics.json").read_text())
        for group in ("begun", "finished")
    )
    tests = {key: value for key, value in expected.items() if key.startswith("test/")}
    assert {key: scores[key] for key in tests} == pytest.approx(tests, rel=1e-4, nan_ok=True)

    command("evaluate", f"checkpoint=runs/finished/{NAME}", *TINY[:2], "data.num_workers=0")
    again = json.loads((runs / f"finished/{NAME}/evaluations/demo8/metrics.json").read_text())
    assert {key: again[key] for key in tests} == pytest.approx(tests, rel=1e-4, nan_ok=True)

    command("collect", "table=table6", "runs=runs/finished", "output=out")
    with (tmp_path / "out/results.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert {(row["data"], row["model"], row["loss"]) for row in rows} == {
        ("demo8", "tiny", "combined")
    }
