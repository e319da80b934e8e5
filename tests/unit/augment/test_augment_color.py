from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import chisquare, ks_2samp
from torchvision import transforms as T
from torchvision.transforms import functional as TF

from cage_lightning.augment import ColorJitter, RandomAutocontrast, RandomGrayscale
from cage_lightning.augment import color as ours
from cage_lightning.augment.step import stack
from cage_lightning.errors import ConfigError


@pytest.mark.parametrize(
    ("step", "reference"),
    [
        (RandomGrayscale(1.0), lambda picture, _: TF.rgb_to_grayscale(picture, 3)),
        (RandomAutocontrast(1.0), lambda picture, _: TF.autocontrast(picture)),
    ],
)
def test_grey_and_autocontrast_are_bit_exact(pictures, through_pil, step, reference):
    assert torch.equal(step.apply(pictures.float(), {}), through_pil(pictures, reference))


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("adjust_brightness", 0.0, 2.5),
        ("adjust_contrast", 0.0, 2.5),
        ("adjust_saturation", 0.0, 2.5),
        ("adjust_hue", -0.5, 0.5),
    ],
)
def test_color_operations_are_bit_exact(pictures, through_pil, name, low, high):
    factor = torch.linspace(low, high, len(pictures), dtype=torch.float64)
    expected = through_pil(pictures, lambda p, n: getattr(TF, name)(p, factor[n].item()))
    assert torch.equal(getattr(ours, name)(pictures.float(), factor), expected)


def test_hue_is_bit_exact_for_all_levels_of_two_channels():
    red, green = np.meshgrid(np.arange(256), np.arange(256))
    for blue in (0, 1, 77, 128, 254, 255):
        colors = np.stack([red, green, np.full_like(red, blue)], -1).astype(np.uint8)
        for roll in range(3):
            picture = np.roll(colors, roll, -1)
            expected = np.array(TF.adjust_hue(Image.fromarray(picture), -0.07))
            image = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
            found = ours.adjust_hue(image, torch.tensor([-0.07], dtype=torch.float64))
            np.testing.assert_array_equal(found[0].permute(1, 2, 0), expected)


def test_jitter_applies_each_samples_own_order_bit_exactly(pictures, through_pil, draw):
    step = ColorJitter(0.2, 0.2, 0.2, 0.1)
    drawn = draw(step, len(pictures))
    functions = [TF.adjust_brightness, TF.adjust_contrast, TF.adjust_saturation, TF.adjust_hue]

    def reference(picture, n):
        for k in drawn[n]["order"]:
            picture = functions[k](picture, drawn[n]["factor"][k])
        return picture

    image = pictures.float()
    assert torch.equal(step.apply(image, stack(drawn)), through_pil(pictures, reference))
    assert torch.equal(image, pictures.float())  # the input is left alone


def test_jitter_is_distributed_as_in_torchvision(draw):
    torch.manual_seed(0)
    amounts = (0.2, 0.2, 0.2, 0.1)
    bounds = [list(T.ColorJitter(*amounts).__dict__[k]) for k in ("brightness", "hue")]
    theirs = [
        T.ColorJitter.get_params(bounds[0], bounds[0], bounds[0], bounds[1]) for _ in range(2000)
    ]
    drawn = draw(ColorJitter(*amounts), 2000)
    for k in range(4):
        found = [d["factor"][k] for d in drawn]
        assert ks_2samp(found, [t[1 + k] for t in theirs]).pvalue > 0.01
    orders = Counter(tuple(d["order"]) for d in drawn)
    assert len(orders) == 24
    assert chisquare(list(orders.values())).pvalue > 0.01


def test_jitter_leaves_out_operations_without_an_amount(draw):
    (drawn,) = draw(ColorJitter(brightness=0.15, saturation=0.15), 1)
    assert sorted(drawn["order"]) == [0, 1]


def test_bad_amounts_are_refused():
    with pytest.raises(ConfigError, match="hue"):
        ColorJitter(hue=0.6)
    with pytest.raises(ConfigError, match="RandomGrayscale"):
        RandomGrayscale(p=1.5)
