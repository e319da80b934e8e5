from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp
from torchvision import transforms as T
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as TF

from cage_lightning.augment import ElasticTransform, GaussianBlur
from cage_lightning.augment.blur import blur, displace, gaussian_kernel
from cage_lightning.augment.step import stack
from cage_lightning.errors import ConfigError


def test_gaussian_blur_differs_from_torchvision_by_one_level_in_a_few_pixels(
    pictures, through_pil, draw
):
    step = GaussianBlur((5, 9), (0.1, 5.0))
    drawn = draw(step, len(pictures))
    expected = through_pil(
        pictures, lambda picture, n: TF.gaussian_blur(picture, [5, 9], [drawn[n]["sigma"]] * 2)
    )
    error = (step.apply(pictures.float(), stack(drawn)) - expected).abs()
    assert error.max() <= 1
    assert error.mean() < 1e-4  # found: 2e-5, values that lie halfway between two levels


def test_displacement_is_exact_up_to_halves(pictures, through_pil):
    field = torch.randn(len(pictures), 2, 60, 72, generator=torch.Generator().manual_seed(0)) * 3

    def reference(picture, n):
        grid = torch.stack([field[n, 0] / 72, field[n, 1] / 60], -1).unsqueeze(0)
        return TF.elastic_transform(picture, grid, InterpolationMode.BILINEAR, [0.0])

    error = (displace(pictures.float(), field) - through_pil(pictures, reference)).abs()
    assert error.max() <= 1
    assert error.mean() < 1e-5  # found: 0


def test_blurred_field_is_torchvisions():
    noise = torch.rand(2, 1, 60, 72, generator=torch.Generator().manual_seed(0)) * 2 - 1
    kernel = gaussian_kernel(41, torch.tensor([5.0]))
    expected = TF.gaussian_blur(noise, [41, 41], [5.0, 5.0])
    torch.testing.assert_close(blur(noise, kernel, kernel), expected, atol=1e-6, rtol=1e-4)


def test_elastic_field_is_distributed_as_in_torchvision(draw):
    """A coordinate image shows the displacement, in tenths of a pixel."""
    torch.manual_seed(0)
    alpha = 400.0
    step = ElasticTransform(alpha, 5.0)
    theirs = torch.cat(
        [T.ElasticTransform.get_params([alpha] * 2, [5.0] * 2, [60, 72]) for _ in range(64)]
    )
    x = torch.arange(72.0).expand(60, 72)
    y = torch.arange(60.0).view(-1, 1).expand(60, 72)
    image = torch.stack([x, y, x]).mul(3).expand(64, -1, -1, -1)
    moved = (step.apply(image, stack(draw(step, 64))) - image) / 3
    inner = (slice(None), slice(25, 35), slice(30, 42))
    # Only one place of each field is compared, because neighbours are correlated.
    for axis, size in ((0, 72), (1, 60)):
        found = moved[:, axis][inner]
        expected = theirs[..., axis][inner] * size / 2
        np.testing.assert_allclose(found.std(), expected.std(), rtol=0.15)
        assert ks_2samp(found[:, 5, 5], expected[:, 5, 5]).pvalue > 0.01


def test_sigma_is_uniform(draw):
    drawn = [d["sigma"] for d in draw(GaussianBlur((5, 9), (0.1, 5.0)), 2000)]
    torch.manual_seed(0)
    theirs = [T.GaussianBlur.get_params(0.1, 5.0) for _ in range(2000)]
    assert ks_2samp(drawn, theirs).pvalue > 0.01


def test_even_kernel_is_refused():
    with pytest.raises(ConfigError, match="odd"):
        GaussianBlur((4, 9))
