"""Backbone, mode and label space are recognised from the tensors alone."""

from __future__ import annotations

import pytest
from torchvision import models

from cage_lightning.errors import CheckpointError
from cage_lightning.labels import AFFECTNET_7, AFFECTNET_8, EMOTIC, LabelSpace
from cage_lightning.models import PublishedLayout, recognise
from cage_lightning.models.published import Mode
from tests.outlines import outline, outlines
from tests.present import present

MODES: dict[int, tuple[Mode, LabelSpace | None]] = {
    2: ("va", None),
    7: ("discrete", AFFECTNET_7),
    8: ("discrete", AFFECTNET_8),
    9: ("combined", AFFECTNET_7),
    10: ("combined", AFFECTNET_8),
    29: ("combined", EMOTIC),
}


@pytest.mark.parametrize("num_outputs", MODES)
@pytest.mark.parametrize("name", ["maxvit_t", "efficientnet_v2_s", "swin_v2_t"])
def test_recognises_every_published_layout(name, num_outputs):
    expected = PublishedLayout(name, num_outputs, False, *MODES[num_outputs])
    assert recognise(outline(name, num_outputs).state_dict()) == expected


def test_recognises_the_dropout_head():
    layout = recognise(outline("maxvit_t", 2, head_dropout=0.3).state_dict())
    assert layout == PublishedLayout("maxvit_t", 2, True, "va", None)


@pytest.mark.parametrize("num_outputs", [n for n in MODES if n != 2])
def test_outputs_are_categories_then_dimensions(num_outputs):
    layout = recognise(outline("swin_v2_t", num_outputs).state_dict())
    space = present(layout.label_space)
    expected = len(space.categories)
    if layout.mode == "combined":
        expected += len(space.dimensions)
    assert expected == num_outputs


def test_other_networks_are_not_taken_for_published_ones():
    for name, size in [("swin_t", 224), ("maxvit_mini", 64), ("tiny", 64), ("resnet18", 224)]:
        with pytest.raises(CheckpointError, match="no published layout"):
            recognise(outline(name, 10, image_size=size).state_dict())


def test_imagenet_weights_fit_no_mode():
    with outlines():
        state_dict = models.swin_v2_t().state_dict()
    with pytest.raises(CheckpointError, match=r"those of swin_v2_t, but 1000 outputs fit no mode"):
        recognise(state_dict)
