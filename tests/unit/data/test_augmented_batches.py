"""On a CPU the processes of the loader augment: to the same pixels, in every epoch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from cage_lightning.app.build import build_data
from cage_lightning.data import sampling
from cage_lightning.data.face_dataset import Batches
from cage_lightning.data.loading import ahead
from cage_lightning.data.module import ExpressionData
from cage_lightning.labels import Batch
from tests.conftest import composed


def of_a_training(root: Path, device: str, *overrides: str) -> ExpressionData:
    settings = ("data=demo8", "data.size=tiny", f"data.root={root}", "data.image_size=32")
    data = build_data(composed(*settings, "model=tiny", "data.batch_size=24", *overrides))
    progress = SimpleNamespace(current=SimpleNamespace(ready=0))
    data.trainer = SimpleNamespace(  # type: ignore[assignment]
        world_size=1,
        global_rank=0,
        overfit_batches=0,
        training=True,
        current_epoch=0,
        strategy=SimpleNamespace(root_device=torch.device(device)),
        lightning_module=SimpleNamespace(dtype=torch.float32),
        fit_loop=SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=progress)),
    )
    data.setup("fit")
    return data


def trained_on(data: ExpressionData, epochs: int) -> list[Batch]:
    """The batches of some epochs, as the network gets them."""
    loader, batches = data.train_dataloader(), []
    for epoch in range(epochs):
        data.trainer.current_epoch = epoch  # type: ignore[misc, union-attr]
        loader.batch_sampler.set_epoch(epoch)  # type: ignore[union-attr]
        batches += [data.on_after_batch_transfer(batch, 0) for batch in loader]
    return batches


def test_processes_augment_to_the_same_pixels(few_faces: Path) -> None:
    alone, shared = (
        of_a_training(few_faces, "cpu", f"data.num_workers={workers}") for workers in (0, 2)
    )
    expected, found = (trained_on(data, epochs=2) for data in (alone, shared))
    assert len(expected) == 6
    for one, other in zip(expected, found, strict=True):
        assert one.image.dtype == torch.float32
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert not torch.equal(expected[0].image, expected[3].image)


@pytest.mark.parametrize(
    ("device", "workers", "augment", "augmented"),
    [
        ("cpu", 2, "paper", True),
        ("cpu", 0, "paper", False),
        ("cpu", 2, "none", False),
        ("cuda", 2, "paper", False),
    ],
)
def test_they_do_where_there_are_some_and_no_faster_device(
    few_faces: Path, device: str, workers: int, augment: str, augmented: bool
) -> None:
    settings = (f"data.num_workers={workers}", f"augment={augment}")
    data = of_a_training(few_faces, device, *settings)
    train, val = (loader().dataset for loader in (data.train_dataloader, data.val_dataloader))
    assert isinstance(train, Batches)
    assert isinstance(val, Batches)
    assert train.augment is (data.augment if augmented else None)
    assert val.augment is None


def test_batches_prepared_ahead_are_those_of_the_steps(few_faces: Path) -> None:
    data = of_a_training(few_faces, "cpu", "data.num_workers=0")
    expected = trained_on(data, epochs=1)
    seen: list[str] = []

    def prepare(batch: Batch) -> Batch:
        seen.append("prepared")
        return data.prepare(batch)

    found = []
    for batch in ahead(iter(data.train_dataloader()), prepare, torch.device("cpu")):
        seen.append("taken")
        found.append(data.on_after_batch_transfer(batch, 0))
    for one, other in zip(found, expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert seen == ["prepared", "prepared", "taken", "prepared", "taken", "taken"]


def test_they_are_prepared_ahead_by_a_gpu_that_trains(
    few_faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed_over: list[str] = []

    def instead(batches: Iterator[Batch], *_: object) -> Iterator[Batch]:
        handed_over.append(device)
        return batches

    monkeypatch.setattr(sampling, "ahead", instead)
    for device, training in (("cuda", True), ("cuda", False), ("cpu", True)):
        data = of_a_training(few_faces, device, "data.num_workers=0")
        data.trainer.training = training  # type: ignore[union-attr]
        assert len(list(data.train_dataloader())) == 3
    assert handed_over == ["cuda"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_that_prepares_ahead_gives_the_same_pixels(few_faces: Path) -> None:
    data = of_a_training(few_faces, "cuda", "data.num_workers=2")
    found = [data.on_after_batch_transfer(batch, 0) for batch in data.train_dataloader()]
    data.trainer.training = False  # type: ignore[union-attr]
    as_loaded = list(data.train_dataloader())
    data.trainer.training = True  # type: ignore[union-attr]
    for one, batch in zip(found, as_loaded, strict=True):
        assert torch.equal(one.image, data.prepare(batch).image)
