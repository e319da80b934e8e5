"""A short run on each data set and in each mode against what commit 11b5277 made of it.

The fingerprints hold every split, and the hold-out, to the last label: older runs resume on no
others. `python -m tests.golden.test_data_sets` writes the numbers anew.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from cage_lightning.demo import emotic, faces
from tests.conftest import Command, environment, in_process
from tests.unit.data.readers import test_ferplus as ferplus
from tests.unit.data.readers import test_rafdb as rafdb

GOLDEN = Path(__file__).with_name("data_sets.json")
FACES = {f"{split}_{n:05d}": str(n % 7 + 1) for split in ("train", "test") for n in range(60)}
SETTINGS = ("model=tiny", "model.image_size=32", "trainer=cpu", "trainer.max_epochs=1")
STEPS = ("optimizer._target_=torch.optim.SGD", "optimizer.lr=0.002", "data.num_workers=0")
RUNS = {
    "demo7": ("data.size=tiny", "loss=va"),
    "demo8": ("data.size=tiny", "loss=combined"),
    "demo_emotic": ("data.size=tiny", "loss=combined"),
    "rafdb": ("data.root=rafdb", "loss=discrete"),
    "ferplus": ("data.root=ferplus", "loss=discrete"),
}


def write_data(folder: Path) -> None:
    """The drawn data sets in the folder CAGE_DATA, and the others where the runs look for them."""
    rafdb.write_list(folder / "rafdb", FACES)
    ferplus.write_list(folder / "ferplus", ferplus.ROWS)


def outcome(folder: Path) -> dict[str, Any]:
    """Of the only run below a folder: the fingerprints of its splits, and its scores."""
    (file,) = folder.glob("runs/default/*/metrics.json")
    metrics = json.loads(file.read_text(encoding="utf-8"))
    splits = {split: about["fingerprint"] for split, about in metrics["meta"]["data"].items()}
    return {"splits": splits, "scores": {k: v for k, v in metrics.items() if k.startswith("test/")}}


@pytest.mark.slow
@pytest.mark.parametrize("data", RUNS)
@pytest.mark.usefixtures("demo_persons")
def test_a_run_gives_the_stored_numbers(data: str, command: Command, tmp_path: Path) -> None:
    write_data(tmp_path)
    command("train", f"data={data}", *RUNS[data], *SETTINGS, *STEPS)
    found, stored = outcome(tmp_path), json.loads(GOLDEN.read_text())[data]
    assert found["splits"] == stored["splits"]
    assert found["scores"].keys() - stored["scores"].keys() <= {"test/ccc_mean"}  # came later
    scores = {key: found["scores"].get(key) for key in stored["scores"]}
    assert scores == pytest.approx(stored["scores"], rel=1e-4, abs=1e-5)


if __name__ == "__main__":
    golden = {}
    with tempfile.TemporaryDirectory() as drawn:
        faces.write_release(Path(drawn, "demo_faces/tiny"), "tiny")
        emotic.write_release(Path(drawn, "demo_emotic/tiny"), "tiny")
        for name, settings in RUNS.items():
            with tempfile.TemporaryDirectory() as place:
                write_data(Path(place))
                arguments = (f"data={name}", *settings, *SETTINGS, *STEPS)
                in_process()("train", arguments, Path(place), environment(Path(drawn)))
                golden[name] = outcome(Path(place))
    GOLDEN.write_text(json.dumps(golden, indent=2) + "\n")
