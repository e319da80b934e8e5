"""What Hydra's own `compose` gives, as in a notebook, is used like what a command composes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from cage_lightning.app import build
from cage_lightning.app.schema import CONF_DIR, name_choices, register
from cage_lightning.errors import ConfigError
from cage_lightning.runs.folder import RunFolder
from tests.conftest import TINY

GROUPS = ("data", "model", "loss", "protocol", "augment", "scheduler")
FILES = [
    (group, file.stem) for group in GROUPS for file in sorted((CONF_DIR / group).glob("*.yaml"))
]


@pytest.fixture(autouse=True)
def no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hydra knows of no command that runs."""
    register()
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)


def in_notebook(*overrides: str, config_name: str = "train") -> DictConfig:
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return compose(config_name, overrides=list(overrides))


def resolved(config: DictConfig) -> Any:
    return OmegaConf.to_container(config, resolve=True)


def test_it_builds(demo_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAGE_DATA", str(demo_root))
    config = in_notebook(*TINY, "loss=va", "logger=wandb", "tag=x")
    assert RunFolder.of(config).path == Path("runs/default/demo8-tiny-va-s0-x")
    config.run_dir = "run"
    assert resolved(config)["logger"]["wandb"]["tags"]["model"] == "tiny"
    data = build.build_data(config)
    data.setup("fit")
    module = build.build_module(config, data)
    assert module.num_outputs(data.label_space) == 2
    assert len(build.build_callbacks(config)) == 7


def test_a_sweep_file_resolves() -> None:
    config = in_notebook("sweep=ablation_schedule", "scheduler=constant")
    assert config.tag == "constant"


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("evaluate", ("data=emotic", "checkpoint=x", "model=maxvit", "loss=va")),
        ("prepare", ("data=demo7",)),
        ("analyze", ("data=ferplus",)),
    ],
)
def test_other_commands_resolve(name: str, overrides: tuple[str, ...]) -> None:
    config = resolved(in_notebook(*overrides, config_name=name))
    assert config["choices"]["data"] == overrides[0].removeprefix("data=")


@pytest.mark.parametrize(("group", "name"), FILES)
def test_every_choice_says_its_name(group: str, name: str) -> None:
    # A choice may begin with another one, so its own file has to come last.
    file = OmegaConf.load(CONF_DIR / group / f"{name}.yaml")
    assert isinstance(file, DictConfig)
    of_their_own = {"timm": "${model.name}", "table": "${data.name}", "folders": "${data.name}"}
    expected = of_their_own.get(name, name)
    assert OmegaConf.to_container(file.choices) == {group: expected}
    assert file.get("defaults", ["_self_"])[-1] == "_self_" or group == "protocol"


def test_a_file_of_others_has_the_name_of_its_choice(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/mine.yaml").write_text("defaults: [demo8, _self_]\nholdout_fraction: 0.2\n")
    search = f"hydra.searchpath=[file://{tmp_path}]"
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        config = compose("train", overrides=["data=mine", search], return_hydra_config=True)
    assert config.data.holdout_fraction == 0.2
    HydraConfig.instance().set_config(config)
    name_choices(config)
    assert config.choices.data == "mine"
    assert RunFolder.of(config).path.name == "mine-maxvit-combined-s0"


def test_a_config_without_names_has_no_folder() -> None:
    config = in_notebook()
    config.choices.data = None
    with pytest.raises(ConfigError, match=r"choices.data.* name the run folder"):
        RunFolder.of(config)
