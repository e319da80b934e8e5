"""Image augmentation, batched on any device, with torchvision's names, distributions and pixels."""

from __future__ import annotations

from cage_lightning.augment.blur import ElasticTransform, GaussianBlur
from cage_lightning.augment.color import ColorJitter, RandomAutocontrast, RandomGrayscale
from cage_lightning.augment.erasing import RandomErasing
from cage_lightning.augment.geometric import (
    RandomAffine,
    RandomHorizontalFlip,
    RandomPerspective,
    RandomRotation,
    RandomVerticalFlip,
)
from cage_lightning.augment.mixing import Mixing
from cage_lightning.augment.pipeline import Augment
from cage_lightning.augment.step import Step
from cage_lightning.system.keyed_random import sample_generator

__all__ = [
    "Augment",
    "ColorJitter",
    "ElasticTransform",
    "GaussianBlur",
    "Mixing",
    "RandomAffine",
    "RandomAutocontrast",
    "RandomErasing",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomPerspective",
    "RandomRotation",
    "RandomVerticalFlip",
    "Step",
    "sample_generator",
]
