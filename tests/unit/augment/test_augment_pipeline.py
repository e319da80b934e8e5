from __future__ import annotations

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision import transforms as T
from torchvision.transforms import functional as TF

from cage_lightning.augment import (
    Augment,
    RandomErasing,
    RandomHorizontalFlip,
    RandomVerticalFlip,
    pipeline,
    sample_generator,
)
from cage_lightning.errors import ConfigError, DataError
from tests.conftest import composed
from tests.present import present

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NAMES = ("paper", "published_discrete", "none")


def load(name: str, seed: int = 3) -> Augment:
    augment = instantiate(composed(f"augment={name}", f"seed={seed}").augment)
    assert isinstance(augment, Augment)
    return augment


@pytest.fixture(scope="module")
def augments():
    return {name: load(name) for name in NAMES}


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        (
            "paper",
            "RandomHorizontalFlip RandomGrayscale RandomRotation ColorJitter RandomPerspective "
            "RandomErasing",
        ),
        (
            "published_discrete",
            "ElasticTransform GaussianBlur RandomGrayscale RandomRotation RandomVerticalFlip "
            "ColorJitter RandomAutocontrast",
        ),
        ("none", ""),
    ],
)
def test_configs_list_the_steps_in_order(augments, name, steps):
    assert [type(step).__name__ for step in augments[name].steps] == steps.split()


def test_without_steps_it_is_to_tensor_and_normalize(pictures, through_pil, augments):
    reference = T.Compose([T.ToTensor(), T.Normalize(MEAN, STD)])
    levels = through_pil(pictures, lambda picture, _: picture)
    expected = torch.stack([reference(TF.to_pil_image(row.byte())) for row in levels])
    found = augments["none"](pictures, torch.arange(len(pictures)), epoch=0)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_the_papers_steps_together_are_torchvisions_chain(pictures, through_pil, augments):
    """Mean error over all steps up to normalisation, with the parameters that each sample drew."""
    whole = augments["paper"]
    augment = Augment(whole.steps[:-1], MEAN, STD, whole.seed)
    start = [[0, 0], [71, 0], [71, 59], [0, 59]]
    jitter = [TF.adjust_brightness, TF.adjust_contrast, TF.adjust_saturation, TF.adjust_hue]

    def reference(picture, index):
        rng = sample_generator(whole.seed, 2, index)
        flip, grey, rotation, color, perspective = (s.draw(rng, 60, 72) for s in augment.steps)
        if flip is not None:
            picture = TF.hflip(picture)
        if grey is not None:
            picture = TF.rgb_to_grayscale(picture, 3)
        picture = TF.rotate(picture, present(rotation)["angle"])
        color = present(color)
        for k in color["order"]:
            picture = jitter[k](picture, color["factor"][k])
        if perspective is not None:
            corners = [list(corner) for corner in perspective["corners"]]
            picture = TF.perspective(picture, start, corners, fill=[0, 0, 0])
        return picture

    expected = through_pil(pictures, reference)
    found = augment(pictures, torch.arange(len(pictures)), epoch=2)
    levels = (found * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1)) * 255
    error = (levels - expected).abs()
    assert error.max() < 1.01
    assert error.mean() < 1e-4  # found: 2e-5


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=8, deadline=None)
@given(order=st.permutations(range(12)), size=st.integers(1, 12))
def test_a_sample_depends_on_its_key_alone(pictures, augments, name, order, size):
    augment, rows = augments[name], torch.tensor(order[:size])
    whole = augment(pictures, torch.arange(len(pictures)), epoch=1)
    assert torch.equal(augment(pictures[rows], rows, epoch=1), whole[rows])


@pytest.mark.parametrize("name", ["paper", "published_discrete"])
def test_working_in_parts_changes_nothing(pictures, augments, name, monkeypatch):
    index = torch.arange(len(pictures))
    whole = augments[name](pictures, index, epoch=1)
    monkeypatch.setattr(pipeline, "CPU_PIXELS", 5 * 60 * 72)
    assert torch.equal(augments[name](pictures, index, epoch=1), whole)


class Negative(RandomVerticalFlip):
    """A step on the normalised image that makes a new one."""

    normalized = True

    def apply(self, image, params):
        return -image


@pytest.mark.parametrize("last", [RandomErasing(0.5), Negative(0.5), Negative(1.0)])
def test_the_result_is_written_where_it_is_wanted(pictures, last):
    augment = Augment([RandomHorizontalFlip(0.5), last], MEAN, STD, seed=0)
    index, out = torch.arange(len(pictures)), torch.empty(pictures.shape)
    found = augment(pictures, index, epoch=1)
    assert augment(pictures, index, epoch=1, out=out) is out
    assert torch.equal(out, found)
    plain = Augment(augment.steps[:1], MEAN, STD, seed=0)(pictures, index, epoch=1)
    assert not torch.equal(out, plain)


@pytest.mark.parametrize("name", NAMES)
def test_how_the_pixels_lie_in_memory_changes_nothing(pictures, augments, name):
    index = torch.arange(len(pictures))
    as_decoded = pictures.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    assert not as_decoded.is_contiguous()
    found = augments[name](as_decoded, index, epoch=1)
    assert torch.equal(found, augments[name](pictures, index, epoch=1))
    assert found.is_contiguous()  # else the network computes in another order


@pytest.mark.parametrize("name", ["paper", "published_discrete"])
def test_seed_epoch_and_index_each_change_a_sample(pictures, augments, name):
    augment, index = augments[name], torch.arange(len(pictures))
    first = augment(pictures, index, epoch=0)
    for other in (
        augment(pictures, index, epoch=1),
        augment(pictures, index + 1, epoch=0),
        load(name, seed=4)(pictures, index, epoch=0),
    ):
        assert (first != other).flatten(1).any(1).all()


@pytest.mark.parametrize("name", NAMES)
def test_result_is_normalised_and_the_input_kept(pictures, augments, name):
    image = pictures.clone()
    found = augments[name](image, torch.arange(len(image)), epoch=0)
    assert found.shape == image.shape
    assert found.dtype == torch.float32
    assert found.isfinite().all()
    assert torch.equal(image, pictures)
    if name != "paper":  # no noise: every value is a level
        levels = (found * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1)) * 255
        assert (levels - levels.round()).abs().max() < 1e-3
        assert levels.min() > -0.01
        assert levels.max() < 255.01


def test_probability_is_the_share_of_samples():
    step = RandomHorizontalFlip(0.3)
    happened = [step.draw(sample_generator(0, k), 60, 72) is not None for k in range(3000)]
    assert abs(np.mean(happened) - 0.3) < 0.03


def test_an_empty_batch_stays_empty(augments):
    image = torch.empty(0, 3, 60, 72, dtype=torch.uint8)
    assert augments["paper"](image, torch.empty(0, dtype=torch.int64), epoch=0).shape == image.shape


def test_misplaced_steps_and_wrong_batches_are_refused(pictures, augments):
    with pytest.raises(ConfigError, match="must come last"):
        Augment([RandomErasing(), RandomVerticalFlip()], MEAN, STD, seed=0)
    index = torch.arange(len(pictures))
    with pytest.raises(DataError, match="uint8"):
        augments["none"](pictures.float(), index, epoch=0)
    with pytest.raises(DataError, match="index"):
        augments["none"](pictures, index[1:], epoch=0)


def test_generator_is_a_function_of_its_key():
    assert sample_generator(1, 2, 3).random() == sample_generator(1, 2, 3).random()
    draws = {sample_generator(*key).random() for key in np.ndindex(8, 8, 8)}
    assert len(draws) == 512


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode:UserWarning")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", NAMES)
def test_cuda_agrees_with_the_cpu_and_never_waits(pictures, name):
    augment, index = load(name), torch.arange(len(pictures))
    expected = augment(pictures, index, epoch=0)
    augment(pictures.cuda(), index, epoch=0)  # tables and noise reach the device once
    image = pictures.cuda()
    torch.use_deterministic_algorithms(True)
    torch.cuda.set_sync_debug_mode("error")
    try:
        first, second = (augment(image, index, epoch=0) for _ in range(2))
    finally:
        torch.cuda.set_sync_debug_mode("default")
        torch.use_deterministic_algorithms(False)
    assert torch.equal(first, second)
    levels = (first.cpu() - expected).abs() * torch.tensor(STD).view(3, 1, 1) * 255
    assert levels.mean() < 1e-3
    assert (levels > 2).float().mean() < 1e-4
