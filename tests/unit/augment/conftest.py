"""Pictures, and the means to run Pillow or torchvision on them one at a time."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from cage_lightning.augment import sample_generator


@pytest.fixture(scope="session")
def pictures():
    """uint8 [32, 3, 60, 72]: smooth colours with grain, noise, flat areas and greys."""
    rng = np.random.default_rng(7)
    noise = rng.normal(size=(32, 3, 60, 72))
    smooth = gaussian_filter(noise, (0, 0, 4, 4))
    image = 128 + smooth / smooth.std() * rng.uniform(5, 70, (32, 1, 1, 1)) + 6 * noise
    image[:4] = rng.integers(0, 256, (4, 3, 60, 72))  # every level, hard edges
    image[4:6, :, :, 30:] = 200  # a flat area
    image[6] = image[6, :1]  # grey
    image[7, 0] = 90  # a flat channel
    return torch.from_numpy(image.clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def through_pil():
    """Run a function of (PIL image, number of the sample) on each picture: float levels."""

    def run(images, function):
        rows = []
        for number, image in enumerate(images):
            picture = Image.fromarray(image.permute(1, 2, 0).numpy())
            rows.append(np.array(function(picture, number)))
        return torch.from_numpy(np.stack(rows)).permute(0, 3, 1, 2).float()

    return run


@pytest.fixture(scope="session")
def draw():
    """Parameters of `count` samples that the step happens to."""

    def run(step, count, height=60, width=72):
        generator = sample_generator(5)
        drawn = (step.draw(generator, height, width) for _ in range(20 * count))
        return list(islice((params for params in drawn if params is not None), count))

    return run
