"""Where annotations come from: what a data set takes, and what the commands without a loader do."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf, open_dict

from cage_lightning.app import build, nodes
from cage_lightning.data import datasets
from cage_lightning.data.source import Source
from cage_lightning.errors import CageError, ConfigError
from cage_lightning.report import runs
from tests.conftest import composed

OLDER = sorted((Path(__file__).parents[2] / "golden/run_479195c/configs").glob("*.yaml"))
OWN = {"data=emotic", "data=demo_emotic", "data=ferplus"}
SOURCES = [value for value in vars(datasets).values() if inspect.isclass(value)]


@pytest.mark.parametrize("source", [s for s in SOURCES if issubclass(s, Source)])
def test_no_data_set_takes_just_any_setting(source: Callable[..., Source]) -> None:
    kinds = {parameter.kind for parameter in inspect.signature(source).parameters.values()}
    assert kinds == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("data", ["affectnet8", "demo8", "emotic", "demo_emotic", "ferplus"])
def test_a_setting_that_nothing_takes_is_refused(data: str) -> None:
    config = composed(f"data={data}", "+data.colour=grey")
    config.run_dir = "run"
    for make in (build.build_data, nodes.build_source, build.check):
        with pytest.raises(ConfigError, match=r"no setting 'data\.colour': the data takes label_s"):
            make(config)


@pytest.mark.parametrize("file", OLDER, ids=lambda file: file.stem)
def test_the_data_of_an_older_run_is_built(file: Path) -> None:
    config: Any = OmegaConf.load(file)
    data = build.build_data(config)
    assert data.selection == config.data.selection
    assert data.source.label_space.name == config.data.label_space
    assert (data.batch_size, data.seed) == (config.data.batch_size, config.data.seed)


@pytest.mark.parametrize("protocol", ["paper", "published_code"])
@pytest.mark.parametrize("data", ["data=affectnet8", "data=rafdb", "data=ferplus", "data=emotic"])
def test_the_split_that_chooses_the_epoch(data: str, protocol: str) -> None:
    config = composed(data, f"protocol={protocol}", "loss=va").data
    of_protocol = "holdout" if protocol == "paper" else "test"
    assert config.selection == ("val" if data in OWN else of_protocol)
    assert config.balance == (data != "data=emotic")


@pytest.mark.parametrize("data", ["affectnet8", "rafdb"])
def test_a_split_that_the_release_does_not_have(data: str) -> None:
    config = composed(f"data={data}", "data.selection=val", "model=tiny")
    with pytest.raises(ConfigError, match=r"^data\.selection=val: choose one of holdout, test$"):
        build.build_data(config)


@pytest.mark.parametrize("command", ["prepare", "analyze"])
def test_commands_that_load_no_batches_take_no_setting_of_the_loaders(command: str) -> None:
    config = composed("data=demo8", config_name=command)
    assert not {"augment", "seed"} & config.keys()
    assert not {"batch_size", "seed", "selection", "balance"} & config.data.keys()
    assert isinstance(nodes.build_source(config), datasets.DemoFaces)
    for setting in ("data.num_workers=3", "data.holdout_fraction=0.2", "+data.batch_size=3"):
        config = composed("data=demo8", setting, config_name=command)
        with pytest.raises(
            ConfigError, match=rf"^{setting.lstrip('+').split('=')[0]} is a setting of train "
        ):
            nodes.build_source(config)


def test_only_what_was_typed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    config = composed("data=demo8", "data.num_workers=3", config_name="analyze")
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)  # as in a notebook
    assert nodes.build_source(config).label_space.name == "affectnet8"


def test_a_data_set_that_does_not_exist() -> None:
    config = composed("data=demo8")
    with open_dict(config):
        config.data._target_ = "cage_lightning.data.datasets.Nothing"
    with pytest.raises(CageError, match=r"data\._target_=.*Nothing: there is no such class"):
        build.build_data(config)


def test_a_report_knows_which_data_sets_are_drawn() -> None:
    drawn = {f"{s.__module__}.{s.__qualname__}" for s in SOURCES if getattr(s, "drawn", False)}
    assert drawn == set(runs._DRAWN)
