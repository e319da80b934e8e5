"""Weights as other people save them: containers, wrappers, whole networks, any kind of file."""

from __future__ import annotations

import argparse
import functools
import io
import logging
import tarfile
import tempfile
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torchvision import models

from cage_lightning.errors import CheckpointError
from cage_lightning.models import load_weights, read_state_dict
from tests.hostile_content import Payload
from tests.untouched import untouched

State = dict[str, Tensor]


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    built: nn.Module = timm.create_model("test_resnet", num_classes=10)
    return built.eval()


def same(state: dict[str, Any], other: dict[str, Any]) -> bool:
    return state.keys() == other.keys() and all(torch.equal(state[k], other[k]) for k in state)


class Wrapper(nn.Module):
    """What people put around a network."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.backbone = inner


def extras() -> dict[str, Any]:
    """What training code saves beside the weights."""
    args = argparse.Namespace(lr=1e-3, output=Path("out"))
    return {"args": args, "best": np.float64(0.6), "history": np.arange(3), "epoch": 3}


# --- containers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model", "net", "model_state_dict", "state_dict", "resnet_best"])
def test_a_container_is_unwrapped(name: str, tmp_path: Path, caplog: Any) -> None:
    expected, file = network().state_dict(), tmp_path / "model.pth"
    optimizer = torch.optim.AdamW(network().parameters()).state_dict()
    torch.save({"epoch": 3, name: expected, "optimizer": optimizer, "note": "x"}, file)
    with caplog.at_level(logging.INFO):
        assert same(read_state_dict(file), expected)
    said = f"the weights are those of its entry {name!r}" in caplog.text
    assert said is (name != "state_dict")  # which is what Lightning's files and ours have


def test_of_a_network_and_its_moving_average_the_average_is_taken(
    tmp_path: Path, caplog: Any
) -> None:
    plain, average = network(0).state_dict(), network(1).state_dict()
    torch.save({"model": plain, "model_ema": average}, tmp_path / "model.pth")
    assert same(read_state_dict(tmp_path / "model.pth"), average)
    assert "a network ('model') and the moving average of its weights ('model_ema')" in caplog.text


def test_several_networks_are_refused_by_name(tmp_path: Path) -> None:
    state = network().state_dict()
    torch.save({"student": state, "teacher": state}, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match=r"several state dicts \(student, teacher\): save"):
        read_state_dict(tmp_path / "model.pth")


# --- prefixes ------------------------------------------------------------------------------------


class Compiled(nn.Module):
    """What `torch.compile` returns; importing what it needs takes seconds."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self._orig_mod = inner


WRAPPERS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "module.": nn.DataParallel,
    "_orig_mod.": Compiled,
    "module._orig_mod.": lambda inner: nn.DataParallel(Compiled(inner)),
    "backbone.": Wrapper,
    "module.backbone.": lambda inner: nn.DataParallel(Wrapper(inner)),
    "averaged": AveragedModel,
}


@pytest.mark.parametrize("kind", WRAPPERS)
def test_a_prefix_of_all_names_is_left_out(kind: str, tmp_path: Path, caplog: Any) -> None:
    source, target = network(0), network(1)
    torch.save(WRAPPERS[kind](source).state_dict(), tmp_path / "model.pth")
    with caplog.at_level(logging.INFO):
        assert load_weights(target, tmp_path / "model.pth", strict=True).head_loaded
    assert same(target.state_dict(), source.state_dict())
    assert "all names begin with" in caplog.text


def test_a_prefix_of_some_names_is_kept(tmp_path: Path) -> None:
    state = {f"module.{name}": tensor for name, tensor in network().state_dict().items()}
    torch.save(state | {"extra.weight": torch.ones(2)}, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match=r"unexpected: module\.conv1"):
        load_weights(network(), tmp_path / "model.pth")


def test_a_prefix_that_makes_nothing_fit_is_kept(tmp_path: Path) -> None:
    torch.save({"encoder.layer.weight": torch.ones(2)}, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match=r"unexpected: encoder\.layer\.weight"):
        load_weights(network(), tmp_path / "model.pth")


# --- kinds of files ------------------------------------------------------------------------------


def scripted(path: Path, how: Callable[[nn.Module], Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        how(network()).save(str(path))


@functools.cache
def scripted_once() -> bytes:
    """TorchScript's file of the network: it takes a second to make."""
    with tempfile.TemporaryDirectory() as folder:
        scripted(file := Path(folder) / "scripted", torch.jit.script)
        return file.read_bytes()


SAVES: dict[str, Callable[[Path], object]] = {
    "safetensors": lambda path: save_file(network().state_dict(), path),
    "script": lambda path: path.write_bytes(scripted_once()),
    "trace": lambda path: scripted(
        path, lambda net: torch.jit.trace(net, torch.zeros(1, 3, 64, 64))
    ),
    "before 1.6": lambda path: torch.save(
        network().state_dict(), path, _use_new_zipfile_serialization=False
    ),
    "extras": lambda path: torch.save(extras() | {"model": network().state_dict()}, path),
    "extras before 1.6": lambda path: torch.save(
        extras() | {"model": network().state_dict()}, path, _use_new_zipfile_serialization=False
    ),
    "whole network": lambda path: torch.save(network(), path),
    "whole network before 1.6": lambda path: torch.save(
        network(), path, _use_new_zipfile_serialization=False
    ),
    "network in a container": lambda path: torch.save({"model": network()}, path),
}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *((kind, "model.pth") for kind in SAVES),
        *((kind, "model.safetensors") for kind in ("script", "extras", "before 1.6")),
    ],
)
def test_every_kind_is_recognised_by_its_content(
    kind: str, name: str, tmp_path: Path, caplog: Any
) -> None:
    SAVES[kind](tmp_path / name)
    assert same(read_state_dict(tmp_path / name), network().state_dict())
    whole = kind.startswith(("extras", "whole", "network"))
    assert ("holds Python objects" in caplog.text) is whole


def test_a_network_of_torchvision_pickled_as_a_whole(tmp_path: Path) -> None:
    """Its tensors of other types, and a buffer that is not saved."""
    source = models.squeezenet1_1(num_classes=10).half()
    source.register_buffer("passing", torch.ones(3), persistent=False)
    source.register_buffer("count", torch.tensor(3), persistent=True)
    source.register_buffer("nothing", torch.empty(0, dtype=torch.bfloat16))
    torch.save(source, tmp_path / "model.pth")
    assert same(read_state_dict(tmp_path / "model.pth"), source.state_dict())


def test_tied_and_transposed_tensors(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    state = {"a": base, "b": base.T, "c": base[1:, 2:], "d": base[:1].expand(5, 4)}
    torch.save({"model": OrderedDict(state), **extras()}, tmp_path / "model.pth")
    assert same(read_state_dict(tmp_path / "model.pth"), state)


def tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("sys_info"), io.BytesIO())


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.pth", "")


OTHERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "tar": (tar, r"is an archive \(tar\), or of a PyTorch before 0.1.10"),
    "pointer": (
        lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
        "git lfs pull",
    ),
    "page": (lambda path: path.write_text("<!DOCTYPE html><title>404</title>"), "page of HTML"),
    "zip": (zipped, "is a zip archive that neither torch.save nor"),
    "keras": (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(99)), "HDF5"),
    "frozen": (
        lambda path: scripted(
            path, lambda net: torch.jit.freeze(torch.jit.script(nn.Conv2d(3, 4, 1).eval()))
        ),
        "TorchScript archive without parameters",
    ),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_no_weight_file_is_called_by_its_name(kind: str, tmp_path: Path) -> None:
    save, message = OTHERS[kind]
    save(tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match=message) as caught:
        read_state_dict(tmp_path / "model.pth")
    assert "\n" not in str(caught.value)
    assert "damaged" not in str(caught.value)


@pytest.mark.parametrize("kind", ["safetensors", "script", "extras", "extras before 1.6"])
@pytest.mark.parametrize("share", [0.05, 0.9])
def test_a_file_that_was_cut_off_is_damaged(kind: str, share: float, tmp_path: Path) -> None:
    SAVES[kind](path := tmp_path / "model.pth")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match=r"model\.pth is damaged"):
        read_state_dict(path)


# --- strangers -----------------------------------------------------------------------------------


def test_weights_are_read_beside_an_attack_that_is_not_run(tmp_path: Path, caplog: Any) -> None:
    expected, outside = network().state_dict(), tmp_path / "outside"
    outside.mkdir()
    attack = Payload(outside / "ran")
    for content in ({"model": expected, "x": attack}, {"x": [attack], "model": expected}):
        torch.save(content, tmp_path / "model.pth")
        with untouched(outside):
            assert same(read_state_dict(tmp_path / "model.pth"), expected)
        assert "posix.system" in caplog.text
    assert not list(outside.iterdir())


def test_the_class_of_a_pickled_network_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    code = "from torch import nn\nclass Network(nn.Linear):\n    pass\n"
    (outside / "theirs.py").write_text(code)
    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(outside))
        import theirs  # type: ignore[import-not-found]

        torch.save(theirs.Network(2, 2), tmp_path / "model.pth")
        patch.delitem(__import__("sys").modules, "theirs")
        with untouched(outside):
            assert read_state_dict(tmp_path / "model.pth").keys() == {"weight", "bias"}
