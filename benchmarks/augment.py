"""Cost of the paper's augmentation on one CPU thread, as a ratio to torchvision's PIL transforms.

Run it by hand: ``python benchmarks/augment.py``. Both get the same decoded pictures and yield a
normalised float32 batch. They are measured in turn, and the median of the repeats is printed.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torchvision import transforms as T

from cage_lightning.augment import (
    Augment,
    ColorJitter,
    RandomErasing,
    RandomGrayscale,
    RandomHorizontalFlip,
    RandomPerspective,
    RandomRotation,
    sample_generator,
)

BATCH, REPEATS = 128, 5
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
    for index in range(BATCH):
        rng = sample_generator(0, 0, index)
        for step in BATCHED.steps:
            step.draw(rng, side, side)


def measure(side: int) -> None:
    """Print the costs for pictures of side x side pixels."""
    # Smooth colours with a little noise have about as many distinct levels as a photograph.
    coarse = torch.rand(BATCH, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    image = torch.nn.functional.interpolate(coarse, (side, side), mode="bicubic") * 255
    image = (image + 4 * torch.randn(image.shape)).clamp(0, 255).byte()
    pictures = [Image.fromarray(np.asarray(i.permute(1, 2, 0))) for i in image]
    index = torch.arange(BATCH)
    rivals: dict[str, Callable[[], object]] = {
        "torchvision PIL": lambda: torch.stack([TORCHVISION_PIL(p) for p in pictures]),
        "batched": lambda: BATCHED(image, index, epoch=0),
        "of which parameters": lambda: draw_parameters(side),
    }
    costs: dict[str, list[float]] = {name: [] for name in rivals}
    for repeat in range(REPEATS + 1):
        for name, function in rivals.items():
            cost = cpu_us_per_image(function)
            if repeat:  # the first round warms up
                costs[name].append(cost)
    baseline = statistics.median(costs["torchvision PIL"])
    for name, values in costs.items():
        cost = statistics.median(values)
        print(f"{side:4d} px  {name:20s} {cost:7.0f} us per image  {cost / baseline:5.2f}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for side in (64, 224):
        measure(side)
