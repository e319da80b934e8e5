"""The DataModules of EMOTIC: splits, weights, and what a run composes for them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cage_lightning.app import build
from cage_lightning.data.face_dataset import FaceDataset
from cage_lightning.data.module import ExpressionData
from cage_lightning.errors import ConfigError
from tests.conftest import composed
from tests.present import present


@pytest.fixture(scope="module")
def root(demo_persons):
    return demo_persons


@pytest.fixture
def module(root):
    def make(*overrides: str) -> ExpressionData:
        config = composed("data=demo_emotic", "data.size=tiny", f"data.root={root}", *overrides)
        return build.build_data(config)

    return make


@pytest.mark.slow
def test_the_epoch_is_chosen_on_the_releases_own_split(module):
    data = module("model=tiny")
    data.setup("fit")
    splits = (data.train, data.val, data.test)
    assert [table.path[0].rpartition("/")[2][:3] for table in splits] == ["tra", "val", "tes"]


@pytest.mark.parametrize("protocol", ["paper", "published_code"])
@pytest.mark.parametrize("data", ["emotic", "demo_emotic"])
def test_neither_protocol_nor_loss_asks_for_what_does_not_exist(data, protocol):
    config = composed(f"data={data}", f"protocol={protocol}", "loss=va").data
    assert (config.selection, config.balance) == ("val", False)


def test_balancing_says_what_to_do(module):
    data = module("data.balance=true")
    with pytest.raises(ConfigError, match=r"cannot be balanced: set data\.balance=false"):
        data.setup("fit")
    data.setup("test")  # an evaluation trains on nothing


@pytest.mark.parametrize(
    ("setting", "choices"),
    [
        (
            "class_weights=paper",
            "positive, inverse_frequency, inverse_sqrt, effective_number, none, or a list of 26 "
            "numbers",
        ),
        ("selection=holdout", "val"),
        ("label_space=affectnet8", "emotic"),
        ("release=json", "auto, mat, csv"),
    ],
)
def test_settings_that_are_not_for_emotic(module, setting, choices):
    more = ["data.class_weights=none"] if "label_space" in setting else []
    with pytest.raises(ConfigError, match=rf"data\.{setting}: choose one of {choices}$"):
        module(f"data.{setting}", *more)


def test_class_weights(module):
    data = module()
    data.setup("fit")
    n, counts = len(data.train), data.train.category.sum(axis=0)
    np.testing.assert_allclose(data.class_weights(), (n - counts) / counts)
    for name, expected in (("inverse_frequency", n / counts), ("none", None)):
        other = module(f"data.class_weights={name}")
        other.splits = data.splits
        weights = other.class_weights()
        assert (weights is None) if expected is None else np.allclose(weights, expected)


def test_batches_show_the_body_box(module):
    data = module("model=tiny")
    wide = module("model=tiny", "data.margin=0.5")
    pictures = []
    for one in (data, wide):
        one.setup("test")
        one.trainer = type("Trainer", (), {"global_rank": 0, "world_size": 1})()
        batch = next(iter(one.test_dataloader()))
        assert batch.category.shape == (53, 26)
        assert batch.affect.shape == (53, 3)
        pictures.append(batch.image.numpy())
    assert pictures[0].shape == (53, 3, 64, 64)
    assert (pictures[0] != pictures[1]).any(axis=(1, 2, 3)).mean() > 0.9


def test_unknown_affect_stays_on_demand(module):
    data = module("data.drop_invalid=false")
    data.setup("fit")
    assert np.isnan(data.train.affect).any()
    assert not np.isnan(data.test.affect).any()


@pytest.mark.parametrize("loss", ["discrete", "combined", "va"])
def test_every_mode_passes_over_unknown_affect(root, loss):
    config = composed(
        "data=demo_emotic",
        "data.size=tiny",
        f"data.root={root}",
        "data.drop_invalid=false",
        "data.class_weights=none",
        "model=tiny",
        f"loss={loss}",
    )
    config.run_dir = "run"
    data = build.build_data(config)
    data.setup("fit")
    unknown = np.flatnonzero(np.isnan(data.train.affect).any(axis=1))
    samples = FaceDataset(data.train.select(np.r_[unknown, :20]), 64)
    batch = next(iter(torch.utils.data.DataLoader(samples, batch_size=32)))
    module = build.build_module(config, data)
    value = present(module.loss)(module(data.normalize(batch.image, batch.index, 0)), batch)["loss"]
    value.backward()
    assert value.isfinite()
    assert all(present(weight.grad).isfinite().all() for weight in module.parameters())
