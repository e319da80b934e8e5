"""A sweep over anything has a run folder for each of its jobs, and finds it again."""

from __future__ import annotations

import itertools

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from cage_lightning.app.sweeps import automatic_tag, chosen_by_sweep, chosen_for_this_process
from cage_lightning.errors import ConfigError
from cage_lightning.runs.folder import RunFolder
from tests.conftest import composed
from tests.planning import folders, planned

SMALL = ("data=demo8", "model=tiny")
RUN = "default/demo8-tiny-combined-s0"


@pytest.fixture(scope="module")
def config() -> DictConfig:
    return composed(*SMALL)


def tags(config: DictConfig, *arguments: str, **params: str) -> list[str | None]:
    """The tags of the jobs that Hydra's sweeper makes of a command line and a sweep file."""
    typed = {"overrides": {"task": list(arguments)}, "sweeper": {"params": params}}
    overrides = [*(f"{key}={value}" for key, value in params.items()), *arguments]
    (jobs,) = BasicSweeper.split_arguments(
        OverridesParser.create().parse_overrides(overrides), None
    )
    return [automatic_tag(config, chosen_by_sweep(OmegaConf.create(typed), job)) for job in jobs]


@pytest.mark.parametrize(
    ("swept", "expected"),
    [
        ("optimizer.lr=1e-3,3e-3", ["lr0.001", "lr0.003"]),
        ("loss.alpha=choice(1,5.0)", ["alpha1", "alpha5"]),
        ("warmup=choice(0.1)", ["warmup0.1"]),
        ("augment=none,paper", ["augment-none", "augment-paper"]),
        ("protocol=paper,published_code", ["protocol-paper", "protocol-published_code"]),
        (
            "data.class_weights=none,[1,2,3,4,5,6,7,8]",
            ["class_weights-none", "class_weights-1_2_3_4_5_6_7_8"],
        ),
        ("trainer.gradient_clip_val=null,1", ["gradient_clip_val-null", "gradient_clip_val1"]),
        ("trainer.max_epochs=range(1,3)", ["max_epochs1", "max_epochs2"]),
        ("trainer.deterministic=true,false", ["deterministic-true", "deterministic-false"]),
        ("optimizer={lr:1},{lr:2}", ["optimizer-lr_1-1711735a", "optimizer-lr_2-907f0684"]),
        ("init_from='a b=c','ü/[x]'", ["init_from-a_b_c-127abd21", "init_from-x-68fa5a93"]),
        ("+trainer.max_time='00:01:00',null", ["max_time-00_01_00-ea23c50d", "max_time-null"]),
        ("data=demo7,demo8", [None, None]),
        ("seed=range(0,3)", [None, None, None]),
        ("optimizer.lr=1e-3", [None]),
    ],
)
def test_what_is_swept_becomes_the_tag(
    config: DictConfig, swept: str, expected: list[str | None]
) -> None:
    assert tags(config, *SMALL, "optimizer.weight_decay=0.1", swept) == expected


def test_the_same_sweep_has_the_same_tags(config: DictConfig) -> None:
    swept = ("optimizer.lr=1e-3,3e-3", "augment=none,paper", "loss.alpha=1,5", "seed=0,1")
    again = ("loss.alpha=5.0,1.0", "seed=1", "optimizer.lr=.003,0.001", "augment=paper,none")
    longer = ("optimizer.lr=1e-3,3e-3,1e-2", "augment=none,paper", "loss.alpha=1,5")
    assert len(set(tags(config, *swept))) == 8
    assert set(tags(config, *again)) == set(tags(config, *swept))
    assert set(tags(config, *longer)) > set(tags(config, *swept))


def test_the_command_line_beats_the_sweep_file(config: DictConfig) -> None:
    params = {"optimizer.lr": "1e-3,3e-3", "warmup": "0.1"}
    assert tags(config, **params) == ["lr0.001", "lr0.003"]
    assert tags(config, "optimizer.lr=5", **params) == [None]
    assert tags(config, "warmup=0,0.5", "optimizer.lr=1", **params) == ["warmup0", "warmup0.5"]


def test_folders_of_a_sweep() -> None:
    grid = (*SMALL, "optimizer.lr=1e-3,3e-3")
    jobs = planned(*grid, "loss=va")
    assert [job.label for job in jobs] == ["optimizer.lr=0.001", "optimizer.lr=0.003"]
    assert [job.task.tag for job in jobs] == ["lr0.001", "lr0.003"]
    # The command of a single job finds the same folder.
    assert RunFolder.of(composed(*jobs[1].overrides)) == jobs[1].folder
    assert folders(*grid, "tag=d${optimizer.lr}") == [f"{RUN}-d0.001", f"{RUN}-d0.003"]
    assert folders(*grid, "group=lr${optimizer.lr}") == [
        "lr0.001/demo8-tiny-combined-s0",
        "lr0.003/demo8-tiny-combined-s0",
    ]
    with pytest.raises(ConfigError, match="leave tag= away"):
        folders(*grid, "tag=x")


def test_folders_of_what_the_name_says() -> None:
    grid = ("data=demo8", "model=tiny,maxvit_mini", "loss=discrete,combined")
    names = itertools.product(("tiny", "maxvit_mini"), ("discrete", "combined"))
    assert folders(*grid) == [f"default/demo8-{model}-{loss}-s0" for model, loss in names]


def test_sweep_files_keep_their_names() -> None:
    assert folders("sweep=ablation_alpha", "at=demo", "seed=0", "loss.alpha=5") == [
        "ablations_demo/demo8-tiny-combined-s0-alpha5"
    ]


def test_a_single_run_has_no_tag() -> None:
    config = composed(*SMALL, "optimizer.lr=1e-3")
    assert automatic_tag(config, chosen_for_this_process()) is None


def test_hydras_own_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    swept = (*SMALL, "optimizer.lr=1e-3,3e-3", "seed=0,1", "hydra/launcher=basic")
    monkeypatch.setattr("sys.argv", ["train", "-m", *swept])
    job = ("optimizer.lr=0.003", "seed=1", "hydra/launcher=basic", "hydra.mode=MULTIRUN")
    config = composed(*SMALL, *job)
    assert automatic_tag(config, chosen_for_this_process()) == "lr0.003"
