"""The commands that would settle what the paper says."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from omegaconf import OmegaConf

from cage_lightning.report.published import Protocol, Row, required
from cage_lightning.report.runs import Run
from cage_lightning.report.verdicts import verdicts
from cage_lightning.report.verdicts.evidence import lacking
from cage_lightning.runs.identity import essence
from tests.conftest import composed
from tests.fabricated_runs import runs_with
from tests.verdict_cases import (
    COMBINED,
    DEMO,
    TABLES,
    VA,
    by_name,
    f1,
)


def trained(command: str) -> Iterator[tuple[str, ...]]:
    """The settings of the jobs of a command with the first seed."""
    words = shlex.split(command)
    assert words[:4] == ["python", "-m", "cage_lightning.train", "-m"]
    settings = dict(word.split("=") for word in words[4:])
    settings["seed"] = settings["seed"].split(",")[0]
    swept = ("data", "model", "loss")
    for row in itertools.product(*(settings[key].split(",") for key in swept)):
        job = settings | dict(zip(swept, row, strict=True))
        yield tuple(f"{key}={value}" for key, value in job.items())


def jobs_of(*tables: str) -> set[tuple[str, ...]]:
    commands = [command for table in tables for command in verdicts(table, [DEMO]).commands]
    return {job for command in commands if ".train " in command for job in trained(command)}


def test_the_commands_train_what_they_have_to() -> None:
    train = "python -m cage_lightning.train -m "
    seeds = "seed=0,1,2,3,4,5"
    found = by_name(verdicts("table6", [DEMO]))
    assert found["gain"].commands == (
        f"{train}data=affectnet7,affectnet8 model=maxvit loss=discrete,combined protocol=paper "
        f"{seeds} group=table6",
    )
    assert found[f"mse_pooled of {VA}"].commands == (
        f"{train}data=affectnet8 model=maxvit loss=combined,va protocol=published_code "
        f"start=combined {seeds} group=table6_published_code",
    )
    train_va, evaluate = by_name(verdicts("figure11", [DEMO]))["generalises"].commands
    assert "loss=combined,va protocol=paper start=combined" in train_va
    folders = ",".join(f"runs/table6/affectnet8-maxvit-va-s{seed}" for seed in range(6))
    assert evaluate == f"python -m cage_lightning.evaluate -m data=emotic checkpoint={folders}"
    first = f"checkpoint={folders.partition(',')[0]}"
    assert composed("data=emotic", first, config_name="evaluate").choices.data == "emotic"
    # What is settled needs nothing, and what six seeds do not settle may need twelve.
    scattered = runs_with({"f1_weighted": [0.61, 0.63] * 3}, COMBINED, "published_code")
    assert "seed=0,1,2,3,4,5,6,7,8,9,10,11 " in f1(scattered).commands[0]
    assert f1(runs_with({"f1_weighted": 0.621}, COMBINED, "published_code")).commands == ()


def follows(job: tuple[str, ...]) -> str:
    """What keeps a run of these settings from following the protocol that they name."""
    settings = dict(setting.split("=") for setting in job)
    config = composed(*job)
    config.run_dir = "run"
    run = Run(Path("run"), cast(Any, OmegaConf.to_container(config, resolve=True)), {})
    row = Row(*(settings[key] for key in Row._fields))
    assert run.row.choices == row
    return lacking(run, required(cast(Protocol, settings["protocol"]), row))


@pytest.mark.parametrize("protocol", ["paper", "published_code"])
@pytest.mark.parametrize(
    "row", [COMBINED._replace(loss="discrete"), COMBINED, VA, VA._replace(model="swin_v2")]
)
def test_what_the_commands_train_follows_the_protocol(row: Row, protocol: Protocol) -> None:
    own = [f"{key}={value}" for key, value in row._asdict().items()]
    assert follows((*own, f"protocol={protocol}", "start=combined")) == ""


@pytest.mark.parametrize("row", [COMBINED, VA])
def test_runs_of_the_sweep_are_taken_as_they_are(row: Row) -> None:
    own = [f"{key}={value}" for key, value in row._asdict().items()]
    start = ["start=combined"] if row == VA else []
    by_hand, swept = (
        composed(*settings, *own, "seed=1")
        for settings in (["sweep=table6"], ["protocol=paper", "group=table6", *start])
    )
    by_hand.run_dir = swept.run_dir = "run"
    plain = [OmegaConf.to_container(config, resolve=True) for config in (by_hand, swept)]
    assert essence(plain[0]) == essence(plain[1])


@pytest.mark.slow
def test_what_all_commands_train_follows_the_protocol() -> None:
    jobs = jobs_of(*TABLES)
    assert len(jobs) > 25
    assert {job: problem for job in jobs if (problem := follows(job))} == {}
