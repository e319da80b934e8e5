"""Wrong overrides: each ends in one clear line, or runs."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from lightning.pytorch import seed_everything
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cage_lightning.app import build, explanations
from cage_lightning.app.arguments import as_choices, check_overrides, parse_options
from cage_lightning.app.signatures import check_settings
from cage_lightning.errors import CageError, ConfigError, check_names
from cage_lightning.runs.folder import RunFolder
from cage_lightning.schedules import with_warmup
from tests.conftest import composed
from tests.present import present
from tests.wrong_overrides import command_of, values, wrong_overrides

_load = OmegaConf.load

BASE = {
    "train": ("data=demo8", "data.size=tiny", "model=tiny", "trainer=cpu", "data.num_workers=0"),
    "evaluate": ("data=demo8", "data.size=tiny", "checkpoint=x", "trainer=cpu"),
    "prepare": ("data=demo8", "data.size=tiny"),
    "analyze": ("data=demo8", "data.size=tiny"),
    "score": ("predictions=x",),
    "collect": ("table=table6", "output=x"),
    "predict": ("checkpoint=x", "source=x"),
    "serve": ("checkpoint=x",),
    "export": ("checkpoint=x", "output=x"),
    "benchmark": ("data=demo8", "data.size=tiny", "model=tiny", "trainer=cpu"),
    "dashboard": ("table=table6",),
}


@contextmanager
def as_in_a_folder_of_its_own(folder: Path, data: Path) -> Iterator[None]:
    """As the commands begin; files of conf/ are read, and the keys of a command composed, once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("CAGE_DATA", str(data))
        patch.setattr(explanations, "_settings", lambda command, _: _keys(command.name))
        patch.setattr(OmegaConf, "load", lambda file: pickle.loads(_loaded(_path_of(file))))
        yield


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, demo_root: Path) -> Iterator[None]:
    with as_in_a_folder_of_its_own(tmp_path, demo_root):
        yield


def _path_of(file: Any) -> str:
    """Of a path, or of a file that Hydra opened."""
    return str(file) if isinstance(file, Path) else file.name


@cache
def _loaded(file: str) -> bytes:
    return pickle.dumps(_load(file))


@cache
def base_of(name: str) -> DictConfig:
    return composed(*BASE[name], config_name=name)


@cache
def _pickled_base_of(name: str) -> bytes:
    return pickle.dumps(base_of(name))


@cache
def _keys(name: str) -> list[str]:
    return [key for key, _ in values(OmegaConf.to_container(base_of(name)))]


def _compose(name: str, typed: str) -> DictConfig:
    """What the command would compose; a mere value is set without composing the choices again."""
    override = OverridesParser.create().parse_override(typed)
    if command_of(name).is_group(override.key_or_group) or typed.startswith("hydra"):
        return composed(*BASE[name], typed, config_name=name)
    config: DictConfig = pickle.loads(_pickled_base_of(name))
    OmegaConf.set_struct(config, True)
    ConfigLoaderImpl._apply_overrides_to_config([override], config)
    return config


def _build(config: DictConfig) -> None:
    """All that a training makes before its first step."""
    config.run_dir = str(RunFolder.of(config).path)
    build.check(config)
    seed_everything(config.seed, verbose=False)
    OmegaConf.to_yaml(config, resolve=True)
    build.build_loggers(config)
    callbacks = build.build_callbacks(config)
    data = build.build_data(config)
    data.setup("fit")
    module = build.build_module(config, data)
    build.build_trainer(config, logger=False, callbacks=callbacks)
    optimizer = present(module.optimizer)(module.parameters())
    with_warmup(present(module.scheduler)(optimizer, 20), round(module.warmup * 20))


def outcome(name: str, typed: str, built: bool = True) -> str:
    """The one line that is printed; empty if it runs. A training is `built` as well."""
    command = command_of(name)
    try:
        parse_options([typed])
        check_overrides(as_choices([typed], command), command)
        config = _compose(name, typed)
        if name == "train" and built:
            _build(config)
    except CageError as error:
        return str(error)
    except (HydraException, OmegaConfBaseException) as error:
        return explanations.explain(error, command, [*BASE[name], typed])
    except (TypeError, ValueError) as error:
        if explanations.refused_override(error) is None:
            raise
        return str(error)
    return ""


def survey(name: str, count: int, seed: int) -> Counter[str]:
    """How many overrides of each rule were refused, and how many run."""
    found: Counter[str] = Counter()
    for rule, typed in wrong_overrides(OmegaConf.to_container(base_of(name)), name, count, seed):
        line = outcome(name, typed)
        assert "Traceback" not in line, typed
        assert len(line.splitlines()) <= 1, (typed, line)
        found[f"{rule} {'refused' if line else 'runs'}"] += 1
    return found


@pytest.mark.slow
def test_wrong_overrides_end_in_one_line_or_run() -> None:
    assert survey("train", 40, seed=0).total() == 40


# What is drawn for a command is the same every time; tests/faults has 1,000 others.
PARTS = [("train", 80, 1)] + [
    (name, 160, 1) for name in ("evaluate", "prepare", "analyze", "score", "collect")
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "count", "seed"), PARTS)
def test_many_wrong_overrides(name: str, count: int, seed: int) -> None:
    found = survey(name, count, seed)
    print(name, count, dict(found))
    assert sum(n for key, n in found.items() if key.endswith("refused")) > count / 2


@pytest.mark.parametrize("key", ["accelerator", "precision", "enable_progress_bar"])
def test_what_is_left_out_of_the_trainer_is_as_lightning_has_it(key: str) -> None:
    assert len(outcome("train", f"~trainer.{key}").splitlines()) <= 1


# What a user types, and a part of the line that answers.
REFUSED = {
    "optimizer.lr=abc": "optimizer.lr=abc: a number is needed",
    "module=nan": "module=NaN: choose it with loss=",
    "choices=${seed}": "choices=0: it holds the names of what was chosen",
    "loss._target_=null": "there is no _target_ in",
    "module._target_=null": "there is no _target_ in",
    "seed=-1": "seed=-1 is not between 0 and 4294967295",
    "warmup=7": "warmup=7.0 is not between 0 and 1",
    "warmup=nan": "warmup=nan is not between 0 and 1",
    "optimizer.lr=-1": "optimizer.lr=-1: Invalid learning rate: -1",
    "optimizer.lr=nan": "optimizer.lr=NaN: a number is needed",
    "optimizer.lr=[1]": "optimizer.lr=[1]: a number is needed",
    "optimizer.lr={a:1}": 'optimizer.lr={"a": 1}: a number is needed',
    "+optimizer.foo=1": "there is no setting 'optimizer.foo': AdamW takes params, lr",
    "model=timm": "model.name=... is needed",
    "data.batch_size=1.5": "data.batch_size=1.5: a whole number is needed",
    "data.batch_size=-3": "data.batch_size=-3 is less than 1",
    "data.num_workers=-1": "data.num_workers=-1 is less than 0",
    "data.root=null": "data.root=null: a text is needed",
    "data.selection=foo": "data.selection=foo: one of own, holdout, val, test is needed",
    "trainer.max_epochs=-5": "trainer.max_epochs=-5: ",
    "trainer.max_epochs=[1,2]": "trainer.max_epochs=[1, 2]: a whole number or null is needed",
    "loss.alpha=-1": "loss.alpha=-1 is less than 0",
    "init_wait_s=-4": "init_wait_s=-4.0 is less than 0",
    "loss.alpha=abc": "loss.alpha=abc: a number is needed",
    "augment.steps.0.p=x": "augment.steps.0.p=x: a number is needed",
    "augment.mean.on_error=1": "invalid literal for int",
    "callbacks.last=1.5": "callbacks.last has no _target_",
    "~optimizer._target_": "there is no _target_",
    "module._target_=torch.nowhere": "module._target_=torch.nowhere: there is no such class",
    "optimizer._target_={a:1}": "the name of a class or function is needed",
    "~=9": "there is no setting ''",
    "~loss=3": "choose one of",
    "~loss=[va]": "choose one of",
    "~loss=va,combined": "choose one of",
    f"loss={'x' * 300}": "choose one of",
    f"{'x' * 300}=1": "there is no setting 'xxx",
    f"seed={'9' * 5000}": "cannot read seed=999",
    "nothing\nhere=1": "there is no setting 'nothing here'",
    "loss=a\nb": "cannot read loss=a b",
}


def takes_anything(**settings: Any) -> None:
    """As many functions of other packages do."""


def test_a_setting_of_unknown_type_is_accepted() -> None:
    node = {"_target_": f"{__name__}.takes_anything", "settings": {"number": 1}, "number": 2}
    check_settings(OmegaConf.create({"model": node}).model)


@pytest.mark.parametrize("typed", REFUSED)
def test_a_wrong_value_is_one_line_that_names_it(typed: str) -> None:
    line = outcome("train", typed)
    assert REFUSED[typed] in line
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize("value", [3, "happy", [1], {"a": 1}])
def test_a_list_of_names_is_needed(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"^categories=.*: a list"):
        check_names("categories", OmegaConf.create({"_": value})["_"])


def test_a_group_of_another_command_is_not_taken_away() -> None:
    assert "data is a setting of" in outcome("collect", "~data")


def test_a_key_inside_what_is_no_mapping_is_no_fault_of_ours() -> None:
    assert len(outcome("score", "categories.a=1").splitlines()) <= 1
