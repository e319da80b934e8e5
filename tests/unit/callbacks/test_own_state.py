"""A run resumes with its own files and data, wherever its folder is, and takes no others."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, Timer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from cage_lightning.callbacks import (
    AtomicCheckpointIO,
    LastCheckpoint,
    OwnState,
    state_to_resume_from,
)
from cage_lightning.data.annotations import Annotations
from cage_lightning.errors import CageError, CheckpointError, DataError
from cage_lightning.labels import AFFECTNET_8
from tests.bit_flips import reads_of_flipped
from tests.hostile_content import Payload, replace_part
from tests.untouched import untouched

pytestmark = [
    # Lightning warns about a training as small as this one.
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*exists and is not empty"),
    pytest.mark.filterwarnings("ignore:.*number of training batches"),
    pytest.mark.filterwarnings("ignore:.*you defined a `validation_step` but have no"),
]

State = dict[str, Any]


def table(rows: int, seed: int = 0) -> Annotations:
    names = np.array([str(row) for row in range(rows)])
    category = np.random.default_rng(seed).integers(0, 8, rows)
    return Annotations(AFFECTNET_8, Path(), names, names, category, np.zeros((rows, 2), np.float32))


class Data(pl.LightningDataModule):
    """A data module with two batches of ones, and splits like those of the real one."""

    def __init__(self, train: Annotations | None = None) -> None:
        super().__init__()
        train = table(8) if train is None else train
        self.splits = {"test": table(3), "train": train, "val": table(2)}

    def train_dataloader(self) -> DataLoader[Tensor]:
        return DataLoader(torch.ones(4, 1), batch_size=2)  # type: ignore[arg-type]

    val_dataloader = train_dataloader


class Module(pl.LightningModule):
    """A module with one weight, which logs a given validation loss for each epoch."""

    def __init__(self, losses: tuple[float, ...]) -> None:
        super().__init__()
        self.layer, self.losses = nn.Linear(1, 1), losses

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        loss: Tensor = self.layer(batch).sum()
        return loss

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("val/loss", self.losses[self.current_epoch])

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters())
        schedule = torch.optim.lr_scheduler.ConstantLR(optimizer)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


def keeper(folder: Path, **settings: Any) -> ModelCheckpoint:
    usual: dict[str, Any] = {
        "dirpath": folder,
        "filename": "best",
        "monitor": "val/loss",
        "save_on_train_epoch_end": False,
        "enable_version_counter": False,
    }
    return ModelCheckpoint(**usual | settings)


def fit(
    folder: Path,
    losses: tuple[float, ...],
    last: Path | None = None,
    data: Data | None = None,
    best: ModelCheckpoint | None = None,
) -> ModelCheckpoint:
    """Train one epoch for each loss, from `last` if given, and return the ModelCheckpoint."""
    best, own = best or keeper(folder), OwnState()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=len(losses),
        num_sanity_val_steps=0,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        plugins=[AtomicCheckpointIO()],
        callbacks=[
            best,
            LastCheckpoint(str(folder / "last.ckpt"), every_n_steps=100),
            EarlyStopping("val/loss", patience=100, check_on_train_epoch_end=False),
            Timer(),
            own,
        ],
    )
    torch.manual_seed(0)
    with own.resuming(last):
        trainer.fit(Module(losses), datamodule=data or Data(), ckpt_path=last, weights_only=True)
    return best


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the checkpoint folder of a run whose first epoch of two was the best."""
    folder = tmp_path_factory.mktemp("half") / "checkpoints"
    fit(folder, (1.0, 2.0))
    return folder


@pytest.fixture
def run(half: Path, tmp_path: Path) -> Path:
    """Return a copy of `half` in the run folder of this test."""
    return Path(shutil.copytree(half, tmp_path / "run" / "checkpoints"))


def change(file: Path, by: Callable[[State], Any]) -> None:
    content = torch.load(file, weights_only=True)
    by(content)
    torch.save(content, file)


def best_state(content: State) -> State:
    states: State = content["callbacks"]
    [key] = [key for key in states if key.startswith("ModelCheckpoint")]
    state: State = states[key]
    return state


def as_before(content: State, folder: str = "/elsewhere/checkpoints") -> None:
    """Change a checkpoint to the form of earlier versions: absolute paths, and no data."""
    del content["data"]
    state, path = best_state(content), f"{folder}/best.ckpt"
    [score] = state["best_k_models"].values()
    state |= {"best_model_path": path, "kth_best_model_path": path, "dirpath": folder}
    state["best_k_models"] = {path: score}


@pytest.mark.parametrize("by", [lambda content: None, as_before], ids=["moved", "of before"])
def test_a_moved_run_remembers_its_best_epoch(by: Callable[[State], Any], run: Path) -> None:
    change(run / "last.ckpt", by)
    before = (run / "best.ckpt").read_bytes()
    best = fit(run, (1.0, 2.0, 1.5), run / "last.ckpt")
    assert best.best_model_score == 1.0
    assert best.best_model_path == str(run / "best.ckpt")
    assert (run / "best.ckpt").read_bytes() == before


def test_a_moved_run_goes_on_to_a_better_epoch(run: Path) -> None:
    best = fit(run, (1.0, 2.0, 0.5), run / "last.ckpt")
    assert best.best_model_score == 0.5
    assert torch.load(run / "best.ckpt", weights_only=True)["epoch"] == 2
    assert sorted(f.name for f in run.iterdir()) == ["best.ckpt", "last.ckpt"]


def test_a_run_seen_through_another_mount(run: Path, tmp_path: Path) -> None:
    (tmp_path / "mount").symlink_to(run.parent)
    mounted = tmp_path / "mount" / "checkpoints"
    assert fit(mounted, (1.0, 2.0, 1.5), mounted / "last.ckpt").best_model_score == 1.0


def test_several_best_epochs_move_along(tmp_path: Path) -> None:
    def several(folder: Path) -> ModelCheckpoint:
        return keeper(folder, save_top_k=2, filename="{epoch}", save_last=True)

    here, there = tmp_path / "here", tmp_path / "there"
    fit(here, (3.0, 1.0, 2.0), best=several(here))
    shutil.move(here, there)
    best = fit(there, (3.0, 1.0, 2.0, 1.5), there / "last.ckpt", best=several(there))
    names = ["epoch=1.ckpt", "epoch=3.ckpt"]
    assert {Path(p).name: float(s) for p, s in best.best_k_models.items()} == {
        "epoch=1.ckpt": 1.0,
        "epoch=3.ckpt": 1.5,
    }
    assert sorted(f.name for f in there.glob("epoch*")) == names
    assert not here.exists()


def test_a_best_epoch_that_is_not_there_is_missed(run: Path) -> None:
    (run / "best.ckpt").unlink()
    with pytest.raises(CheckpointError, match=r"belongs together with .*best.ckpt, .*not there"):
        fit(run, (1.0, 2.0, 1.5), run / "last.ckpt")


def test_checkpoints_hold_no_place(half: Path) -> None:
    def texts(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            value = [*value, *value.values()]
        if isinstance(value, list):
            for one in value:
                yield from texts(one)
        if isinstance(value, str):
            yield value

    for name in ("best", "last"):
        found = list(texts(torch.load(half / f"{name}.ckpt", weights_only=True)))
        assert "best.ckpt" in found
        assert not [text for text in found if text.startswith(("/", "~"))]


# --- other data ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("train", "says"),
    [
        (table(6), "the train split had 8 samples and has 6 now. Put them back"),
        (table(8, seed=1), "the train split has 8 samples as before, but other labels"),
    ],
    ids=["fewer", "other labels"],
)
def test_other_data_are_refused_before_anything_is_trained(
    train: Annotations, says: str, run: Path
) -> None:
    before = (run / "last.ckpt").read_bytes()
    with pytest.raises(DataError, match=says):
        fit(run, (1.0, 2.0, 1.5), run / "last.ckpt", Data(train))
    assert (run / "last.ckpt").read_bytes() == before


# --- checkpoints of strangers --------------------------------------------------------------------


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder that a test may not touch."""
    place = tmp_path / "outside"
    place.mkdir()
    (place / "private_key.ckpt").write_text("secret")
    with untouched(place):
        yield place
    assert (place / "private_key.ckpt").read_text() == "secret"


def best(**settings: Any) -> Callable[[State, Path], None]:
    def by(content: State, outside: Path) -> None:
        best_state(content).update(
            {
                key: value.replace("OUT", str(outside)) if isinstance(value, str) else value
                for key, value in settings.items()
            }
        )
        best_state(content)["dirpath"] = str(outside.parent / "run" / "checkpoints")

    return by


def best_file(path: str) -> Callable[[State, Path], None]:
    def by(content: State, outside: Path) -> None:
        state, place = best_state(content), path.replace("OUT", str(outside))
        state |= {"best_model_path": place, "kth_best_model_path": place}
        state["best_k_models"] = {place: torch.tensor(9.0)}
        state["dirpath"] = str(outside.parent / "run" / "checkpoints")  # as Lightning expects it

    return by


def replaced(*where: Any, by: Any) -> Callable[[State, Path], None]:
    def change(content: State, outside: Path) -> None:
        replace_part(content, where, by)

    return change


def code(content: State, outside: Path) -> None:
    content["more"] = Payload(outside / "ran")


PROGRESS = ("loops", "fit_loop", "epoch_loop.batch_progress", "current", "ready")
HOSTILE: dict[str, Callable[[State, Path], None]] = {
    "file of another folder": best_file("OUT/private_key.ckpt"),
    "address": best_file("local://OUT"),
    "file above": best_file("../outside/private_key.ckpt"),
    "folder": best_file("OUT"),
    "path is a number": best(best_k_models={7: torch.tensor(1.0)}),
    "best is a list": best(best_model_path=[]),
    "score is text": best(best_k_models={"best.ckpt": "low"}),
    "scores are a list": best(best_k_models=["best.ckpt"]),
    "score is a matrix": best(best_k_models={"best.ckpt": torch.zeros(2, 2)}),
    "no states": replaced("callbacks", by={}),
    "states are a list": replaced("callbacks", by=[1]),
    "states are missing": lambda content, outside: content.pop("callbacks"),
    "time is text": replaced("callbacks", "Timer", "time_elapsed", by={"train": "long"}),
    "progress is text": replaced(*PROGRESS, by="far"),
    "progress is negative": replaced(*PROGRESS, by=-5),
    "progress is missing": replaced("loops", by={}),
    "loops are text": replaced("loops", by="x"),
    "state of a loader": replaced("loops", "fit_loop", "state_dict", by={"combined_loader": 7}),
    "optimizer of another network": replaced("optimizer_states", by=[{"param_groups": []}]),
    "no optimizer": lambda content, outside: content.pop("optimizer_states"),
    "schedule is a list": replaced("lr_schedulers", by=[[1]]),
    "schedule without steps": replaced("lr_schedulers", by=[{"step": 5}]),
    "progress without steps": replaced(*PROGRESS[:-1], "reset", by=5),
    "weights are text": replaced("state_dict", by="x"),
    "weights of another network": replaced("state_dict", by={"x": torch.ones(1)}),
    "version is text": replaced("pytorch-lightning_version", by="newest"),
    "version is missing": lambda content, outside: content.pop("pytorch-lightning_version"),
    "data are text": replaced("data", by="mine"),
    "counts are text": replaced("data", "train", by={"samples": "8", "fingerprint": "x"}),
    "counts without fingerprint": replaced("data", "train", by={}),
    "code": code,
}


@pytest.mark.parametrize("by", HOSTILE.values(), ids=HOSTILE)
def test_a_strangers_state_is_refused_and_touches_nothing(
    by: Callable[[State, Path], None], run: Path, outside: Path
) -> None:
    change(run / "last.ckpt", lambda content: by(content, outside))
    with pytest.raises(CageError) as caught:
        fit(run, (1.0, 2.0, 0.5), run / "last.ckpt")
    message = str(caught.value)
    assert message.startswith(str(run / "last.ckpt"))
    assert "\n" not in message


@pytest.mark.parametrize("kind", ["kth_best_model_path", "last_model_path", "best_model_path"])
@pytest.mark.parametrize("place", ["OUT/private_key.ckpt", "local://OUT", "file://OUT"])
def test_other_places_in_a_state_are_not_taken(
    kind: str, place: str, run: Path, outside: Path
) -> None:
    change(run / "last.ckpt", lambda content: best(**{kind: place})(content, outside))
    kept = fit(run, (1.0, 2.0, 0.5), run / "last.ckpt")
    assert kept.best_model_path == kept.kth_best_model_path == str(run / "best.ckpt")
    assert list(kept.best_k_models) == [kept.best_model_path]  # what a logger would upload
    assert kept.last_model_path == ""


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\3\4" + bytes(99)])
def test_a_damaged_checkpoint_is_named(content: bytes, run: Path) -> None:
    (run / "last.ckpt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"last.ckpt is damaged"):
        fit(run, (1.0, 2.0, 1.5), run / "last.ckpt")


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return value.tolist() if isinstance(value, Tensor) else repr(value)


def test_a_flipped_bit_changes_no_state_unseen(run: Path) -> None:
    def state(file: Path) -> object:
        return plain(AtomicCheckpointIO().load_checkpoint(file))

    outcomes = reads_of_flipped(run / "last.ckpt", 100, state)
    assert set(outcomes) == {"same", "refused"}, outcomes


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    place = len(content) // 2
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "zeros": lambda content: bytes(len(content)),
    "cut": cut,
    "flipped": flipped,
}


@pytest.mark.parametrize("by", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_state_falls_back_to_the_one_before(
    by: Callable[[bytes], bytes], run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    last, best = run / "last.ckpt", run / "best.ckpt"
    assert state_to_resume_from(last, best) == last
    last.write_bytes(by(last.read_bytes()))
    assert state_to_resume_from(last, best) == best
    [line] = caplog.messages
    assert line.startswith(f"{last} is damaged")
    assert f"goes on from {best}" in line
    kept = best.read_bytes()
    best.write_bytes(by(kept))
    with pytest.raises(CheckpointError, match=r"last\.ckpt is damaged .*delete it to start"):
        state_to_resume_from(last, best)
    best.write_bytes(kept)
    change(best, lambda content: content.pop("optimizer_states"))
    with pytest.raises(CheckpointError, match=r"last\.ckpt is damaged .*delete it to start"):
        state_to_resume_from(last, best)


def test_the_state_before_leads_to_the_same_end(run: Path, tmp_path: Path) -> None:
    fit(tmp_path / "alone", (1.0, 2.0, 1.5))
    (run / "last.ckpt").write_bytes(b"")
    start = state_to_resume_from(run / "last.ckpt", run / "best.ckpt")
    assert fit(run, (1.0, 2.0, 1.5), start).best_model_score == 1.0
    ends = [torch.load(f / "last.ckpt", weights_only=True) for f in (run, tmp_path / "alone")]
    for part in ("state_dict", "optimizer_states", "epoch", "global_step"):
        first, second = (plain(end)[part] for end in ends)
        assert first == second
