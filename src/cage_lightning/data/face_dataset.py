"""The pictures and annotations of one split, sample by sample, for a loader."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.data import Dataset

from cage_lightning.data.annotations import Annotations
from cage_lightning.data.images import decode_image
from cage_lightning.labels import Batch


class FaceDataset(Dataset[Batch]):
    """The pictures and annotations of one split; sample `i` is row `i` of the annotations.

    So is sample ``i + n * len(self)``, the n-th repetition within an epoch, which keeps its number.

    Args:
        annotations: The split.
        image_size: Height and width of the pictures, in pixels.
        margin: As in `data.module.ExpressionData`.
        soft_labels: Whether the category of a sample is the shares of all: see `Batch`.
    """

    def __init__(
        self,
        annotations: Annotations,
        image_size: int,
        margin: float = 0.0,
        soft_labels: bool = False,
    ) -> None:
        self.annotations = annotations
        self.image_size = image_size
        self.margin = margin
        self.labels = annotations.soft if soft_labels else annotations.category

    def __len__(self) -> int:
        return len(self.annotations)

    def __iter__(self) -> Iterator[Batch]:
        """Each sample once; without this, Python would go on with the repetitions for ever."""
        return (self[row] for row in range(len(self)))

    def __getitem__(self, number: int) -> Batch:
        """One sample: image uint8 [3, image_size, image_size], the rest without a batch axis."""
        table, row = self.annotations, number % len(self)
        box = None if table.box is None else table.box[row].tolist()
        assert self.labels is not None, "there are no shares of the categories"
        return Batch(
            image=decode_image(
                table.picture(row),
                self.image_size,
                box,
                self.margin,
                name=str(table.root / table.path[row]),
            ),
            category=torch.as_tensor(self.labels[row]),
            affect=torch.as_tensor(table.affect[row]),
            index=torch.tensor(number),
        )
