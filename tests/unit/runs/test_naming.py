"""The tag of a run contains what a sweep chose: equal settings give equal tags, others do not."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cage_lightning.runs.naming import name_of, named_settings, tag_of
from tests.conftest import composed

KEYS = st.sampled_from(["optimizer.lr", "loss.alpha", "augment", "a.lr", "a/b", "+x", "b2", "b"])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
SETTINGS = st.dictionaries(KEYS, VALUES, min_size=1, max_size=4)


def canonical(value: Any) -> Any:
    """Return a key that is equal for equal settings only; to Python, True equals 1."""
    if isinstance(value, dict):
        return {key: canonical(one) for key, one in value.items()}
    if isinstance(value, list):
        return [canonical(one) for one in value]
    return (isinstance(value, bool), value)


@given(SETTINGS, SETTINGS)
def test_different_settings_never_share_a_tag(one: dict[str, Any], other: dict[str, Any]) -> None:
    other = {key: other.get(key, value) for key, value in one.items()}  # of one sweep
    assert (tag_of(one) == tag_of(other)) == (canonical(one) == canonical(other))


@given(st.text(), st.text(), st.text(), st.text())
def test_a_dash_is_of_one_text_only(a: str, b: str, c: str, d: str) -> None:
    tags = [tag_of({"k": f"{a}-b-{b}", "b": c}), tag_of({"k": a, "b": f"{b}-{d}"})]
    assert tags[0] != tags[1]


@given(SETTINGS)
def test_a_tag_is_short_and_safe(settings: dict[str, Any]) -> None:
    tag = tag_of(settings)
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,57}", tag)
    assert tag == tag_of(dict(reversed(settings.items())))


@pytest.mark.parametrize(
    ("settings", "tag"),
    [
        ({"optimizer.lr": 1e-3, "augment": "none"}, "augment-none-lr0.001"),
        ({"optimizer.lr": 5e-05, "seed": 1}, "lr5e-05-seed1"),
        ({"loss.alpha": 5.0}, "alpha5"),
        (
            {"data.balance": True, "trainer.gradient_clip_val": None},
            "balance-true-gradient_clip_val-null",
        ),
        ({"data.class_weights": [1, 2.5, 3]}, "class_weights-1_2.5_3"),
        ({"a.lr": 1, "b.lr": 2}, "a.lr1-b.lr2"),
        ({"model.name": "swin-tiny.v1"}, "name-swin-tiny.v1"),
        ({"x": list(range(99))}, "x-0_1_2_3_4_5_6_7_8_9_10_11_12_13_14_15_16_17_18-4dd15936"),
        ({"init_from": "runs/größe/a b"}, "init_from-runs_gr_e_a_b-42809c6e"),
    ],
)
def test_tags_can_be_read(settings: dict[str, Any], tag: str) -> None:
    assert tag_of(settings) == tag


def test_names_of_networks() -> None:
    assert name_of("resnet18.a1_in1k") == "resnet18.a1_in1k"
    assert name_of("hf-hub:timm/resnet18").startswith("hf-hub_timm_resnet18-")
    assert len({name_of("a/b"), name_of("a:b"), name_of("a_b")}) == 3


def test_what_a_name_says_already() -> None:
    config = composed("group=lr${optimizer.lr}-${choices.augment}", "runs=${oc.env:HOME}/runs")
    named = named_settings(config)
    assert {"data", "model", "loss", "seed", "group", "runs", "tag"} <= named
    assert {"optimizer.lr", "augment"} <= named
    assert not {"optimizer.weight_decay", "protocol", "model.name"} & named
