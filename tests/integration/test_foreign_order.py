"""A plain state_dict whose outputs are in another order of categories, through `evaluate`."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from cage_lightning.labels import AFFECTNET_8
from cage_lightning.models import build_network
from tests.conftest import Command

SETTINGS = (
    *("model=tiny", "data=demo8", "data.size=tiny", "data.num_workers=0", "data.batch_size=8"),
    *("trainer=cpu", "trainer.limit_test_batches=1"),
)
ALPHABETICAL = "[angry,contempt,disgusted,afraid,happy,neutral,sad,surprised]"


def write(tmp_path: Path) -> None:
    """A network, and the same one as somebody else saves it."""
    torch.manual_seed(0)
    state = build_network("tiny", 10, weights="none", image_size=64).state_dict()
    torch.save(state, tmp_path / "ours.pt")
    order = [AFFECTNET_8.categories.index(name) for name in sorted(AFFECTNET_8.categories)]
    for name in ("classifier.2.weight", "classifier.2.bias"):
        state[name] = state[name][[*order, 8, 9]]
    theirs = {f"module.{name}": tensor for name, tensor in state.items()}
    torch.save({"model": theirs, "epoch": 3}, tmp_path / "theirs.pth")


def test_outputs_are_put_into_the_order_of_the_data(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    found = "the 20 samples predicted as Happiness have a mean true valence of -0.50"
    monkeypatch.setattr("cage_lightning.commands.evaluate.contradictions", lambda _: [found])
    command("evaluate", "checkpoint=ours.pt", *SETTINGS, "loss=combined", "output=ours")
    order = f"categories={ALPHABETICAL}"
    theirs = ("checkpoint=theirs.pth", *SETTINGS, "loss=combined")
    done = command("evaluate", *theirs, order, "output=theirs")
    said = done.stdout + done.stderr
    assert "the weights are those of its entry 'model'" in said
    assert f"{found}: if its outputs are in another order than those of the data, name it" in said
    assert said.count("all names begin with 'module.', which is left out") == 1

    tables = [pq.read_table(tmp_path / name / "predictions.parquet") for name in ("ours", "theirs")]
    assert tables[0].equals(tables[1], check_metadata=False)
    ours, other = (
        json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("ours", "theirs")
    )
    assert ours["meta"]["label_space"] == other["meta"]["label_space"] == AFFECTNET_8.to_dict()
    assert other["contempt_dropped/accuracy"] == ours["contempt_dropped/accuracy"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("loss=combined", "categories=[happy,glad]"), "categories: 'glad' is no category"),
        (("loss=combined", "categories=[happy,joy]"), "'happy' and 'joy' both mean Happiness"),
        (("loss=combined", "categories=[happy,sad]"), "another head than this network"),
        (("loss=va", "categories=[happy,sad]"), "another head than this network"),
    ],
)
def test_an_order_that_is_none_is_refused(
    settings: tuple[str, ...], message: str, command: Command, tmp_path: Path
) -> None:
    write(tmp_path)
    done = command("evaluate", "checkpoint=theirs.pth", *SETTINGS, *settings, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert message in done.stderr


def test_score_notices_numbers_in_another_order(command: Command, tmp_path: Path) -> None:
    valence = {"Happiness": 0.8, "Sadness": -0.7}
    names = sorted(AFFECTNET_8.categories) * 10
    rows = [
        f"{k % 8},{k % 8},{valence.get(name, -0.2) + k / 1000},0.1,0,0"
        for k, name in enumerate(names)
    ]
    header = "cat_true,cat_pred,val_true,val_pred,aro_true,aro_pred"
    (tmp_path / "p.csv").write_text("\n".join([header, *rows]))
    arguments = ("predictions=p.csv", "resamples=10")
    said = command("score", *arguments).stderr
    assert "the 10 samples predicted as Happiness have a mean true valence of -0.1" in said
    assert "are its categories in another order?" in said
    said = command("score", *arguments, f"categories={ALPHABETICAL}").stderr
    assert "valence of" not in said
    scores = json.loads((tmp_path / "metrics.json").read_text())
    assert scores["test/recall_Happiness"] == 1
    done = command("score", *arguments, "categories=[happy,glad]", check=False)
    assert "categories: 'glad' is no category" in done.stderr
