"""The run folder: its name, its lock, its config, and the remains of a killed attempt."""

from __future__ import annotations

import errno
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from cage_lightning.app.schema import CONF_DIR
from cage_lightning.commands.train import train
from cage_lightning.errors import ConfigError, DataError
from cage_lightning.runs.folder import RunFolder
from cage_lightning.runs.identity import network_name, read_config
from cage_lightning.system.atomic import write_atomic
from tests.conftest import composed


def config_in(place: Path, *overrides: str) -> DictConfig:
    config = composed("data=demo8", "model=tiny", f"runs={place}", *overrides)
    config.run_dir = str(RunFolder.of(config).path)
    return config


def train_a_bit(config: DictConfig) -> None:
    folder = RunFolder.of(config)
    folder.claim(config)
    write_atomic(folder.last, "weights")


def test_name_says_what_ran() -> None:
    assert RunFolder.of(composed("data=demo7", "model=tiny", "loss=va", "seed=3")).path == Path(
        "runs/default/demo7-tiny-va-s3"
    )
    assert RunFolder.of(composed("group=g", "tag=lr1")).path == Path(
        "runs/g/affectnet8-maxvit-combined-s0-lr1"
    )


@pytest.mark.parametrize("override", ["tag=a/b", "group=..", "tag='a b'"])
def test_name_is_one_folder(override: str) -> None:
    with pytest.raises(ConfigError, match="cannot be part of a folder's name"):
        RunFolder.of(composed(override))


def test_same_config_claims_its_folder_again(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    folder = RunFolder.of(config)
    folder.claim(config)
    folder.claim(config_in(tmp_path))
    assert OmegaConf.load(folder.config_file).optimizer.lr == config.optimizer.lr


def test_execution_may_differ_when_a_run_is_resumed(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    train_a_bit(config)
    other = config_in(tmp_path, "data.num_workers=0", "trainer=ddp", "data.root=/elsewhere")
    RunFolder.of(other).claim(other)


def test_another_config_under_the_same_name_is_refused(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    train_a_bit(config)
    other = config_in(tmp_path, "optimizer.lr=0.1", "loss.alpha=2")
    with pytest.raises(ConfigError, match=r"loss.alpha is 2 here and 5.0 there.*tag=NAME"):
        RunFolder.of(other).claim(other)


def test_a_start_that_trained_nothing_claims_nothing(tmp_path: Path) -> None:
    config = config_in(tmp_path, "init_from=a-typo")
    RunFolder.of(config).claim(config)
    right = config_in(tmp_path)
    RunFolder.of(right).claim(right)
    assert OmegaConf.load(RunFolder.of(right).config_file).init_from is None


def test_a_strangers_config_is_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "of-this-machine")
    config = config_in(tmp_path)
    train_a_bit(config)
    file = RunFolder.of(config).config_file
    file.write_text(file.read_text().replace("lr: 0.003", "lr: ${oc.env:SECRET}"))
    with pytest.raises(ConfigError, match=r"optimizer.lr is 0.003 here and '\$\{oc.env:SECRET\}'"):
        RunFolder.of(config).claim(config)


def test_config_is_read_as_it_was_written(tmp_path: Path) -> None:
    strings = (
        "1e-3 5.0e-05 2024-01-01 12:30:00 00:00:00:03 null ~ on 0o17 0x1F 1_000 = << .inf # - ?"
    )
    odd = [
        *strings.split(),
        "",
        " a",
        "a: b",
        "${x}",
        "größe",
        "a\nb",
        "[a]",
        "{a}",
        "!x",
        "*a",
        "&a",
    ]
    values = {"text": odd, "numbers": [1e-5, 0.003, 1, -0.0, 1e300, True, None], "empty": [{}, []]}
    (tmp_path / "config.yaml").write_text(OmegaConf.to_yaml(values), encoding="utf-8")
    assert read_config(tmp_path / "config.yaml") == values


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system ['true']",
        "a: !!python/object/apply:pathlib.Path [/etc]",
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]",
        "a: " + "[" * 1000,
        "a: [",
        "- a",
        "a",
        "",
    ],
    ids=["code", "path", "references", "deep", "cut off", "list", "text", "empty"],
)
def test_what_is_no_config_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(DataError, match=r"config\.yaml is (no config|unreadable)") as caught:
        read_config(tmp_path / "config.yaml")
    assert "\n" not in str(caught.value)


def try_lock(path: Path) -> int:
    code = (
        "import sys, pathlib; from cage_lightning.errors import ConfigError\n"
        "from cage_lightning.runs.folder import RunFolder\n"
        "try:\n  with RunFolder(pathlib.Path(sys.argv[1])).locked(): pass\n"
        "except ConfigError as e: sys.exit(7 if 'another process' in str(e) else 8)"
    )
    return subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode


def test_one_process_at_a_time(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with folder.locked():
        assert try_lock(folder.path) == 7
        # A child that outlives a killed run, like a worker of a DataLoader, holds no lock.
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(30,))
        child.start()
    assert try_lock(folder.path) == 0
    child.kill()
    child.join()


@pytest.mark.parametrize(
    ("fails", "number", "message"),
    [
        ("fcntl.lockf", errno.ENOLCK, "has no locks .*runs=DIR"),
        ("fcntl.lockf", errno.ENOSYS, "has no locks .*runs=DIR"),
        ("os.open", errno.EROFS, "cannot write .*make it writable, .*runs=DIR"),
        ("os.open", errno.EACCES, "cannot write .*make it writable, .*runs=DIR"),
        ("os.open", errno.ENOSPC, "cannot write .*make room there, .*runs=DIR"),
        ("pathlib.Path.mkdir", errno.EROFS, "cannot write .*make it writable, .*runs=DIR"),
    ],
)
def test_only_held_means_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str, number: int, message: str
) -> None:
    def fail(*arguments: object, **named: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fails, fail)
    with pytest.raises(ConfigError, match=message) as refused, RunFolder(tmp_path).locked():
        pass
    assert "another process" not in str(refused.value).replace("two processes", "")


def test_a_finished_run_needs_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A finished run in a read-only folder of another user can still be reported."""
    config = config_in(tmp_path, "trainer=cpu")
    folder = RunFolder.of(config)
    folder.claim(config)
    write_atomic(folder.metrics_file, '{"test/accuracy": 1}')
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr(RunFolder, "locked", lambda *_, **__: pytest.fail("locked"))
    assert train(config_in(tmp_path, "trainer=cpu")) == {"test/accuracy": 1}
    assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(ConfigError, match="another config"):
        train(config_in(tmp_path, "trainer=cpu", "optimizer.lr=1"))


@pytest.mark.parametrize("address", ["s3://bucket/runs", "gs://b", "file:///tmp/runs"])
def test_runs_are_of_this_machine(address: str) -> None:
    with pytest.raises(ConfigError, match=rf"runs={address}: only folders and files of this"):
        RunFolder.of(composed(f"runs='{address}'"))


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "metrics.json"
    write_atomic(file, "old")

    def fail(descriptor: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomic(file, "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_sweep_up_deletes_partial_files_only(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_atomic(folder.best, "weights")
    folder.best.with_name(".part-123").write_text("half")
    folder.sweep_up()
    assert [f.name for f in folder.best.parent.iterdir()] == ["best.ckpt"]


TIMM = ("model=timm", "model.name=test_resnet.r160_in1k")


def test_a_network_of_timm_has_its_own_name(tmp_path: Path) -> None:
    assert config_in(tmp_path, *TIMM).run_dir == str(
        tmp_path / "default/demo8-test_resnet.r160_in1k-combined-s0"
    )
    other = config_in(tmp_path, "model=timm", "model.name=hf-hub:timm/resnet18")
    assert Path(other.run_dir).name.startswith("demo8-hf-hub_timm_resnet18-")


def test_networks_of_timm_are_called_like_none_of_ours() -> None:
    import timm

    ours = {file.stem for file in (CONF_DIR / "model").glob("*.yaml")}
    assert ours.isdisjoint(timm.list_models())


def test_the_folder_that_every_network_of_timm_once_had(tmp_path: Path) -> None:
    older = RunFolder(tmp_path / "default/demo8-timm-combined-s0")
    config = config_in(tmp_path, *TIMM)
    write_atomic(older.last, "weights")
    there: Any = OmegaConf.to_container(config, resolve=True)
    there["choices"] = {"data": "demo8", "model": "timm", "loss": "combined"}
    write_atomic(older.config_file, OmegaConf.to_yaml(there))
    assert RunFolder.of(config_in(tmp_path, *TIMM)) == older
    RunFolder.of(config).claim(config)
    assert network_name(there) == "test_resnet.r160_in1k"
    # With another network or other settings it is another run.
    for override in ("model.name=test_vit", "optimizer.lr=1"):
        assert RunFolder.of(config_in(tmp_path, *TIMM, override)) != older
    # A run under the new name takes precedence.
    newer = RunFolder(tmp_path / "default/demo8-test_resnet.r160_in1k-combined-s0")
    write_atomic(newer.last, "weights")
    assert RunFolder.of(config) == newer
