"""The commands as they are typed: their help, and one clear line for what cannot be done."""

from __future__ import annotations

import importlib
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig

from cage_lightning.app import cli
from cage_lightning.app.arguments import as_text
from cage_lightning.app.command import Command, commands
from cage_lightning.app.schema import CONF_DIR
from cage_lightning.errors import ConfigError
from tests.conftest import TINY, composed

Called = Callable[..., tuple[int, str, str]]
INTERNAL = ("data/part", "protocol/data", "sweep/part")


@pytest.fixture
def called(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Called:
    """Call a command in this process: its exit code, and what it printed on both streams."""
    monkeypatch.setenv(cli.FULL_ERROR, "0")  # and what the command sets is taken back
    monkeypatch.chdir(tmp_path)
    before = HydraConfig.instance().cfg

    def call(name: str, *arguments: str) -> tuple[int, str, str]:
        command = importlib.import_module(f"cage_lightning.{name}").main
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
        try:
            command()
            code = 0
        except SystemExit as left:
            code = int(left.code or 0)
        finally:
            HydraConfig.instance().cfg = before
        return code, *capsys.readouterr()

    return call


@pytest.mark.parametrize("name", commands())
def test_help_shows_what_the_command_takes_and_no_more(name: str, called: Called) -> None:
    code, out, wrong = called(name, "--help")
    assert (code, wrong) == (0, "")
    own = Command(name)
    groups = {
        "train": 15,
        "evaluate": 6,
        "export": 1,
        "prepare": 1,
        "analyze": 1,
        "benchmark": 8,
    }.get(name, 0)
    assert len(own.groups) == groups
    for group, choices in own.groups.items():
        assert f"\n{group}: {choices[0]}" in out
    for group in {path.name for path in CONF_DIR.iterdir() if path.is_dir()} | {*INTERNAL}:
        assert (f"\n{group}: " in out) == (group in own.groups)
    assert ("table6," in out, "figure11\n" in out) == (name == "train", name == "evaluate")
    assert f"python -m cage_lightning.{name} " in out


def test_help_shows_the_choices_of_a_folder_of_ones_own(called: Called, tmp_path: Path) -> None:
    for name in ("loss/focal.yaml", "experiment/mine.yaml"):
        (tmp_path / "own" / name).parent.mkdir(parents=True)
        (tmp_path / "own" / name).write_text("seed: 1\n")
    _, out, _ = called("train", "--config-dir", "own", "--help")
    assert "loss: combined, discrete, focal, va" in out
    assert "experiment: fer2013, finetune_timm, mine, quick_cpu" in out


def test_help_imports_neither_torch_nor_a_plugin() -> None:
    code = (
        "import sys, importlib\n"
        f"for name in {commands()}:\n"
        "    sys.argv = [name, '--help']\n"
        "    importlib.import_module('cage_lightning.' + name).main()\n"
        "heavy = {'torch', 'lightning', 'torchvision', 'timm', 'wandb', 'numpy', 'hydra_plugins'}\n"
        "heavy &= {*sys.modules}\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("python -m cage_lightning.") >= len(commands())


SWEEPS = [file.stem for file in (CONF_DIR / "sweep").glob("*.yaml")]


@pytest.mark.parametrize(
    ("name", "sweep"),
    [
        pytest.param(
            name,
            sweep,
            marks=[] if sweep in ("table6", "figure11") else pytest.mark.slow,
        )
        for name in ("train", "evaluate")
        for sweep in SWEEPS
    ],
)
def test_a_sweep_is_offered_where_it_composes(name: str, sweep: str) -> None:
    offered = sweep in Command(name).groups["sweep"]
    with nullcontext() if offered else pytest.raises(HydraException):
        composed("data=demo8", f"sweep={sweep}", config_name=name)


# What a user types, the command, and a part of the one line that answers.
SLIPS = {
    "sweep of another command": ("train sweep=figure11", "sweep=figure11 is for evaluate"),
    "sweep of another command, no data": ("evaluate sweep=table6", "sweep=table6 is for train"),
    "sweep on drawn data": ("train sweep=table6_demo", "type sweep=table6 at=demo"),
    "evaluations on drawn data": ("evaluate sweep=figure11_demo", "type sweep=figure11 at=demo"),
    "place without a sweep": ("train at=demo", "at=demo says what a sweep runs on: choose one"),
    "misspelt place": ("train sweep=table6 at=demos", "did you mean 'demo'?"),
    "group of another command": (
        "prepare loss=va",
        "loss is a setting of benchmark, evaluate and train",
    ),
    "setting of another command": ("evaluate tag=x", "tag is a setting of train, not of evaluate"),
    "node of another command": (
        "prepare optimizer.lr=1",
        "optimizer is a setting of benchmark and train",
    ),
    "no data": ("evaluate checkpoint=x", "data=... is needed: one of afewva, affectnet7, "),
    "no table": ("collect output=x", "table=... is needed; --help"),
    "without its group": ("train lr=1", "did you mean 'optimizer.lr'?"),
    "of the loaders": ("prepare data.batch_size=4", "data.batch_size is a setting of train, not"),
    "of the training": (
        "evaluate checkpoint=x augment=paper",
        "augment=paper is for benchmark and train, not",
    ),
    "of another data set": ("train data.size=tiny", "with data=demo8 there is"),
    "in another group": ("train model.lr=1", "did you mean 'optimizer.lr'?"),
    "misspelt": ("train optimizer.lrr=1", "did you mean 'optimizer.lr'?"),
    "misspelt group": ("train modell=tiny", "did you mean 'model'?"),
    "misspelt choice": ("train model=maxvitt", "did you mean 'maxvit'?"),
    "misspelt launcher": ("train hydra/launcher=gpu", "did you mean 'gpus'?"),
    "internal group": ("train data/part=loading", "there is no setting 'data/part'"),
    "deleted group": ("train ~data", "data=... is needed: one of afewva, affectnet7"),
    "wrong type": ("train seed=abc", "error: seed=abc: Value 'abc'"),
    "a list": ("train warmup=[1]", "error: warmup=[1]: Value '[1]'"),
    "no such key to interpolate": (
        "score predictions=${nowhere}",
        "predictions: Interpolation key",
    ),
    "null for a logger": ("train logger=null", "logger=null: choose one of csv, tensorboard"),
    "null for callbacks": ("train callbacks=null", "callbacks=null: choose one of default"),
    "null for a model": ("train model=null", "model=null: choose one of"),
    "null for data": ("evaluate data=null", "data=null: choose one of"),
    "null in a sweep": ("train -m model=tiny,null", "model=tiny,null: choose one of"),
    "number for a group": ("train data=3", "data=3: choose one of"),
    "null for a launcher": ("train hydra/launcher=null", "hydra/launcher takes the name of"),
    "null for a group of another": ("prepare loss=null", "loss=null: loss takes the name of"),
    "dashes": ("train --optimizer.lr=1e-4", "settings have no dashes: optimizer.lr=1e-4"),
    "dashes in front": ("train -lr=1", "settings have no dashes: lr=1"),
    "no such option": ("train --multi-run", "there is no option --multi-run"),
    "wrong option": ("train --cfg jobb", "invalid choice: 'jobb'"),
    "two actions": ("train -m --cfg job", "--multirun and --cfg exclude each other"),
    "option in between": ("train seed=1 -m seed=2", "seed=2 stands apart"),
    "resolve alone": ("train --resolve", "--resolve belongs to --cfg"),
    "no value": ("train demo8", "cannot read 'demo8': a setting is written KEY=VALUE"),
    "odd key": ("train größe=1", "there is no setting 'größe'"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_one_line(slip: str, called: Called) -> None:
    typed, answer = SLIPS[slip]
    code, out, wrong = called(*typed.split())
    assert (code, out) == (1, "")
    assert answer in wrong
    [line] = wrong.splitlines()
    assert line.startswith("error: ")


def test_a_choice_may_look_like_a_number(called: Called) -> None:
    code, out, _ = called("train", "debug=nan", "--cfg", "job")
    assert code == 0
    assert "detect_anomaly: true" in out


def test_settings_of_one_machine(called: Called, tmp_path: Path) -> None:
    file = tmp_path / "own/local/default.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("data: /datasets\nentity: mine\n")
    own = ("--config-dir", str(tmp_path / "own"), "--cfg", "job", "--resolve")
    for name, typed in (
        ("train", "run_dir=x"),
        ("prepare", "data=emotic"),
        ("analyze", "data=demo8"),
    ):
        _, out, _ = called(name, *own, typed)
        assert "root: /datasets/" in out
    beaten = ("logger=wandb", "local.entity=other", "data.root=/mine")
    _, out, _ = called("train", *own, "run_dir=x", *beaten)
    assert "entity: other\n" in out
    assert "root: /mine\n" in out
    file.write_text("data_root: /datasets\n")
    code, _, wrong = called("train", *own)
    assert (code, "local/default.yaml: there is no setting 'data_root'" in wrong) == (1, True)


def test_a_missing_file_of_a_choice_says_who_needs_it(called: Called, tmp_path: Path) -> None:
    (tmp_path / "loss").mkdir()
    (tmp_path / "loss/focal.yaml").write_text("# @package _global_\nloss:\n  alpha: 1\n")
    own = ("--config-dir", str(tmp_path), "loss=focal", "protocol=published_code")
    code, _, wrong = called("train", *own)
    assert code == 1
    assert "loss=focal, protocol=published_code: there is no augment=published_focal" in wrong
    assert "add augment/published_focal.yaml to your --config-dir" in wrong
    code, out, _ = called("train", *own, "augment=paper", "--cfg", "job")
    assert code == 0
    assert "alpha: 1" in out


ODD = ("ckpts/epoch=1-step=16.ckpt", "model (1).ckpt", "größe", "it's", "a,b (1)", 'say "x"=1')
ODD_TOO = ("[1", "${x", "=x\\", 'x\\"', 'it\'s "so"=', "a;rm -rf b", "$(date)", "`date`", "a  b=")


@pytest.mark.parametrize("value", ODD + ODD_TOO)
def test_a_value_that_cannot_be_read_is_printed_quoted(value: str, called: Called) -> None:
    argument = f"checkpoint={value}"
    code, _, wrong = called("evaluate", "data=demo8", argument)
    assert code == 1
    first, _, ready = wrong.rstrip("\n").partition("quote the value, as in ")
    assert first == f"error: cannot read {argument}: "
    [pasted] = shlex.split(ready)
    assert OverridesParser.create().parse_override(pasted).value() == value


def test_of_a_list_the_names_are_to_be_quoted(called: Called) -> None:
    argument = "data.categories=[ruhig,Ärger]"
    code, _, wrong = called("train", "data=table", argument)
    assert code == 1
    first, _, ready = wrong.rstrip("\n").partition("quote the names in it, as in ")
    assert first == f"error: cannot read {argument}: "
    [pasted] = shlex.split(ready)
    assert OverridesParser.create().parse_override(pasted).value() == ["Ärger", "sehr müde"]


def test_a_mapping_that_cannot_be_typed_is_to_be_a_file(called: Called) -> None:
    code, _, wrong = called("evaluate", "data=demo8", "checkpoint=x", 'mapping={"Ärger": Anger}')
    assert code == 1
    assert "Write a YAML file" in wrong
    assert "mapping=FILE.yaml" in wrong
    assert "quote" not in wrong


def test_what_is_printed_quoted_can_be_pasted_into_a_shell(called: Called) -> None:
    lines = "\n".join(f"printf '%s\\0' {as_text(f'checkpoint={value}')}" for value in ODD + ODD_TOO)
    done = subprocess.run(["sh", "-c", lines], capture_output=True, text=True, check=True)
    parser = OverridesParser.create()
    pasted = [parser.parse_override(word).value() for word in done.stdout.split("\0")[:-1]]
    assert pasted == [*ODD, *ODD_TOO]
    ready = shlex.split(as_text("checkpoint=a=1.ckpt"))
    code, out, _ = called("evaluate", "data=demo8", *ready, "--cfg", "job")
    assert code == 0
    assert "checkpoint: a=1.ckpt" in out


def test_a_home_folder_is_written_out(called: Called, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    _, _, wrong = called("train", "data.root=~/data")
    assert wrong.endswith("""as in 'data.root="/home/someone/data"'\n""")


def _door(monkeypatch: pytest.MonkeyPatch, raises: Exception) -> Callable[[], None]:
    def task(config: DictConfig) -> None:
        raise raises

    monkeypatch.setattr(sys, "argv", ["train.py", *TINY])
    return cli.command("train")(task)


def test_what_a_job_refuses_is_the_only_message(
    called: Called, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="1"):
        _door(monkeypatch, ConfigError("lower it"))()
    assert capsys.readouterr().err == "error: lower it\n"


def test_an_error_that_comes_from_ctrl_c_is_an_interruption(
    called: Called, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """OmegaConf makes errors of its own of all that happens while it reads a value."""
    error = ConfigError("augment.steps: there is no attribute")
    error.__cause__ = AttributeError("no attribute")
    error.__cause__.__context__ = KeyboardInterrupt()
    with pytest.raises(SystemExit, match="130"):
        _door(monkeypatch, error)()
    assert capsys.readouterr().err == "interrupted\n"


def test_sigterm_ends_a_command_in_one_line(
    called: Called, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def task(config: DictConfig) -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt as error:
            raise ConfigError("augment.steps: there is no attribute") from error

    monkeypatch.setattr(sys, "argv", ["train.py", *TINY])
    with pytest.raises(SystemExit, match="143"):
        cli.command("train")(task)()
    assert capsys.readouterr().err == "stopped by SIGTERM\n"


def test_errors_that_come_from_each_other_are_one_line(
    called: Called, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = ConfigError("lower it")
    error.__cause__ = ValueError("too high")
    error.__cause__.__context__ = error
    with pytest.raises(SystemExit, match="1"):
        _door(monkeypatch, error)()
    assert capsys.readouterr().err == "error: lower it\n"


def test_a_job_in_the_process_of_a_launcher_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in SLURM: what is only noted there, nobody would hear of."""

    def task(config: DictConfig) -> None:
        raise ConfigError("lower it")

    refused: list[Exception] = []
    job = cli._collecting(task, refused)
    monkeypatch.setattr(cli, "_process", lambda: ("a node", 1))
    monkeypatch.setenv(cli.FULL_ERROR, "0")  # and what the command sets is taken back
    with pytest.raises(ConfigError, match="lower it"):
        job(DictConfig({}))
    assert not refused


def test_a_fault_of_ours_keeps_its_traceback(
    called: Called, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ZeroDivisionError):
        _door(monkeypatch, ZeroDivisionError())()
    monkeypatch.setenv(cli.FULL_ERROR, "1")
    with pytest.raises(ConfigError):
        _door(monkeypatch, ConfigError("lower it"))()


@pytest.mark.parametrize(
    ("door", "setting"),
    [("train", "tag"), ("train", "group"), ("train", "runs"), ("score", "predictions")],
)
def test_a_name_that_is_too_long_is_one_line(called: Called, door: str, setting: str) -> None:
    needed = TINY if door == "train" else ()
    code, _, said = called(door, *needed, f"{setting}={'a' * 300}.csv")
    assert code == 1
    (line,) = said.splitlines()
    assert re.match(r"error: .*aaaa.*(File name too long|more than 255 bytes)", line)
