"""Mixup and cutmix: labels are mixed by what is seen, and a draw depends on the sample alone."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from timm.data.mixup import mixup_target, rand_bbox

from cage_lightning.augment import Mixing
from cage_lightning.augment.mixing import _around
from cage_lightning.errors import ConfigError
from cage_lightning.labels import AFFECTNET_8, EMOTIC, Batch

MIXUP, CUTMIX = (0.7, 0.0), (0.0, 1.0)


def pair(index: tuple[int, int] = (3, 8)) -> Batch:
    """A white picture and a black one, of other categories and affect."""
    image = torch.stack([torch.ones(3, 13, 16), torch.zeros(3, 13, 16)])
    affect = torch.tensor([[1.0, 0.5], [0.0, -0.5]])
    return Batch(image, torch.tensor([2, 5]), affect, torch.tensor(index))


@pytest.mark.parametrize("alphas", [MIXUP, CUTMIX, (0.7, 1.0)])
def test_labels_are_mixed_by_what_is_seen(alphas: tuple[float, float]) -> None:
    mixing = Mixing(*alphas, 0, AFFECTNET_8)
    seen = set[float]()
    for epoch in range(20):
        found = mixing(pair(), epoch)
        white = found.image[0].mean().item()
        assert found.category[0, [2, 5]].tolist() == pytest.approx([white, 1 - white], abs=1e-5)
        assert found.affect[0].tolist() == pytest.approx([white, white - 0.5], abs=1e-5)
        torch.testing.assert_close(found.category.sum(1), torch.ones(2))
        seen |= set(found.image[0].unique().tolist())
    assert (len(seen) > 2) == (alphas != CUTMIX)
    assert ({0.0, 1.0} <= seen) == (alphas != MIXUP)


def test_mixup_is_that_of_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mixing, "_draw", lambda *_: (0.3, 0, 13, 0, 16))
    batch = pair()._replace(image=torch.rand(2, 3, 13, 16))
    found = Mixing(*MIXUP, 0, AFFECTNET_8)(batch, 0)
    torch.testing.assert_close(found.category, mixup_target(batch.category, 8, 0.3))
    torch.testing.assert_close(found.image, batch.image * 0.3 + batch.image.flip(0) * 0.7)


@pytest.mark.parametrize("share", [0.05, 0.4, 0.9])
def test_the_rectangle_of_cutmix_is_that_of_timm(
    monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    for centre in range(13):
        monkeypatch.setattr(np.random, "randint", lambda *_, c=centre, **__: c)
        top, bottom, left, right = map(int, rand_bbox((13, 16), share))
        side = math.sqrt(1 - share)
        assert _around(centre, int(13 * side), 13) == (top, bottom)
        assert _around(centre, int(16 * side), 16) == (left, right)


def test_a_draw_depends_on_seed_epoch_and_sample() -> None:
    def white(seed: int, epoch: int, *index: int) -> float:
        mixing = Mixing(*MIXUP, seed, AFFECTNET_8)
        return mixing(pair((index[0], index[1])), epoch).image[0].mean().item()

    assert white(0, 0, 3, 8) == white(0, 0, 3, 9)
    assert len({white(*key, 8) for key in ((0, 0, 3), (1, 0, 3), (0, 1, 3), (0, 0, 4))}) == 4


def test_shares_follow_the_beta_distribution_and_both_kinds_are_as_frequent() -> None:
    mixing = Mixing(0.4, 0.4, 0, AFFECTNET_8)
    draws = [mixing._draw(0, i, 100, 100) for i in range(2000)]
    shares = np.array([inside for inside, *_ in draws if inside])
    assert 900 < len(shares) < 1100
    assert shares.mean() == pytest.approx(0.5, abs=0.03)
    assert shares.var() == pytest.approx(0.25 / 1.8, rel=0.05)  # 1 / (4 (2 alpha + 1))


def test_what_one_of_both_lacks_is_not_annotated() -> None:
    batch = Batch(
        image=torch.rand(3, 3, 8, 8),
        category=torch.tensor([1, -1, 4]),
        affect=torch.tensor([[0.5, math.nan], [0.1, 0.2], [0.3, 0.4]]),
        index=torch.arange(3),
    )
    found = Mixing(*MIXUP, 0, AFFECTNET_8)(batch, 0)
    torch.testing.assert_close(found.category.sum(1), torch.tensor([1.0, 0.0, 0.0]))
    assert found.affect.isnan().tolist() == [[False, True], [False, True], [False, False]]
    nothing = replace(AFFECTNET_8, categories=())
    assert Mixing(*MIXUP, 0, nothing)(batch, 0).category.shape == (3, 0)


def test_several_categories_are_mixed_as_they_are() -> None:
    labels = torch.zeros(2, 26)
    labels[0, [1, 2]] = 1
    found = Mixing(*CUTMIX, 0, EMOTIC)(pair()._replace(category=labels), 0)
    white = found.image[0].mean().item()
    assert found.category[0, [1, 2, 3]].tolist() == pytest.approx([white, white, 0])


def test_without_parameters_nothing_is_mixed_and_negative_ones_are_refused() -> None:
    assert not Mixing(0, 0, 0, AFFECTNET_8)
    with pytest.raises(ConfigError, match=r"data.cutmix=-1 is less than 0"):
        Mixing(0, -1, 0, AFFECTNET_8)
