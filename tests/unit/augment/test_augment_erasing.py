from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.stats import ks_2samp, kstest
from torchvision import transforms as T

from cage_lightning.augment import RandomErasing
from cage_lightning.augment.step import stack

PAPER: dict[str, Any] = {"p": 1.0, "scale": (0.02, 0.2), "ratio": (0.3, 3.3), "value": "random"}


def test_only_the_box_is_erased_with_normal_noise(draw):
    step = RandomErasing(**PAPER)
    image = torch.full((24, 3, 60, 72), 7.0)
    drawn = draw(step, 24)
    erased = step.apply(image, stack(drawn))
    noise = []
    for row, params in zip(erased, drawn, strict=True):
        top, left, bottom, right = params["box"]
        outside = torch.ones(60, 72, dtype=torch.bool)
        outside[top:bottom, left:right] = False
        assert (row[:, outside] == 7.0).all()
        noise.append(row[:, ~outside].flatten())
    values = torch.cat(noise)
    assert len(values.unique()) > 0.9 * len(values)  # pixel by pixel, channel by channel
    assert kstest(values.numpy(), "norm").pvalue > 0.01
    channels = erased[0][:, top:bottom, left:right]
    assert not torch.equal(channels[0], channels[1])


def test_a_constant_value_is_written(draw):
    step = RandomErasing(1.0, value=0.25)
    drawn = draw(step, 2)
    erased = step.apply(torch.ones(2, 3, 60, 72), stack(drawn))
    top, left, bottom, right = drawn[0]["box"]
    assert (erased[0, :, top:bottom, left:right] == 0.25).all()
    assert erased[0].eq(0.25).sum() == 3 * (bottom - top) * (right - left)


def test_boxes_are_distributed_as_in_torchvision(draw):
    torch.manual_seed(0)
    image = torch.empty(3, 60, 72)
    theirs = np.array(
        [T.RandomErasing.get_params(image, (0.02, 0.2), (0.3, 3.3), [0.0])[:4] for _ in range(3000)]
    )
    boxes = np.array([d["box"] for d in draw(RandomErasing(**PAPER), 3000)])
    ours = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)  # top, left, h, w
    for k in range(4):
        assert ks_2samp(ours[:, k], theirs[:, k]).pvalue > 0.001
    assert ks_2samp(ours[:, 2] * ours[:, 3], theirs[:, 2] * theirs[:, 3]).pvalue > 0.001


def test_a_box_that_never_fits_leaves_the_sample_alone():
    step = RandomErasing(1.0, scale=(4.0, 5.0), ratio=(1.0, 1.0))
    assert step.draw(np.random.default_rng(0), 60, 72) is None
