"""Sweeps on a real SLURM: time limits, a lost node, two nodes, failures, an abort.

The tests wait much and work little: those of a group share a process and its cluster, and the
groups, which take about as long as each other, run side by side.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from cage_lightning.runs.folder import RunFolder
from tests.conftest import TINY, environment, forks
from tests.slurm_cluster import Cluster, missing, until

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
    pytest.mark.timeout(1200),
]

# Two steps at most are lost with a node.
SETTINGS = (*TINY, "data.batch_size=32", "callbacks.last.every_n_steps=2")
STEPS = 2 * 8
DEPTH = "maxvit_mini"  # its stochastic depth must come back as well
TRAIN = (sys.executable, "-m", "cage_lightning.train")
TWO = ("trainer=ddp", "trainer.accelerator=cpu")

# In the jobs of a sweep, so that each may have settings of its own: `+job=NAME`.
HOLD = "callbacks: {hold: {_target_: tests.slurm_pace.%s, name: %s, steps: [%s]}}"
JOBS = {
    "limited": f"""
tag: limited
{HOLD % ("NearLimit", "limited", 3)}
hydra: {{launcher: {{timeout_min: 60, signal_delay_s: 600, nodelist: n1}}}}
""",
    "lost": f"""
tag: lost
{HOLD % ("Hold", "lost", 5)}
hydra: {{launcher: {{nodelist: n2}}}}
""",
    "two": f"""
tag: two
{HOLD % ("Hold", "two", 5)}
trainer: {{strategy: ddp, num_nodes: 2}}
""",
    "two_quick": f"""
tag: quick
{HOLD % ("Hold", "quick", 3)}
trainer: {{strategy: ddp, num_nodes: 2}}
""",
    "plain": "tag: plain",
    "wrong": "{tag: wrong, init_from: missing.ckpt}",
    # Fails on rank 0 only.
    "taken": "{tag: taken, trainer: {strategy: ddp, num_nodes: 2}}",
    "after": "{tag: after, init_from: '${runs}/default/demo8-${choices.model}-combined-s0-lost'}",
    "never": "{tag: never, init_from: '${runs}/default/demo8-${choices.model}-combined-s0-wrong'}",
    "long": """
tag: long
callbacks: {pace: {_target_: tests.slurm_pace.Pace, seconds: 60}}
hydra: {launcher: {nodelist: n1}}
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
Undisturbed = Callable[[str, str], dict[str, torch.Tensor]]


@pytest.fixture
def sweep(
    cluster: Cluster, tmp_path: Path, demo_root: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sweep]:
    """Start a sweep of the given JOBS: a fork of this process. Its jobs SLURM starts."""
    from hydra_plugins.cage_slurm import _jobs

    monkeypatch.setattr(_jobs, "_POLL_S", 0.5)
    monkeypatch.setattr(_jobs, "_VISIBLE_S", 1)  # there are no files of other nodes
    for name, text in JOBS.items():
        file = tmp_path / f"more/job/{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"# @package _global_\n{text}")
    started: list[subprocess.Popen[bytes]] = []

    def start(*jobs: str, settings: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
        with (tmp_path / "sweep.log").open("w") as output, forks():
            process = subprocess.Popen(
                [
                    *(*TRAIN, "--config-dir=more", "-m"),
                    "hydra/launcher=slurm",
                    # The nodes have no addresses of their own.
                    "hydra.launcher.setup=['export MASTER_ADDR=127.0.0.1']",
                    *(*SETTINGS, *settings),
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


def run_folder(runs: Path, tag: str, network: str = "tiny") -> Path:
    return runs / f"default/demo8-{network}-combined-s0-{tag}"


def weights(run: Path) -> dict[str, torch.Tensor]:
    checkpoint = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == STEPS
    return checkpoint["state_dict"]  # type: ignore[no-any-return]


def options(script: Path) -> set[str]:
    """What the script of a job asks SLURM for."""
    return set(re.findall("#SBATCH --(.*)", script.read_text(encoding="utf-8")))


def starts(run: Path) -> int:
    return (run / "train.log").read_text().count("resuming from") + 1


def submitted(folder: Path) -> dict[str, str]:
    """The numbers of the jobs, in the order of their submission."""
    lines = [line.split() for line in said(folder).splitlines() if "submitted" in line]
    return {line[-1].removeprefix("+job="): line[0] for line in lines}


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, demo_root: Path) -> Undisturbed:
    """The weights of a network after one process, or after two, without SLURM."""
    settings = {"one": (), "two": (*TWO, "trainer.devices=2")}

    @cache
    def train(network: str, processes: str) -> dict[str, torch.Tensor]:
        runs = tmp_path_factory.mktemp("undisturbed")
        more = (*settings[processes], f"model={network}", f"tag={processes}", f"runs={runs}")
        with forks():
            subprocess.run(
                [*TRAIN, *SETTINGS, *more],
                env=environment(demo_root),
                check=True,
                capture_output=True,
            )
        return weights(run_folder(runs, processes, network))

    return train


@pytest.mark.xdist_group("a long sweep")
def test_a_sweep_through_limits_and_a_lost_node(
    sweep: Sweep, undisturbed: Undisturbed, cluster: Cluster, tmp_path: Path
) -> None:
    tags = ("limited", "lost", "two")
    process = sweep(*tags, settings=(f"model={DEPTH}",))
    runs = {tag: run_folder(tmp_path / "runs", tag, DEPTH) for tag in tags}
    hit = [tmp_path / "lost-5", tmp_path / "two-5"]
    until(lambda: process.poll() is not None or all(map(Path.is_file, hit)), 600)
    assert (runs["lost"] / "checkpoints/last.ckpt").is_file()
    assert (runs["two"] / "checkpoints/last.ckpt").is_file()
    cluster.lose_node("n2")
    lost_s = time.monotonic()
    until(lambda: "down" in cluster.run("sinfo", "-h", "-n", "n2", "-o", "%T"), 120)
    expected = {processes: undisturbed(DEPTH, processes) for processes in ("one", "two")}
    # The step of the next start, which has the number of the lost one, was killed by SLURM in two
    # runs on a busy machine: about a minute after the loss, and why is not known.
    until(lambda: time.monotonic() > lost_s + 75, 75)
    for name in ("lost", "two"):
        (tmp_path / f"{name}-go").touch()
    cluster.start_node("n2")
    assert process.wait(600) == 0, said(tmp_path)

    assert not cluster.queue()
    for tag, run in runs.items():
        want, got = expected["two" if tag == "two" else "one"], weights(run)
        assert want.keys() == got.keys()
        assert all(torch.equal(want[name], got[name]) for name in want), tag
        assert (run / "metrics.json").is_file()
    assert [starts(run) for run in runs.values()] == [2, 2, 2]
    assert not list(tmp_path.rglob("hpc_ckpt_*"))
    (script,) = tmp_path.rglob(f"{submitted(tmp_path)['limited']}_submission.sh")
    assert {"time=60", "signal=USR1@600"} <= options(script)


@pytest.mark.xdist_group("two nodes")
def test_two_nodes_leave_at_the_same_step(
    sweep: Sweep, undisturbed: Undisturbed, cluster: Cluster, tmp_path: Path
) -> None:
    process = sweep("two_quick")
    run = run_folder(tmp_path / "runs", "quick")
    until((tmp_path / "quick-3").is_file, 600)
    assert (run / "checkpoints/last.ckpt").is_file()
    (job,) = cluster.queue()
    cluster.run("scancel", "--signal=USR1", job)
    until(lambda: "RUNNING" not in cluster.queue().values(), 120)
    expected = undisturbed("tiny", "two")
    assert process.wait(600) == 0, said(tmp_path)
    assert starts(run) == 2
    got = weights(run)
    assert all(torch.equal(got[name], value) for name, value in expected.items())


@pytest.mark.xdist_group("failures")
def test_a_search_is_told_what_came_of_its_jobs(sweep: Sweep, tmp_path: Path) -> None:
    grid = ("hydra.sweeper.sampler=grid", "hydra.sweeper.n_jobs=2")
    process = sweep("plain", "wrong", settings=("hydra/sweeper=optuna", *grid))
    assert process.wait(600) == 0, said(tmp_path)
    assert "1 of 2 jobs failed" in said(tmp_path)
    assert "2 trials: 1 finished, 1 failed" in said(tmp_path)
    run = RunFolder(run_folder(Path("runs"), "plain"))
    value = RunFolder(tmp_path / run.path).read_metrics()["meta"]["selection"]["value"]
    table = (tmp_path / "runs/default/.search/search.csv").read_text().splitlines()
    assert table[1:] == [
        f"0,finished,best,{value},plain,{run.path}",
        "1,failed,,,wrong," + table[2].split(",")[-1],
    ]


@pytest.mark.xdist_group("failures")
def test_failures_are_named_and_stop_no_other_job(
    sweep: Sweep, cluster: Cluster, tmp_path: Path
) -> None:
    taken = run_folder(tmp_path / "runs", "taken")
    (taken / "checkpoints").mkdir(parents=True)
    (taken / "checkpoints/last.ckpt").touch()
    (taken / "config.yaml").write_text("seed: 5")
    process = sweep("never", "plain", "wrong", "taken", "long")
    until(lambda: said(tmp_path).count("has left") == 4 or process.poll() is not None, 600)
    (left,) = cluster.queue()
    cluster.run("scancel", left)
    assert process.wait(120) == 1
    assert "4 of 5 jobs failed" in said(tmp_path)
    assert "there is no checkpoint missing.ckpt" in said(tmp_path)
    assert "holds a run with another config" in said(tmp_path)
    assert "s0-wrong, from which this run starts, failed: see" in said(tmp_path)
    assert said(tmp_path).count("left the queue without a result") == 1
    assert (run_folder(tmp_path / "runs", "plain") / "metrics.json").is_file()
    states = [cluster.job(number)["JobState"] for number in submitted(tmp_path).values()]
    # In the order of submission: what another starts from comes first.
    assert states == ["COMPLETED", "FAILED", "FAILED", "FAILED", "CANCELLED"]


@pytest.mark.xdist_group("failures")
def test_the_next_command_finds_the_jobs_of_one_that_was_killed(
    sweep: Sweep, cluster: Cluster, tmp_path: Path
) -> None:
    first = sweep("after", "lost")
    until(lambda: said(tmp_path).count("submitted") == 2, 120)
    until(lambda: sorted(cluster.queue().values()) == ["PENDING", "RUNNING"], 120)
    cluster.run("sbatch", "--wait", "--output=/dev/null", "--wrap=true")
    assert sorted(cluster.queue().values()) == ["PENDING", "RUNNING"]  # one waits for the other
    first.kill()
    first.wait()
    again = sweep("after", "lost", "plain")
    until(lambda: "submitted" in said(tmp_path) or again.poll() is not None, 120)
    (tmp_path / "lost-go").touch()
    assert again.wait(600) == 0, said(tmp_path)
    assert said(tmp_path).count("in the queue already") == 2
    assert said(tmp_path).count("submitted") == 1
    runs = {tag: run_folder(tmp_path / "runs", tag) for tag in ("lost", "after", "plain")}
    assert [starts(run) for run in runs.values()] == [1, 1, 1]
    assert "the weights to start from" in (runs["after"] / "train.log").read_text()
    assert sweep("after", "lost", "plain").wait(120) == 0
    assert "3 jobs, 3 finished before" in said(tmp_path)


@pytest.mark.xdist_group("failures")
def test_a_job_of_an_earlier_command_with_other_settings_is_no_success(tmp_path: Path) -> None:
    from hydra_plugins.cage_launcher._plan import Planned
    from hydra_plugins.cage_slurm._jobs import Submitted, _problem

    mine = OmegaConf.create({"seed": 0, "optimizer": {"lr": 0.1}})
    planned = Planned(0, [], "", mine, {}, RunFolder(tmp_path), None, False)
    (tmp_path / "config.yaml").write_text(OmegaConf.to_yaml(mine))
    (tmp_path / "metrics.json").write_text("{}")
    assert _problem(Submitted(planned, "1", None), 0) is None
    (tmp_path / "config.yaml").write_text("{seed: 0, optimizer: {lr: 0.5}}")
    assert "optimizer.lr is 0.1 here and 0.5 there" in str(
        _problem(Submitted(planned, "1", None), 0)
    )


@pytest.mark.xdist_group("two nodes")
@pytest.mark.parametrize(("blow", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_abort_leaves_nothing_in_the_queue(
    sweep: Sweep, cluster: Cluster, tmp_path: Path, blow: signal.Signals, code: int
) -> None:
    process = sweep("long", "waiting")
    until(lambda: sorted(cluster.queue().values()) == ["PENDING", "RUNNING"], 120)
    process.send_signal(blow)
    assert process.wait(120) == code, said(tmp_path)
    assert not cluster.queue()


@pytest.mark.xdist_group("two nodes")
def test_a_job_that_cannot_run_is_not_waited_for(
    sweep: Sweep, cluster: Cluster, tmp_path: Path
) -> None:
    process = sweep("long", "gpus")
    assert process.wait(120) == 1
    assert "error: sbatch refuses the job" in said(tmp_path)
    assert not cluster.queue()
    asked = [options(script) for script in tmp_path.rglob("*.sh")]
    (script,) = [one for one in asked if "gpus-per-node=2" in one]
    assert {"nodes=1", "ntasks-per-node=2", "cpus-per-task=1", "requeue"} <= script


@pytest.mark.xdist_group("two nodes")
def test_all_gpus_of_a_node_are_no_number(sweep: Sweep, tmp_path: Path) -> None:
    assert sweep("all_gpus").wait(120) == 1
    assert "error: hydra/launcher=slurm: trainer.devices is -1" in said(tmp_path)
