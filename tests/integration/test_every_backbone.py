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


# The others train the default, combined, on eight categories.
CHOICES = {
    "maxvit": ("data=demo7",),
    "efficientnet_v2_s": ("data=demo8", "loss=discrete"),
    "swin": ("data=demo8", "loss=va"),
}


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_backbone_trains(command: Command, tmp_path: Path, backbone: str) -> None:
    """Each in one mode; test_published_weights has MaxViT in all of them."""
    choices = (*BACKBONES[backbone].split(), *CHOICES.get(backbone, ("data=demo8",)))
    trial = ("trainer.fast_dev_run=true", "model.weights=none")
    done = command("train", *choices, *SMALL, *trial)
    assert "it works" in done.stderr
    assert not list(tmp_path.iterdir())


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
