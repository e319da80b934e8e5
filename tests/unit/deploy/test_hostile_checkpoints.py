"""A checkpoint may come from anyone: nothing in it is called, resolved, or a path that is read."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from cage_lightning.app.build import load_module
from cage_lightning.app.schema import CONF_DIR
from cage_lightning.deploy.checkpoints import BUILDERS, MODES
from cage_lightning.errors import CheckpointError
from cage_lightning.models import build_network
from cage_lightning.runs.identity import read_config
from tests.hostile_content import SOUND_CHECKPOINT, Payload, replace_part
from tests.untouched import untouched

Content = dict[str, Any]


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder with code and a secret, which a test may not touch, nor start a process."""
    place = tmp_path / "outside"
    place.mkdir()
    ran = f"open({str(place / 'ran')!r}, 'w').close()"
    (place / "hubconf.py").write_text(f"{ran}\ndef network(**_):\n    {ran}\n")
    (place / "secret.pt").write_bytes(b"secret")
    with untouched(place):
        yield place
    assert sorted(p.name for p in place.iterdir()) == ["hubconf.py", "secret.pt"]


# --- checkpoints ---------------------------------------------------------------------------------


def model(**settings: Any) -> Callable[[Content, Path], None]:
    def change(content: Content, outside: Path) -> None:
        filled = {
            key: value.replace("OUTSIDE", str(outside)) if isinstance(value, str) else value
            for key, value in settings.items()
        }
        content["config"]["model"].update(filled)

    return change


def module(**settings: Any) -> Callable[[Content, Path], None]:
    return lambda content, outside: content["config"]["module"].update(settings)


def replaced(part: str, value: Any) -> Callable[[Content, Path], None]:
    """Put `value` in the place of a part, by dotted name."""

    def change(content: Content, outside: Path) -> None:
        replace_part(content, tuple(part.split(".")), value)

    return change


def nested_download(content: Content, outside: Path) -> None:
    content["config"]["model"]["name"] = {
        "_target_": "cage_lightning.models.pretrained.torch.hub.download_url_to_file",
        "url": f"file://{outside}/secret.pt",
        "dst": f"{outside}/copy",
    }


def itself(content: Content, outside: Path) -> None:
    content["config"]["model"]["name"] = content["config"]


HUB = {"repo_or_dir": "OUTSIDE", "source": "local", "model": "network"}
HOSTILE: dict[str, Callable[[Content, Path], None]] = {
    "code of a folder": model(_target_="cage_lightning.models.tiny.torch.hub.load", **HUB),
    "nested download": nested_download,
    "module runs code": module(
        _target_="cage_lightning.modules.base.torch.hub.load", repo_or_dir="/", source="local"
    ),
    "another function of ours": model(
        _target_="cage_lightning.models.read_state_dict", path="OUTSIDE/secret.pt"
    ),
    "the builder by another way": model(_target_="cage_lightning.models.backbones.build_network"),
    "a mode by another way": module(_target_="cage_lightning.modules.combined.CombinedModule"),
    "no mode": module(_target_="cage_lightning.modules.ExpressionModule"),
    "target is a list": model(_target_=["cage_lightning.models.build_network"]),
    "no target": replaced("config.module", {}),
    "positional arguments": model(_args_=["tiny", 10, "/etc/passwd"]),
    "conversion": model(_convert_="object"),
    "network of a mode": module(network={"_target_": "os.system", "command": "true"}),
    "path of weights": model(checkpoint_path="OUTSIDE/secret.pt"),
    "config of weights": model(pretrained_cfg={"file": "/etc/passwd"}),
    "nested weights": model(weights={"_target_": "builtins.open", "file": "/etc/passwd"}),
    "hub by name": model(name="hf-hub:someone/network"),
    "folder by name": model(name="local-dir:OUTSIDE"),
    "timm's name with a path": model(name="resnet18.OUTSIDE"),
    "name without end": model(name="a" * 10**7),
    "several lines": model(_target_="a\n\x1b[31mb"),
    "environment as name": model(name="${oc.env:HOME}"),
    "resolver as size": model(image_size="${oc.decode:64}"),
    "huge picture": model(image_size=10**9),
    "no picture": model(image_size=0),
    "size is true": model(image_size=True),
    "size is a list": model(image_size=[64, 64]),
    "size without end": model(image_size=10**400),
    "dropout is text": model(head_dropout="${oc.env:HOME}"),
    "dropout above one": model(name="maxvit_mini", head_dropout=2.0),
    "model is a list": replaced("config.model", [1]),
    "model is text": replaced("config.model", "${hydra:runtime.cwd}"),
    "config is text": replaced("config", "${oc.env:HOME}"),
    "config is nothing": replaced("config", None),
    "config in itself": itself,
    "labels are text": replaced("label_space", "affectnet8"),
    "a label space with more": replaced("label_space.extra", 1),
    "markup as category": replaced(
        "label_space.categories", ["[link=file:///etc]x[/link]", "$\\x$"]
    ),
    "one category twice": replaced("label_space.categories", ["Fear"] * 8),
    "categories without end": replaced("label_space.categories", [str(k) for k in range(10**5)]),
    "range the wrong way": replaced("label_space.native_range", [1.0, -1.0]),
    "counts are text": replaced("training.counts", ["many"] * 8),
    "means of other labels": replaced("training.affect", [0.1]),
    "statistics with more": replaced("training.extra", 1),
    "statistics are a list": replaced("training", [1]),
    "means that are none": replaced("training.affect", [float("nan"), 0.0]),
}


def written(file: Path, content: Content) -> Path:
    network = build_network("tiny", 10, weights="none", image_size=64)
    weights = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    torch.save(content | {"state_dict": weights}, file)
    return file


def refused(file: Path) -> str:
    """The line that `load_module` ends with."""
    with pytest.raises(CheckpointError) as caught:
        load_module(file)
    message = str(caught.value)
    assert message.startswith(str(file))
    assert message.isprintable()
    assert len(message) < len(str(file)) + 500
    return message


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_hostile_checkpoint_is_refused(
    change: Callable[[Content, Path], None], tmp_path: Path, outside: Path
) -> None:
    content = copy.deepcopy(SOUND_CHECKPOINT)
    change(content, outside)
    refused(written(tmp_path / "best.ckpt", content))


def test_pickled_code_is_refused(tmp_path: Path, outside: Path) -> None:
    content = copy.deepcopy(SOUND_CHECKPOINT) | {"more": Payload(outside / "ran")}
    assert "UnpicklingError" in refused(written(tmp_path / "best.ckpt", content))


@pytest.mark.parametrize("weights", ["OUTSIDE/secret.pt", "imagenet", None])
def test_the_weights_that_a_training_began_with_are_not_read(
    weights: str | None, tmp_path: Path, outside: Path
) -> None:
    content = copy.deepcopy(SOUND_CHECKPOINT)
    model(weights=weights)(content, outside)
    replaced("config.init_from", str(outside / "secret.pt"))(content, outside)
    replaced("config.trainer", {"_target_": "os.system", "command": "${oc.env:HOME}"})(
        content, outside
    )
    load_module(written(tmp_path / "best.ckpt", content))


def test_tensors_without_content_are_refused(tmp_path: Path) -> None:
    file = written(tmp_path / "best.ckpt", copy.deepcopy(SOUND_CHECKPOINT))
    content = torch.load(file, weights_only=True)
    empty = torch.empty(16, 3, 3, 3, device="meta")
    content["state_dict"]["network.features.0.0.weight"] = empty
    torch.save(content, file)
    assert "no weights" in refused(file)


def test_what_configs_name_is_in_the_tables() -> None:
    models = {read_config(file)["model"]["_target_"] for file in CONF_DIR.glob("model/*.yaml")}
    modes = {read_config(file)["module"]["_target_"] for file in CONF_DIR.glob("loss/*.yaml")}
    assert models == BUILDERS.keys()
    assert modes == MODES.keys()
