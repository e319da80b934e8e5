"""The LightningDataModule: from the annotations of any data set to batches."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from torch.utils.data import DataLoader

from cage_lightning.augment import Augment, Mixing
from cage_lightning.data.annotations import Annotations
from cage_lightning.data.copies import Copies, acted_on, kept_together
from cage_lightning.data.face_dataset import Batches, FaceDataset
from cage_lightning.data.images import check_image_size
from cage_lightning.data.loading import BatchLoader, loading
from cage_lightning.data.sampling import EpochBatches, RankRows, ResumableLoader
from cage_lightning.data.source import Source
from cage_lightning.data.subsets import balanced_subset, check_balance, stratified_holdout
from cage_lightning.data.weighting import ClassWeights, class_weights, weighting
from cage_lightning.errors import ConfigError, check_choice, check_seed
from cage_lightning.labels import Batch
from cage_lightning.system.machine import MOST_WORKERS, usable_cpus
from cage_lightning.system.storage import check_shared_memory

log = logging.getLogger(__name__)


class ExpressionData(pl.LightningDataModule):
    """Annotations to batches: selection split, balancing, loaders, augmentation on the device.

    Attributes:
        label_space: What the data set annotates.
        splits: The annotations after `setup`: ``train``; ``val``, which chooses the epoch; and
            ``test``, which is reported.

    Args:
        source: The annotations.
        image_size: Height and width of the pictures, in pixels.
        margin: Added to each side of the boxes, as a share of their width or height; without
            effect in a release whose pictures need no box.
        batch_size: Samples of a batch over all devices together.
        num_workers: Decoding processes per device; ``auto``: four, or as many as there are CPUs.
            On a CPU they augment as well.
        selection: The split that chooses the epoch: ``val``, the data set's own split for it; in
            one without ``holdout``, a part of the training split, or ``test``, the reported split,
            as the published scripts do. ``own``: ``val`` if there is one, else ``holdout``.
        balance: Train on as many samples of each category as the rarest one has (section 5.3);
            ``each_epoch``: on equally many of each, drawn anew for each epoch (`balanced_order`).
        class_weights: See `weighting.weighting`.
        seed: Seed of the hold-out, the balanced subset, the order and the augmentation.
        augment: The training augmentation.
        holdout_fraction: Share of each category that is held out; only for ``holdout``.
        soft_labels: Train on the shares of the categories, such as votes, instead of one category
            for each sample. The other splits keep their categories.
        mixup: See `Mixing`, as for the next one.
        cutmix: 0: no such samples.
        copies: What becomes of pictures of which the packed store knows copies. ``drop`` trains on
            none that the data set's own other splits hold as well, and keeps copies of each other
            on one side of the hold-out.

    Raises:
        ConfigError: A setting is out of range, or the release does not have what it asks for.
    """

    def __init__(
        self,
        source: Source,
        *,
        image_size: int,
        margin: float,
        batch_size: int,
        num_workers: int | Literal["auto"],
        selection: Literal["own", "holdout", "val", "test"],
        balance: bool | Literal["each_epoch"],
        class_weights: str | Sequence[float],
        seed: int,
        augment: Augment,
        holdout_fraction: float = 0.05,
        soft_labels: bool = False,
        copies: Copies = "keep",
        mixup: float = 0.0,
        cutmix: float = 0.0,
    ) -> None:
        super().__init__()
        check_choice("data.copies", copies, ("keep", "drop"))
        workers = min(MOST_WORKERS, usable_cpus()) if num_workers == "auto" else num_workers
        own = "val" in source.own_splits
        if selection == "own":
            selection = "val" if own else "holdout"
        check_choice("data.selection", selection, ("val",) if own else ("holdout", "test"))
        check_seed(seed)
        if not 0 < holdout_fraction < 1:
            raise ConfigError(
                f"data.holdout_fraction={holdout_fraction} is not between 0 and 1; "
                "data.selection=test holds nothing out"
            )
        for name, value, least in (
            ("image_size", image_size, 1),
            ("margin", margin, 0),
            ("batch_size", batch_size, 1),
            ("num_workers", workers, 0),
        ):
            if value < least:
                raise ConfigError(f"data.{name}={value} is less than {least}")
        check_image_size(image_size)
        self.source = source
        self.label_space = source.label_space
        self.image_size = image_size
        self.margin = margin
        self.batch_size = batch_size
        self.num_workers = workers
        self.selection = selection
        self.holdout_fraction = holdout_fraction
        self.balance = balance
        self.soft_labels = soft_labels
        self.copies = copies
        self.weighting = weighting(class_weights, self.label_space)
        self.seed = seed
        self.augment = augment
        self.normalize = augment.without_steps()
        self.mixing = Mixing(mixup, cutmix, seed, self.label_space)
        self.splits: dict[str, Annotations] = {}

    @property
    def train(self) -> Annotations:
        """What is trained on."""
        return self.splits["train"]

    @property
    def val(self) -> Annotations:
        """What chooses the epoch."""
        return self.splits["val"]

    @property
    def test(self) -> Annotations:
        """What is reported."""
        return self.splits["test"]

    def provenance(self) -> dict[str, Any]:
        """What was read, as plain containers, without which a result is not comprehensible."""
        return {
            "label_space": self.label_space.to_dict(),
            "data": {
                split: {
                    "samples": len(table),
                    "left_out": dict(table.left_out),
                    "fingerprint": table.fingerprint(),
                    **({"origin": table.origin} if table.origin else {}),
                }
                for split, table in self.splits.items()
            },
        }

    def setup(self, stage: str) -> None:
        """Read the annotations that `stage` needs, once.

        Raises:
            ConfigError: `balance` where several categories may apply or there are none;
                `soft_labels` where there are no shares; `copies` where they are not known.
            DataError: The release is missing or broken.
        """
        if "test" not in self.splits:
            self.splits["test"] = self._own_split("test")
        if stage == "fit" and "train" not in self.splits:
            check_balance(self.balance, self.label_space)
            train = self._own_split("train")
            if self.soft_labels and train.soft is None:
                raise ConfigError(
                    f"data.soft_labels=true: {self.source.root} has no shares of the categories, "
                    "or its packed store is older than they are: prepare it again, or leave it out"
                )
            if self.selection == "val":
                self.splits["val"] = self._own_split("val")
            train = acted_on(train, self.splits, self.copies)
            if self.selection == "holdout":
                groups = kept_together(train, self.source.group_by, self.copies)
                rows, held_out = stratified_holdout(
                    train.category, self.holdout_fraction, self.seed, groups
                )
                train, self.splits["val"] = train.select(rows), train.select(held_out)
            elif self.selection == "test":
                self.splits["val"] = self.test
            if self.balance is True:
                train = train.select(balanced_subset(train.category, self.seed))
            self.splits["train"] = train
            log.info(
                "%d samples to train on, %d to choose the epoch (%s), %d to report",
                *map(len, (train, self.val)),
                self.selection,
                len(self.test),
            )

    def weighted(self) -> ClassWeights:
        """The weights of the categories in the loss, with what they come from.

        Raises:
            DataError: They follow the counts of the training split, and a category has no sample.
        """
        counts = self.train.class_counts().tolist()
        return class_weights(self.weighting, self.label_space, counts, len(self.train))

    def class_weights(self) -> list[float] | None:
        """The weights of the categories in the loss, by `class_weights`; None for ``none``.

        Raises:
            DataError: As in `weighted`.
        """
        values = self.weighted().values
        return None if values is None else list(values)

    def train_dataloader(self) -> ResumableLoader:
        """Shuffled batches, a function of (seed, epoch); resumes inside an epoch."""
        trainer = self._trainer()
        if self.batch_size < trainer.world_size:
            raise ConfigError(
                f"data.batch_size={self.batch_size} cannot be shared out among "
                f"{trainer.world_size} devices"
            )
        batches = EpochBatches(
            len(self.train),
            self.batch_size,
            self.seed,
            trainer.global_rank,
            trainer.world_size,
            same_in_every_epoch=trainer.overfit_batches > 0,  # type: ignore[attr-defined]
            category=self.train.category if self.balance == "each_epoch" else None,
        )
        if left_out := batches.left_out:
            log.warning(
                "an epoch leaves out its last %d samples, fewer than %d devices: on other numbers "
                "of devices it has a step more",
                *(left_out, trainer.world_size),
            )
        samples = FaceDataset(self.train, self.image_size, self.margin, self.soft_labels)
        augment = self.augment if self.augmented_by_workers else None
        loader = ResumableLoader(
            Batches(samples, augment),
            batch_sampler=batches,
            **self._loading(itemsize=4 if augment else 1),
        )
        loader.trainer, loader.prepare = trainer, self.prepare
        return loader

    def val_dataloader(self) -> DataLoader[Batch]:
        """Every sample of the selection split once, over all processes."""
        return self._evaluation_loader(self.val)

    def test_dataloader(self) -> DataLoader[Batch]:
        """Every sample of the reported split once, over all processes."""
        return self._evaluation_loader(self.test)

    @property
    def augmented_by_workers(self) -> bool:
        """Whether the processes of the training loader augment: where nothing else is faster."""
        on_cpu = self.num_workers > 0 and self._trainer().strategy.root_device.type == "cpu"
        return on_cpu and bool(self.augment.steps)

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """Move all but the index, which keys the augmentation and is read on the CPU."""
        return batch._replace(
            image=batch.image.to(device, non_blocking=True),
            category=batch.category.to(device, non_blocking=True),
            affect=batch.affect.to(device, non_blocking=True),
        )

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Augment, unless that is done, and mix, or only normalise; in the weights' dtype."""
        trainer = self._trainer()
        with torch.no_grad():
            batch = self._transformed(batch)
            if trainer.training and self.mixing:
                batch = self.mixing(batch, trainer.current_epoch)
        return batch._replace(image=batch.image.to(trainer.lightning_module.dtype))

    def prepare(self, batch: Batch) -> Batch:
        """A batch of the training as a step takes it, but for the mixing, on the device."""
        device = self._trainer().strategy.root_device
        return self._transformed(self.transfer_batch_to_device(batch, device, 0))

    def _transformed(self, batch: Batch) -> Batch:
        if batch.image.is_floating_point():
            return batch
        trainer = self._trainer()
        transform = self.augment if trainer.training else self.normalize
        image = transform(batch.image, batch.index, trainer.current_epoch)
        return batch._replace(image=image)

    def _own_split(self, split: str) -> Annotations:
        return self.source.own_split(split, image_size=self.image_size)

    def _evaluation_loader(self, table: Annotations) -> DataLoader[Batch]:
        # Shares without padding: a padded duplicate would count twice in every metric.
        trainer = self._trainer()
        return BatchLoader(
            Batches(FaceDataset(table, self.image_size, self.margin)),
            sampler=RankRows(len(table), trainer.global_rank, trainer.world_size),
            batch_size=max(1, self.batch_size // trainer.world_size),
            **self._loading(),
        )

    def _loading(self, itemsize: int = 1) -> dict[str, Any]:
        if self.num_workers:
            share = max(1, self.batch_size // self._trainer().world_size)
            check_shared_memory(share * 3 * self.image_size**2 * itemsize)
        return loading(self.num_workers)

    def _trainer(self) -> pl.Trainer:
        assert self.trainer is not None, "the loaders are those of a trainer: trainer.fit(...)"
        return self.trainer
