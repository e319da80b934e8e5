"""A state_dict of plain torchvision code, in the published layout, through the real command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import models, transforms

from cage_lightning.labels import AFFECTNET_8
from tests.conftest import Command


def maxvit(outputs: int, dropout: bool = False) -> nn.Module:
    network = models.maxvit_t()
    head = [
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.LayerNorm(512),
        nn.Linear(512, 512),
        nn.Tanh(),
        *([nn.Dropout(0.3)] if dropout else []),
        nn.Linear(512, outputs, bias=False),
    ]
    network.classifier = nn.Sequential(*head)
    return network  # type: ignore[no-any-return]


def efficientnet(outputs: int) -> nn.Module:
    network = models.efficientnet_v2_s()
    network.classifier[1] = nn.Linear(1280, outputs)
    return network  # type: ignore[no-any-return]


def swin(outputs: int) -> nn.Module:
    network = models.swin_v2_t()
    network.head = nn.Linear(768, outputs)
    return network  # type: ignore[no-any-return]


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "maxvit": maxvit,
    "efficientnet_v2_s": efficientnet,
    "swin_v2": swin,
}
OUTPUTS = {"discrete": 8, "combined": 10, "va": 2}


# The layout of MaxViT differs between modes; that of the others only in the number of outputs.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "loss"),
    [*(("maxvit", loss) for loss in OUTPUTS), ("efficientnet_v2_s", "discrete"), ("swin_v2", "va")],
)
def test_evaluation_equals_the_plain_code(
    command: Command, tmp_path: Path, demo_root: Path, model: str, loss: str
) -> None:
    torch.manual_seed(0)
    # The published head of MaxViT for valence and arousal has a dropout that others do not have.
    special = {"dropout": True} if (model, loss) == ("maxvit", "va") else {}
    network = NETWORKS[model](OUTPUTS[loss], **special).eval()
    torch.save(network.state_dict(), tmp_path / "model.pt")
    arguments = ("checkpoint=model.pt", f"model={model}", f"loss={loss}", "data=demo8")
    sizes = ("data.size=tiny", "data.num_workers=0", "data.batch_size=2", "trainer=cpu")
    command("evaluate", *arguments, *sizes, "trainer.limit_test_batches=1", "output=out")

    rows = pq.read_table(tmp_path / "out/predictions.parquet").to_pylist()
    assert len(rows) == 2
    to_input = transforms.Compose(
        [
            transforms.Resize((224, 224)),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    folder = demo_root / "demo_faces/tiny/val_set/images"
    pictures = [Image.open(folder / f"{row['id']}.jpg").convert("RGB") for row in rows]
    with torch.no_grad():
        outputs = network(torch.stack([to_input(p) for p in pictures])).double()
    k = 0 if loss == "va" else 8
    if k:
        found = [[row[f"prob_{name}"] for name in AFFECTNET_8.categories] for row in rows]
        expected = outputs[:, :k].softmax(1).numpy()
        np.testing.assert_allclose(np.array(found), expected, atol=1e-5)
    if loss != "discrete":
        found = [[row["valence_pred"], row["arousal_pred"]] for row in rows]
        np.testing.assert_allclose(np.array(found), outputs[:, k:].numpy(), atol=1e-5)


@pytest.mark.slow
def test_weights_of_another_network_are_refused(command: Command, tmp_path: Path) -> None:
    torch.save(efficientnet(8).state_dict(), tmp_path / "model.pt")
    arguments = ("checkpoint=model.pt", "model=maxvit", "loss=discrete", "data=demo8")
    done = command("evaluate", *arguments, "data.size=tiny", check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "efficientnet_v2_s" in done.stderr
    assert not list(tmp_path.rglob("metrics.json"))
