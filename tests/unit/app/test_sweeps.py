"""Every sweep: its jobs have run folders of their own, and start from runs that come earlier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from omegaconf.errors import InterpolationKeyError

from cage_lightning.app.command import Command
from cage_lightning.app.explanations import explain
from cage_lightning.app.schema import CONF_DIR
from cage_lightning.runs.folder import RunFolder
from tests.conftest import composed
from tests.planning import folders, planned

FILES = sorted(file.stem for file in (CONF_DIR / "sweep").glob("*.yaml"))
SWEEPS = [
    (f"sweep={name}", *at)
    for name in FILES
    if not name.startswith("figure11")  # those of `train`
    for at in ((), ("at=demo",))
]
DEMO = ("data=demo8", "model=tiny")


def _slow_where_another_is_like_it(sweep: tuple[str, ...]) -> Any:
    """The ablations are one file with different settings: on drawn faces, one stands for all."""
    alike = "at=demo" in sweep and "ablation" in sweep[0] and sweep[0] != "sweep=ablation_lr"
    return pytest.param(sweep, marks=[pytest.mark.slow] if alike else [], id=" ".join(sweep))


@pytest.mark.parametrize(
    "sweep", [_slow_where_another_is_like_it(s) for s in SWEEPS if s[0] != "sweep=table8"]
)
def test_valence_and_arousal_start_from_the_combined_run_in_every_sweep(
    sweep: tuple[str, ...],
) -> None:
    drawn = DEMO if "at=demo" in sweep else ()
    config = composed(*sweep, *drawn, "loss=va", "seed=1")
    start = "table6_demo/demo8-tiny" if drawn else "table6/affectnet8-maxvit"
    assert config.init_from == f"runs/{start}-combined-s1"
    assert config.init_wait_s > 0
    assert (config.starts.discrete, config.starts.combined) == (None, None)


@pytest.mark.parametrize("loss", ["discrete", "combined", "va"])
def test_emotic_starts_from_affectnet_in_every_mode(loss: str) -> None:
    for at, model, start in (
        ("paper", "maxvit", "table6/affectnet8-maxvit-combined-s0"),
        ("demo", "tiny", "table6_demo/demo8-tiny-combined-s0"),
    ):
        job = ("sweep=table8", f"at={at}", f"model={model}", f"loss={loss}")
        assert composed(*job).init_from == f"runs/{start}"


@pytest.mark.parametrize("sweep", ["table6", "table8", "ablation_beta"])
def test_what_a_sweep_starts_from_is_a_choice(sweep: str) -> None:
    assert composed(f"sweep={sweep}", "loss=va", "start=none").init_from is None
    config = composed(f"sweep={sweep}", "loss=va", "start_group=mine")
    assert config.init_from.startswith("runs/mine/")


def test_a_loss_without_a_start_is_an_error(tmp_path: Path) -> None:
    loss = tmp_path / "loss/mine.yaml"
    loss.parent.mkdir()
    loss.write_text((CONF_DIR / "loss/va.yaml").read_text().replace("loss: va", "loss: mine"))
    job = (f"hydra.searchpath=[file://{tmp_path}]", "sweep=table6", "loss=mine")
    with pytest.raises(InterpolationKeyError, match=r"'starts.mine' not found") as error:
        _ = composed(*job).init_from
    assert explain(error.value, Command("train"), job) == (
        "nothing says what 'mine' starts from: set +starts.mine=RUN"
    )
    for setting in ("+starts.mine=null", "start=none"):
        assert composed(*job, setting).init_from is None


def test_figure_11_of_other_data_is_an_error() -> None:
    config = composed("sweep=figure11", "data=affectnet7", config_name="evaluate")
    with pytest.raises(InterpolationKeyError, match=r"'starts.affectnet7' not found"):
        _ = config.checkpoint


@pytest.mark.parametrize("sweep", [_slow_where_another_is_like_it(s) for s in SWEEPS])
def test_the_jobs_of_a_sweep(sweep: tuple[str, ...]) -> None:
    before: list[Path] = []
    in_order_of_the_grid = sorted(planned(*sweep, "seed=0"), key=lambda job: job.number)
    for job in in_order_of_the_grid:
        config, folder = job.task, RunFolder.of(job.task).path
        assert folder not in before, f"{job.label} would train {folder} again"
        if config.init_from:
            assert config.init_wait_s > 0
            start = Path(config.init_from)
            assert start.parent.name != config.group or start in before
        before.append(folder)
    assert len(before) > 1 or sweep[0] == "sweep=table8"


def test_table_6_is_the_grid_of_the_paper() -> None:
    names = {name.partition("/")[2] for name in folders("sweep=table6", "seed=0")}
    assert len(names) == 3 * 2 * 3
    assert "affectnet7-swin_v2-va-s0" in names
    config = composed("sweep=table6", "loss=va", "data=affectnet7", "model=maxvit", "seed=2")
    assert config.init_from == "runs/table6/affectnet7-maxvit-combined-s2"
    assert composed("sweep=table6", "loss=combined").init_from is None


@pytest.mark.parametrize(
    ("at", "data", "run"),
    [
        ("paper", "emotic", "table6/affectnet8-maxvit-va-s2"),
        ("paper", "affectnet8", "table8/emotic-maxvit-combined-s2"),
        ("demo", "demo_emotic", "table6_demo/demo8-tiny-va-s2"),
        ("demo", "demo8", "table8_demo/demo_emotic-tiny-combined-s2"),
    ],
)
def test_figure_11_takes_the_runs_of_the_tables(at: str, data: str, run: str) -> None:
    job = ("sweep=figure11", f"at={at}", f"data={data}", "seed=2")
    assert composed(*job, config_name="evaluate").checkpoint == f"runs/{run}"


def test_the_runs_of_a_sweep_at_another_place_have_a_group_of_their_own() -> None:
    assert set(folders("sweep=table6", "at=demo", "seed=0")) == {
        f"table6_demo/{data}-tiny-{loss}-s0"
        for data in ("demo7", "demo8")
        for loss in ("discrete", "combined", "va")
    }
    assert folders("sweep=table8", "at=demo") == [
        f"table8_demo/demo_emotic-tiny-combined-s{seed}" for seed in (0, 1)
    ]
    assert folders("sweep=ablation_lr", "at=demo", "seed=0") == [
        f"ablations_demo/demo8-tiny-combined-s0-lr{rate}" for rate in ("0.0024", "0.003")
    ]
