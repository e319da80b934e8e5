"""A half-finished run resumes wherever it lies as if it had stayed, and only on its own data."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer

from cage_lightning.callbacks import LastCheckpoint
from cage_lightning.commands.train import train as run_training
from cage_lightning.errors import DataError
from tests.conftest import TINY, composed

# The first epoch is the best one: whoever forgets it finds another.
SETTINGS = (*TINY, "trainer.max_epochs=3", "monitor.mode=max", "data.store=null")
RUN = "default/demo8-tiny-combined-s0"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*exists and is not empty"),
    pytest.mark.filterwarnings("ignore:.*number of training batches"),
]


class Killed(BaseException):
    """The process dies."""


@pytest.fixture(autouse=True, scope="module")
def _as_it_was() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cage_lightning.commands.train.start_logging", lambda file: None)
        for name in ("PL_GLOBAL_SEED", "PL_SEED_WORKERS"):  # a training sets them
            patch.setenv(name, "0")
        before = signal.getsignal(signal.SIGTERM)
        yield
        signal.signal(signal.SIGTERM, before)


def train(runs: Path | str, data: Path, *settings: str) -> dict[str, Any]:
    root = f"data.root={data / 'demo_faces' / 'tiny'}"
    content = run_training(composed(*SETTINGS, f"runs={runs}", root, *settings))
    assert content is not None
    return content


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory, demo_root: Path) -> Path:
    """A folder of runs with one that was killed after two epochs of three."""
    runs, saved = tmp_path_factory.mktemp("half") / "runs", []
    save = LastCheckpoint._save

    def dying(self: LastCheckpoint, trainer: Trainer) -> None:
        save(self, trainer)
        saved.append(trainer.current_epoch)
        if saved == [0, 1]:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LastCheckpoint, "_save", dying)
        with pytest.raises(Killed):
            train(runs, demo_root)
    return runs


@pytest.fixture(scope="module")
def stayed(half: Path, demo_root: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Result and weights of the run that resumes where it was begun."""
    moved = half.with_name("kept")
    shutil.copytree(half, moved)
    content = train(half, demo_root)
    result = content, weights(half)
    shutil.rmtree(half)
    moved.rename(half)
    return result


def weights(runs: Path) -> dict[str, torch.Tensor]:
    best = torch.load(runs / RUN / "checkpoints/best.ckpt", weights_only=True)
    assert best["epoch"] == 0
    found: dict[str, torch.Tensor] = best["state_dict"]
    return found


def scores(content: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key != "meta"}


def as_before(content: dict[str, Any]) -> None:
    """What checkpoints held before: whole paths, of another machine by now, and no data."""
    del content["data"]
    [state] = [s for key, s in content["callbacks"].items() if key.startswith("ModelCheckpoint")]
    folder = "/home/someone/runs/checkpoints"
    [score] = state["best_k_models"].values()
    state |= dict.fromkeys(("best_model_path", "kth_best_model_path"), f"{folder}/best.ckpt")
    state |= {"dirpath": folder, "best_k_models": {f"{folder}/best.ckpt": score}}


@pytest.mark.parametrize("how", ["moved", "mounted", "relative", "of before"])
def test_a_moved_run_ends_bit_for_bit_as_one_that_stayed(
    how: str,
    half: Path,
    stayed: tuple[dict[str, Any], dict[str, torch.Tensor]],
    demo_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs: Path = Path(shutil.copytree(half, tmp_path / "elsewhere" / "runs"))
    if how == "mounted":
        (tmp_path / "mount").symlink_to(tmp_path / "elsewhere")
        runs = tmp_path / "mount" / "runs"
    if how == "of before":
        last = runs / RUN / "checkpoints/last.ckpt"
        content = torch.load(last, weights_only=True)
        as_before(content)
        torch.save(content, last)
    if how == "relative":
        monkeypatch.chdir(tmp_path)
    moved = train("elsewhere/runs" if how == "relative" else runs, demo_root)

    expected, tensors = stayed
    assert scores(moved) == scores(expected)
    assert moved["meta"]["selection"] == expected["meta"]["selection"]
    got = weights(runs)
    assert got.keys() == tensors.keys()
    assert all(torch.equal(got[name], tensors[name]) for name in tensors)


def test_checkpoints_of_a_run_hold_no_place(half: Path, demo_root: Path) -> None:
    def texts(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            value = [*value, *value.values()]
        if isinstance(value, list | tuple):
            for one in value:
                yield from texts(one)
        if isinstance(value, str):
            yield value

    for name in ("best", "last"):
        content = torch.load(half / RUN / f"checkpoints/{name}.ckpt", weights_only=True)
        found = list(texts(content))
        assert "cage_lightning.models.build_network" in found
        places = (str(half), str(demo_root), str(Path.home()))
        assert not [x for x in found if x.startswith(("/", "~")) or any(p in x for p in places)]


def fewer(root: Path) -> None:
    for number in sorted(root.glob("train_set/annotations/*_exp.npy"))[::5]:
        stem = number.name.removesuffix("_exp.npy")
        for file in root.glob(f"train_set/*/{stem}[_.]*"):
            file.unlink()


def permuted(root: Path) -> None:
    files = sorted(root.glob("train_set/annotations/*_val.npy"))
    values = [np.load(file) for file in files]
    for file, value in zip(files, values[1:] + values[:1], strict=True):
        np.save(file, value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (fewer, r"the train split had 229 samples and has \d+ now; the val split had 27 samples"),
        (permuted, "the train split has 229 samples as before, but other labels or pictures"),
        (lambda root: None, ""),
    ],
    ids=["a fifth is gone", "labels are permuted", "the same elsewhere"],
)
def test_a_run_resumes_on_its_own_data_only(
    change: Callable[[Path], None], says: str, half: Path, demo_root: Path, tmp_path: Path
) -> None:
    runs, data = tmp_path / "runs", tmp_path / "data"
    shutil.copytree(half, runs)
    shutil.copytree(demo_root / "demo_faces", data / "demo_faces")
    root = data / "demo_faces" / "tiny"
    change(root)
    last = runs / RUN / "checkpoints/last.ckpt"
    before = last.read_bytes()
    if not says:
        train(runs, data)
        return
    with pytest.raises(DataError, match=says):
        train(runs, data)
    assert last.read_bytes() == before
