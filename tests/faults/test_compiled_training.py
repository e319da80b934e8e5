"""Steps on a compiled network: as those of the network itself, and resumed exactly.

To compile costs most of a CPU minute: too much for the slow tests.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._inductor import config as inductor

from cage_lightning.models import backbones
from cage_lightning.models.tiny import TinyNetwork
from cage_lightning.runs.folder import RunFolder
from tests.conftest import TINY, Command
from tests.integration.test_exact_resume import state, to_kill

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

RUN = "runs/default/demo8-tiny-combined-s0"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of compiled code, and a network that is compiled soon, also in forks."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "compiled"))
    monkeypatch.setattr(inductor, "cpp_cache_precompile_headers", False)
    monkeypatch.setattr(inductor, "compile_threads", 1)
    monkeypatch.setattr(inductor.cpp, "simdlen", 1)
    monkeypatch.setitem(backbones._OURS, "tiny", lambda n, size: TinyNetwork(n, size, (16,)))
    return tmp_path / "compiled"


def of_epochs(folder: RunFolder, name: str) -> list[float]:
    """A number of each epoch."""
    lines = re.findall(r"epoch \d+/\d+: .*", folder.log_file.read_text())
    return [float(line.partition(f"{name} ")[2].partition(",")[0]) for line in lines]


def weights(folder: RunFolder) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(folder.last, weights_only=True)["state_dict"]
    return found


def test_a_compiled_training_is_the_same_one_and_resumes_exactly(
    command: Command, few_faces: Path, tmp_path: Path, cache: Path
) -> None:
    # The run is killed before the smaller batch at the end of its first epoch.
    marker = tmp_path / "killed"
    few = (*TINY, *to_kill(few_faces, marker, 3), "model.image_size=32", "optimizer.lr=1e-3")

    def train(*settings: str, code: int = 0) -> None:
        """In a fork: the threads by which compiled steps go back would break later ones."""
        settings = ("train", *few, "trainer.max_epochs=2", *settings)
        assert command(*settings, process="forked", check=code == 0).returncode == code

    compiled, eager = RunFolder(tmp_path / RUN), RunFolder(tmp_path / f"{RUN}-eager")
    marker.touch()
    train("compile=default")
    assert any(cache.iterdir())
    train("tag=eager")
    assert weights(compiled).keys() == weights(eager).keys()
    assert of_epochs(compiled, "train/loss") == pytest.approx(of_epochs(eager, "train/loss"), 1e-3)
    differs = [
        name for name, value in weights(eager).items() if weights(compiled)[name].ne(value).any()
    ]
    assert differs, "nothing was compiled"

    undisturbed = state(compiled)
    shutil.rmtree(compiled.path)
    marker.unlink()
    train("compile=default", code=1)
    train("compile=default")
    assert state(compiled) == undisturbed
