"""Sweeps on a real SLURM: time limits, a lost node, two nodes, failures, an abort."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from cage_lightning.runs.folder import RunFolder
from tests.conftest import TINY, environment, forks
from tests.slurm_cluster import Cluster, missing, until

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
    pytest.mark.timeout(600),
]

# Stochastic depth must come back as well; two steps at most are lost with a node.
SETTINGS = (*TINY, "model=maxvit_mini", "data.batch_size=8", "callbacks.last.every_n_steps=2")
STEPS = 2 * 29
TRAIN = (sys.executable, "-m", "cage_lightning.train")
TWO = ("trainer=ddp", "trainer.accelerator=cpu")

# In the jobs of a sweep, so that each may have settings of its own: `+job=NAME`.
PACE = "callbacks: {pace: {_target_: tests.slurm_pace.Pace, seconds: %s}}"
JOBS = {
    # SLURM signals half a minute after the start: at most 26 of its 58 steps.
    "limited": f"""
tag: limited
{PACE % 1}
hydra: {{launcher: {{timeout_min: 1, signal_delay_s: 12, nodelist: n1}}}}
""",
    "lost": f"""
tag: lost
{PACE % 0.3}
hydra: {{launcher: {{nodelist: n2}}}}
""",
    "two": f"""
tag: two
{PACE % 0.3}
trainer: {{strategy: ddp, num_nodes: 2}}
""",
    "two_quick": f"""
tag: quick
{PACE % 0.1}
trainer: {{strategy: ddp, num_nodes: 2}}
""",
    "plain": "tag: plain",
    "wrong": "{tag: wrong, init_from: missing.ckpt}",
    # Fails on rank 0 only.
    "taken": "{tag: taken, trainer: {strategy: ddp, num_nodes: 2}}",
    "after": "{tag: after, init_from: '${runs}/default/demo8-maxvit_mini-combined-s0-lost'}",
    "never": "{tag: never, init_from: '${runs}/default/demo8-maxvit_mini-combined-s0-wrong'}",
    "long": f"""
tag: long
{PACE % 60}
hydra: {{launcher: {{nodelist: n1}}}}
""",
    # No node has a GPU.
    "gpus": "{tag: gpus, trainer: {accelerator: gpu, devices: 2}}",
    "all_gpus": "{trainer: {accelerator: gpu, devices: -1}}",
    # Needs the whole of the node that the long one is on.
    "waiting": "{tag: waiting, hydra: {launcher: {nodelist: n1, cpus_per_task: 4}}}",
}


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("slurm"))
    made.up()
    yield made
    made.down()


Sweep = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def sweep(cluster: Cluster, tmp_path: Path, demo_root: Path) -> Iterator[Sweep]:
    """Start a sweep of the given JOBS."""
    for name, text in JOBS.items():
        file = tmp_path / f"more/job/{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"# @package _global_\n{text}")
    started: list[subprocess.Popen[bytes]] = []

    def start(*jobs: str) -> subprocess.Popen[bytes]:
        path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
        with (tmp_path / "sweep.log").open("w") as output:
            process = subprocess.Popen(
                [
                    *(*TRAIN, "--config-dir=more", "-m"),
                    "hydra/launcher=slurm",
                    # The nodes have no addresses of their own.
                    "hydra.launcher.setup=['export MASTER_ADDR=127.0.0.1']",
                    *SETTINGS,
                    f"+job={','.join(jobs)}",
                ],
                cwd=tmp_path,
                env=environment(demo_root) | cluster.env | {"PYTHONPATH": path},
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
    cluster.run("scancel", "--user", "root")


def said(folder: Path) -> str:
    """What the submitting command printed."""
    return (folder / "sweep.log").read_text()


def run_folder(runs: Path, tag: str) -> Path:
    return runs / f"default/demo8-maxvit_mini-combined-s0-{tag}"


def weights(run: Path) -> dict[str, torch.Tensor]:
    checkpoint = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == STEPS
    return checkpoint["state_dict"]  # type: ignore[no-any-return]


def starts(run: Path) -> int:
    return (run / "train.log").read_text().count("resuming from") + 1


@pytest.fixture(scope="session")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, demo_root: Path
) -> dict[str, dict[str, torch.Tensor]]:
    """The weights after one process, and after two, without SLURM."""
    runs = tmp_path_factory.mktemp("undisturbed")
    for tag, settings in {"one": (), "two": (*TWO, "trainer.devices=2")}.items():
        command = [*TRAIN, *SETTINGS, *settings, f"tag={tag}", f"runs={runs}"]
        with forks():
            subprocess.run(command, env=environment(demo_root), check=True, capture_output=True)
    return {tag: weights(run_folder(runs, tag)) for tag in ("one", "two")}


def test_a_sweep_through_limits_and_a_lost_node(
    sweep: Sweep, undisturbed: dict[str, Any], cluster: Cluster, tmp_path: Path
) -> None:
    process = sweep("limited", "lost", "two", "plain")
    runs = {tag: run_folder(tmp_path / "runs", tag) for tag in ("limited", "lost", "two", "plain")}
    hit = [runs["lost"] / "checkpoints/last.ckpt", runs["two"] / "checkpoints/last.ckpt"]
    until(lambda: process.poll() is not None or all(map(Path.is_file, hit)), 120)
    cluster.lose_node("n2")
    until(lambda: "down" in cluster.run("sinfo", "-h", "-n", "n2", "-o", "%T"), 90)
    cluster.start_node("n2")
    assert process.wait(300) == 0, said(tmp_path)

    assert not cluster.queue()
    for tag, run in runs.items():
        expected, got = undisturbed["two" if tag == "two" else "one"], weights(run)
        assert expected.keys() == got.keys()
        assert all(torch.equal(expected[name], got[name]) for name in expected), tag
        assert (run / "metrics.json").is_file()
    assert starts(runs["limited"]) > 2
    assert starts(runs["lost"]) == starts(runs["two"]) == 2
    assert starts(runs["plain"]) == 1
    assert not list(tmp_path.rglob("hpc_ckpt_*"))


def test_two_nodes_leave_at_the_same_step(
    sweep: Sweep, undisturbed: dict[str, Any], cluster: Cluster, tmp_path: Path
) -> None:
    process = sweep("two_quick")
    run = run_folder(tmp_path / "runs", "quick")
    for _ in range(2):
        until(lambda: "RUNNING" in cluster.queue().values(), 60)
        last = run / "checkpoints/last.ckpt"
        seen = last.stat().st_mtime_ns if last.is_file() else 0
        until(lambda: last.is_file() and last.stat().st_mtime_ns != seen, 90)  # noqa: B023
        (job,) = cluster.queue()
        cluster.run("scancel", "--signal=USR1", job)
        until(lambda: "RUNNING" not in cluster.queue().values(), 30)
    assert process.wait(120) == 0, said(tmp_path)
    assert starts(run) == 3
    got = weights(run)
    assert all(torch.equal(got[name], value) for name, value in undisturbed["two"].items())


def test_failures_are_named_and_stop_no_other_job(
    sweep: Sweep, cluster: Cluster, tmp_path: Path
) -> None:
    taken = run_folder(tmp_path / "runs", "taken")
    (taken / "checkpoints").mkdir(parents=True)
    (taken / "checkpoints/last.ckpt").touch()
    (taken / "config.yaml").write_text("seed: 5")
    process = sweep("never", "plain", "wrong", "taken", "long")
    until(lambda: said(tmp_path).count("has left") == 4 or process.poll() is not None, 120)
    (left,) = cluster.queue()
    cluster.run("scancel", left)
    assert process.wait(60) == 1
    assert "4 of 5 jobs failed" in said(tmp_path)
    assert "there is no checkpoint missing.ckpt" in said(tmp_path)
    assert "holds a run with another config" in said(tmp_path)
    assert "s0-wrong, from which this run starts, failed: see" in said(tmp_path)
    assert said(tmp_path).count("left the queue without a result") == 1
    assert (run_folder(tmp_path / "runs", "plain") / "metrics.json").is_file()
    numbers = [line.split()[0] for line in said(tmp_path).splitlines() if "submitted" in line]
    states = [cluster.job(number)["JobState"] for number in numbers]
    # In the order of submission: what another starts from comes first.
    assert states == ["COMPLETED", "FAILED", "FAILED", "FAILED", "CANCELLED"]


def test_the_next_command_finds_the_jobs_of_one_that_was_killed(
    sweep: Sweep, cluster: Cluster, tmp_path: Path
) -> None:
    first = sweep("after", "lost")
    until(lambda: said(tmp_path).count("submitted") == 2, 60)
    until(lambda: sorted(cluster.queue().values()) == ["PENDING", "RUNNING"], 60)
    time.sleep(5)
    assert len(cluster.queue()) == 2  # there are two idle nodes; one waits for the other
    first.kill()
    first.wait()
    again = sweep("after", "lost", "plain")
    assert again.wait(180) == 0, said(tmp_path)
    assert said(tmp_path).count("in the queue already") == 2
    assert said(tmp_path).count("submitted") == 1
    runs = {tag: run_folder(tmp_path / "runs", tag) for tag in ("lost", "after", "plain")}
    assert [starts(run) for run in runs.values()] == [1, 1, 1]
    assert "the weights to start from" in (runs["after"] / "train.log").read_text()
    assert sweep("after", "lost", "plain").wait(60) == 0
    assert "3 jobs, 3 finished before" in said(tmp_path)


def test_a_job_of_an_earlier_command_with_other_settings_is_no_success(tmp_path: Path) -> None:
    from hydra_plugins.cage_launcher._plan import Planned
    from hydra_plugins.cage_slurm._jobs import Submitted, _problem

    mine = OmegaConf.create({"seed": 0, "optimizer": {"lr": 0.1}})
    planned = Planned(0, [], "", mine, {}, RunFolder(tmp_path), None, False)
    (tmp_path / "config.yaml").write_text(OmegaConf.to_yaml(mine))
    (tmp_path / "metrics.json").touch()
    assert _problem(Submitted(planned, "1", None), 0) is None
    (tmp_path / "config.yaml").write_text("{seed: 0, optimizer: {lr: 0.5}}")
    assert "optimizer.lr is 0.1 here and 0.5 there" in str(
        _problem(Submitted(planned, "1", None), 0)
    )


@pytest.mark.parametrize(("blow", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_abort_leaves_nothing_in_the_queue(
    sweep: Sweep, cluster: Cluster, tmp_path: Path, blow: signal.Signals, code: int
) -> None:
    process = sweep("long", "waiting")
    until(lambda: sorted(cluster.queue().values()) == ["PENDING", "RUNNING"], 60)
    process.send_signal(blow)
    assert process.wait(60) == code, said(tmp_path)
    assert not cluster.queue()


def test_a_job_that_cannot_run_is_not_waited_for(
    sweep: Sweep, cluster: Cluster, tmp_path: Path
) -> None:
    process = sweep("long", "gpus")
    assert process.wait(60) == 1
    assert "error: sbatch refuses the job" in said(tmp_path)
    assert not cluster.queue()
    scripts = [file.read_text() for file in tmp_path.rglob("*.sh")]
    (script,) = [script for script in scripts if "gpus-per-node" in script]
    wanted = {"nodes=1", "ntasks-per-node=2", "gpus-per-node=2", "cpus-per-task=1", "requeue"}
    assert wanted <= set(re.findall("#SBATCH --(.*)", script))


def test_all_gpus_of_a_node_are_no_number(sweep: Sweep, tmp_path: Path) -> None:
    assert sweep("all_gpus").wait(60) == 1
    assert "error: hydra/launcher=slurm: trainer.devices is -1" in said(tmp_path)
