"""One optimisation step of each mode against stored numbers.

They change only when the drawing, the augmentation, the network, the loss or the optimiser does.
`python -m tests.golden.test_step` writes them anew.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from lightning.pytorch import seed_everything
from torch.utils.data import default_collate

from cage_lightning.app import build
from cage_lightning.data.face_dataset import FaceDataset
from cage_lightning.data.sampling import EpochBatches
from cage_lightning.demo.faces import write_release
from tests.conftest import composed
from tests.present import present

GOLDEN = Path(__file__).with_name("step.json")
LOSSES = ("discrete", "combined", "va")


def step(loss: str, root: Path, device: str = "cpu") -> dict[str, float]:
    """Loss parts of the first batch of a run, the size of the gradient, the loss after the step."""
    where = ("data=demo8", "data.size=tiny", f"data.root={root}")
    config = composed(*where, "model=tiny", f"loss={loss}", "optimizer.lr=1e-4")
    seed_everything(0, verbose=False)
    config.run_dir = "run"
    data = build.build_data(config)
    data.setup("fit")
    module = build.build_module(config, data).to(device)
    rows = next(iter(EpochBatches(len(data.train), 16, seed=0)))
    dataset = FaceDataset(data.train, 64)
    batch = default_collate([dataset[row] for row in rows])
    batch = data.transfer_batch_to_device(batch, torch.device(device), 0)
    batch = batch._replace(image=data.augment(batch.image, batch.index, 0))

    optimizer = instantiate(config.optimizer)(module.parameters())
    parts = present(module.loss)(module(batch.image), batch)
    parts["loss"].backward()
    gradient = torch.stack([present(p.grad).norm() for p in module.parameters()]).norm()
    optimizer.step()
    after = present(module.loss)(module(batch.image), batch)["loss"]
    seen = parts | {"gradient": gradient, "loss_after": after}
    return {name: value.item() for name, value in seen.items()}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_step_gives_the_stored_numbers(loss: str, demo_root: Path) -> None:
    found = step(loss, demo_root / "demo_faces" / "tiny")
    assert found == pytest.approx(json.loads(GOLDEN.read_text())[loss], rel=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("loss", LOSSES)
def test_a_step_on_the_gpu_gives_them_too(loss: str, demo_root: Path) -> None:
    found = step(loss, demo_root / "demo_faces" / "tiny", "cuda")
    expected = json.loads(GOLDEN.read_text())[loss]
    assert found == pytest.approx(expected, rel=2e-3, abs=5e-4)  # the CCC itself is near 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        write_release(Path(folder) / "tiny", "tiny")
        golden = {loss: step(loss, Path(folder) / "tiny") for loss in LOSSES}
        GOLDEN.write_text(json.dumps(golden, indent=2) + "\n")
