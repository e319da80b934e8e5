"""Cost of the paper's augmentation on one CPU thread, as a ratio to torchvision's PIL transforms.

``python -m benchmarks.augment`` writes augment.csv beside itself, and augment.md; a few minutes.
Both get the same decoded pictures and yield a normalised float32 batch. They are measured in turn,
and the median of five rounds counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from PIL import Image
from torchvision import transforms as T

from benchmarks.measuring import in_turn, write
from cage_lightning.augment import (
    Augment,
    ColorJitter,
    RandomErasing,
    RandomGrayscale,
    RandomHorizontalFlip,
    RandomPerspective,
    RandomRotation,
)
from cage_lightning.system.keyed_random import sample_generators
from cage_lightning.system.machine import keep_freed_memory

BATCH, SIDES = 128, (64, 224)
PIL = "torchvision on PIL pictures"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

BATCHED = Augment(
    [
        RandomHorizontalFlip(0.5),
        RandomGrayscale(0.01),
        RandomRotation(10),
        ColorJitter(0.2, 0.2, 0.2, 0.1),
        RandomPerspective(0.2, 0.5),
        RandomErasing(0.5, (0.02, 0.2), (0.3, 3.3), "random"),
    ],
    MEAN,
    STD,
    seed=0,
)

TORCHVISION_PIL = T.Compose(
    [
        T.RandomHorizontalFlip(0.5),
        T.RandomGrayscale(0.01),
        T.RandomRotation(10),
        T.ColorJitter(0.2, 0.2, 0.2, 0.1),
        T.RandomPerspective(0.2, 0.5),
        T.ToTensor(),
        T.Normalize(MEAN, STD),
        T.RandomErasing(0.5, (0.02, 0.2), (0.3, 3.3), "random"),
    ]
)


def cpu_us_per_image(function: Callable[[], object]) -> float:
    """CPU time of a call in microseconds per picture of the batch."""
    start = time.process_time()
    function()
    return (time.process_time() - start) / BATCH * 1e6


def draw_parameters(side: int) -> None:
    """Draw the random parameters of all steps for a batch, without applying them."""
    for rng in sample_generators((0, 0), range(BATCH)):
        for step in BATCHED.steps:
            step.draw(rng, side, side)


def measure(side: int) -> dict[str, float]:
    """The costs for pictures of side x side pixels."""
    # Smooth colours with a little noise have about as many distinct levels as a photograph.
    coarse = torch.rand(BATCH, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    image = torch.nn.functional.interpolate(coarse, (side, side), mode="bicubic") * 255
    image = (image + 4 * torch.randn(image.shape)).clamp(0, 255).byte()
    pictures = [Image.fromarray(np.asarray(i.permute(1, 2, 0))) for i in image]
    index = torch.arange(BATCH)
    rivals: dict[str, Callable[[], object]] = {
        PIL: lambda: torch.stack([TORCHVISION_PIL(p) for p in pictures]),
        "batched": lambda: BATCHED(image, index, epoch=0),
        "of which parameters": lambda: draw_parameters(side),
    }
    costs = {name: partial(cpu_us_per_image, function) for name, function in rivals.items()}
    return in_turn(costs)


def main() -> None:
    """Measure, and write the table."""
    rows = []
    for side in SIDES:
        costs = measure(side)
        base = costs[PIL]
        rows += [[f"{side} px, {name}", f"{c:.0f}", f"{c / base:.2f}"] for name, c in costs.items()]
    header = ["augmentation", "CPU us for a picture", "of torchvision's"]
    write("augment", "The paper's augmentation on one CPU thread", header, rows, ("torchvision",))


if __name__ == "__main__":
    torch.set_num_threads(1)
    keep_freed_memory()  # as every training does
    main()
