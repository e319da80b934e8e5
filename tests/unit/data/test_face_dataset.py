"""A batch is what its samples would be one by one, with Pillow and torch's own collation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Subset, default_collate

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.face_dataset import Batches, FaceDataset
from cage_lightning.data.images import open_picture, square
from cage_lightning.data.loading import AHEAD, BatchLoader, Blocks, loading
from cage_lightning.errors import DataError
from cage_lightning.labels import AFFECTNET_8, EMOTIC, Batch

SIZE, N = 24, 8
# A JPEG file of the size that is asked for, of others, grey, in four colours, and none at all.
FILES = (
    *(("RGB", (SIZE, SIZE), "jpg"), ("RGB", (40, 30), "jpg"), ("L", (SIZE, SIZE), "jpg")),
    *(("CMYK", (SIZE, SIZE), "jpg"), ("RGB", (SIZE, SIZE), "png"), ("L", (9, 50), "png")),
    *(("RGB", (SIZE, SIZE), "jpg"), ("RGB", (50, 50), "jpg")),
)


@pytest.fixture
def table(tmp_path: Path) -> Annotations:
    rng = np.random.default_rng(3)
    names = [f"{number}.{ending}" for number, (_, _, ending) in enumerate(FILES)]
    for name, (mode, (width, height), _) in zip(names, FILES, strict=True):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).convert(mode)
        coarse.resize((width, height)).save(tmp_path / name)
    affect = rng.uniform(-1, 1, (N, 2)).astype(np.float32)
    affect[2] = np.nan
    shares = rng.dirichlet(np.ones(8), N).astype(np.float32)
    return Annotations(
        space=AFFECTNET_8,
        root=tmp_path,
        id=np.arange(N).astype(str),
        path=np.array(names),
        category=np.arange(N) - 1,
        affect=affect,
        extra={"soft": shares},
    )


def one_by_one(table: Annotations, numbers: Sequence[int], soft: bool = False) -> Batch:
    samples = []
    for number in numbers:
        row = number % len(table)
        box = None if table.box is None else table.box[row].tolist()
        with open_picture(table.root / table.path[row]) as stored:
            image = square(stored, SIZE, box, 0.1)
        category = (table.extra["soft"] if soft else table.category)[row]
        affect = torch.as_tensor(table.affect[row])
        samples.append(Batch(image, torch.as_tensor(category), affect, torch.tensor(number)))
    batch = default_collate(samples)
    assert isinstance(batch, Batch)
    return batch


def assert_same(found: Batch, expected: Batch) -> None:
    for name, ours, theirs in zip(Batch._fields, found, expected, strict=True):
        assert ours.dtype == theirs.dtype, name
        assert torch.equal(ours.nan_to_num(9), theirs.nan_to_num(9)), name


@pytest.mark.parametrize("soft", [False, True])
def test_a_batch_is_its_samples(table: Annotations, soft: bool) -> None:
    dataset = FaceDataset(table, SIZE, 0.1, soft)
    numbers = [5, 0, 3, 1, 2 * N + 5, 2]
    batch = dataset.batch(numbers, Blocks())
    assert_same(batch, one_by_one(table, numbers, soft))
    assert_same(default_collate([dataset[number] for number in numbers]), batch)
    assert dataset[1].image.is_contiguous()


def test_each_person_of_a_picture_is_a_sample(table: Annotations) -> None:
    rng = np.random.default_rng(1)
    corner = rng.uniform(-3, 5, (N, 2))
    persons = replace(
        table,
        space=EMOTIC,
        path=table.path[np.array([0, 0, 0, 1, 1, 5, 7, 7])],
        category=rng.integers(0, 2, (N, 26)).astype(np.float32),
        affect=rng.uniform(-1, 1, (N, 3)).astype(np.float32),
        box=np.concatenate([corner, corner + rng.uniform(4, 40, (N, 2))], 1).astype(np.float32),
        extra={},
    )
    numbers = list(range(N))
    batch = FaceDataset(persons, SIZE, 0.1).batch(numbers, Blocks())
    assert_same(batch, one_by_one(persons, numbers))


def test_samples_go_through_any_loader(table: Annotations) -> None:
    samples = Subset(FaceDataset(table, SIZE, 0.1), [7, 6, 5, 4, 3, 2, 1, 0])
    for found, rows in zip(DataLoader(samples, 4), ([7, 6, 5, 4], [3, 2, 1, 0]), strict=True):
        assert_same(found, one_by_one(table, rows))


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_memory_that_is_used_again_is_not_handed_over(table: Annotations, workers: int) -> None:
    dataset = FaceDataset(table, SIZE, 0.1)
    rows = [[n % N, (n + 3) % N] if n else list(range(4)) for n in range(4 * (AHEAD + 1) * 2)]
    loader = BatchLoader(Batches(dataset), batch_sampler=rows, **loading(workers))
    batches = list(loader)  # all are kept, and looked at afterwards
    for found, numbers in zip([*batches, *loader], [*rows, *rows], strict=True):
        assert_same(found, dataset.batch(numbers, Blocks()))


def test_a_broken_picture_of_a_batch_is_named(table: Annotations) -> None:
    (table.root / "4.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"picture \S+4\.png: .*on_error=skip"):
        FaceDataset(table, SIZE).batch([0, 4, 1], Blocks())
