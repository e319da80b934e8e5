"""The pictures and annotations of one split, sample by sample or batch by batch, for a loader."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Dataset

from cage_lightning.augment import Augment
from cage_lightning.data.annotations import Annotations
from cage_lightning.data.images import broken, decode_into
from cage_lightning.data.jpeg import Pixels
from cage_lightning.data.loading import Blocks
from cage_lightning.data.sampling import Numbers
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
        image, *rest = self.batch([number], Blocks())
        return Batch(image[0].contiguous(), *(column[0] for column in rest))

    def batch(self, numbers: Sequence[int], blocks: Blocks) -> Batch:
        """Some samples, their pictures decoded into one block of memory.

        The image is uint8 ``[B, 3, image_size, image_size]``; in memory the three colours of a
        pixel lie beside each other, as a decoder writes them.
        """
        assert self.labels is not None, "there are no shares of the categories"
        index = torch.tensor(numbers)
        rows = index.numpy() % len(self)
        image = blocks.next((len(rows), self.image_size, self.image_size, 3))
        for row, place in zip(rows.tolist(), image.numpy(), strict=True):
            self._decode(row, place)
        return Batch(
            image=image.permute(0, 3, 1, 2),
            category=torch.from_numpy(self.labels[rows]),
            affect=torch.from_numpy(self.annotations.affect[rows]),
            index=index,
        )

    def _decode(self, row: int, place: Pixels) -> None:
        table = self.annotations
        picture = table.picture(row)
        box = None if table.box is None else table.box[row].tolist()
        try:
            decode_into(place, picture, box, self.margin)
        except Exception as error:
            raise broken(str(table.root / table.path[row]), error) from error


class Batches(Dataset[Batch]):
    """The samples of a data set, for a `BatchLoader`, which gets whole batches from it.

    Args:
        samples: The data set.
        augment: Applied to a batch by the process that reads it, where `Numbers` ask for it.
    """

    def __init__(self, samples: FaceDataset, augment: Augment | None = None) -> None:
        self.samples, self.augment = samples, augment
        self.blocks = Blocks()

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.samples)

    def __getitems__(self, numbers: Sequence[int]) -> Batch:
        """A batch; see `FaceDataset.batch`. Augmented, its image is float32 and normalised."""
        if self.augment is None:
            return self.samples.batch(numbers, self.blocks)
        assert isinstance(numbers, Numbers), "they tell the epoch"
        batch = self.samples.batch(numbers, Blocks())
        image = self.blocks.next(batch.image.shape, torch.float32)
        self.augment(batch.image, batch.index, numbers.epoch, out=image)
        return batch._replace(image=image)
