"""The paper's backbones through the real command, at 224 x 224, with random weights."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.conftest import Command

BACKBONES = {
    "maxvit": "model=maxvit",
    "efficientnet_v2_s": "model=efficientnet_v2_s",
    "swin": "model=swin",
    "swin_v2": "model=swin_v2",
    "timm": "model=timm model.name=resnet18",
}
SMALL = ("data.size=tiny", "data.num_workers=0", "data.batch_size=2", "trainer=cpu")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "loss"),
    [("demo7", "combined"), ("demo8", "discrete"), ("demo8", "va")],
)
def test_maxvit_in_every_mode(command: Command, tmp_path: Path, data: str, loss: str) -> None:
    trial = ("trainer.fast_dev_run=true", "model.weights=none")
    done = command("train", "model=maxvit", f"loss={loss}", f"data={data}", *SMALL, *trial)
    assert "it works" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("backbone", [name for name in BACKBONES if name != "maxvit"])
def test_every_other_backbone(command: Command, backbone: str) -> None:
    trial = ("trainer.fast_dev_run=true", "model.weights=none")
    done = command("train", *BACKBONES[backbone].split(), "data=demo8", *SMALL, *trial)
    assert "it works" in done.stderr


@pytest.mark.parametrize("backbone", ["maxvit", pytest.param("timm", marks=pytest.mark.slow)])
def test_no_network_is_said_within_seconds(
    command: Command, tmp_path: Path, backbone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    caches = {"maxvit": str(tmp_path / "torch"), "timm": str(tmp_path / "hf")}
    monkeypatch.setattr(constants, "HF_HUB_CACHE", caches["timm"])
    done = command(
        "train",
        *BACKBONES[backbone].split(),
        "data=demo8",
        *SMALL,
        check=False,
        TORCH_HOME=caches["maxvit"],
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert caches[backbone] in done.stderr
    assert "model.weights=none" in done.stderr
