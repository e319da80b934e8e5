"""Models of other systems: an ONNX file and what a YAML file says of it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cage_lightning import ExpressionModel
from cage_lightning.deploy.foreign_meaning import meaning_of
from cage_lightning.deploy.loading import load
from cage_lightning.errors import CheckpointError
from cage_lightning.labels import AFFECTNET_8, EMOTIC

onnx = pytest.importorskip("onnx", reason="needs the extra export")
pytest.importorskip("onnxruntime", reason="needs the extra export")

ALPHABETICAL = ["Anger", "Contempt", "Disgust", "afraid", "happy", "Neutral", "Sadness"]
ALPHABETICAL += ["Surprise", "valence", "Arousal"]
# As EmotiEffLib's networks are.
DESCRIPTION: dict[str, Any] = {
    "input": {
        "layout": "NCHW",
        "size": 8,
        "colors": "RGB",
        "scale": 1,
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
    },
    "outputs": [{"columns": ALPHABETICAL, "values": "logits"}],
}


def write(folder: Path, description: Any, batch: int | str = "N") -> Path:
    """A network whose outputs are the means of the channels times fixed weights."""
    import yaml

    last = description["input"]["layout"] == "NHWC"
    size = description["input"]["size"]
    width = len(description["outputs"][0]["columns"])
    weights = np.random.default_rng(0).normal(size=(3, width)).astype(np.float32)
    shape = [batch, size, size, 3] if last else [batch, 3, size, size]
    axes = onnx.numpy_helper.from_array(np.array([1, 2] if last else [2, 3]), "axes")
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("ReduceMean", ["x", "axes"], ["m"], keepdims=0),
            onnx.helper.make_node("MatMul", ["m", "w"], ["y"]),
        ],
        "g",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [batch, width])],
        [axes, onnx.numpy_helper.from_array(weights, "w")],
    )
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9
    )
    onnx.save(model, folder / "theirs.onnx")
    (folder / "theirs.yaml").write_text(yaml.safe_dump(description))
    return folder / "theirs.onnx"


def pictures() -> torch.Tensor:
    return torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8, generator=torch.manual_seed(0))


def expected(inputs: np.ndarray[Any, Any], width: int) -> np.ndarray[Any, Any]:
    """What the network gives for inputs ``[B, H, W, 3]``, in the order of its own columns."""
    weights = np.random.default_rng(0).normal(size=(3, width)).astype(np.float32)
    return np.asarray(inputs.mean(axis=(1, 2)) @ weights)


def test_alphabetical_categories_come_in_our_order(tmp_path: Path) -> None:
    model = ExpressionModel.load(write(tmp_path, DESCRIPTION), device="cpu")
    assert model.label_space == AFFECTNET_8
    found = model.predict_crops(pictures())
    inputs = pictures().permute(0, 2, 3, 1).numpy() / 255
    theirs = expected((inputs - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225], 10)
    logits = theirs[:, [5, 4, 6, 7, 3, 2, 0, 1]]
    probability = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert found.probability is not None
    assert found.affect is not None
    np.testing.assert_allclose(found.probability, probability, atol=1e-5)
    np.testing.assert_allclose(found.affect, theirs[:, 8:], atol=1e-5)


def test_blue_first_in_bytes_channels_last_one_at_a_time(tmp_path: Path) -> None:
    description = copy.deepcopy(DESCRIPTION)
    description["input"] |= {"layout": "NHWC", "colors": "BGR", "scale": 255}
    description["input"] |= {"mean": [91.5, 103.9, 131.1], "std": [50.0, 60.0, 70.0]}
    description["outputs"] = [
        {"columns": ["arousal", "_", "valence"], "range": [0, 10]},
    ]
    loaded = load(write(tmp_path, description, batch=1))
    assert not loaded.description.layout.categories
    inputs = loaded.description.preprocessing.normalise(pictures())
    bgr = pictures().permute(0, 2, 3, 1).numpy()[..., ::-1].astype(float)
    theirs = expected((bgr - [91.5, 103.9, 131.1]) / [50, 60, 70], 3)
    np.testing.assert_allclose(
        loaded.predictor(inputs).numpy(), theirs[:, [2, 0]] / 5 - 1, atol=1e-5
    )


def test_probabilities_stay_what_they_are() -> None:
    several = {"input": DESCRIPTION["input"], "multi_label": True}
    columns = list(reversed(EMOTIC.categories))
    outputs = [{"columns": columns, "values": "probabilities"}]
    meaning = meaning_of(several | {"outputs": outputs}, "theirs")
    assert meaning.layout.space == EMOTIC
    given = np.random.default_rng(0).uniform(size=(4, 26)).astype(np.float32)
    found = meaning.outputs_of([given])
    np.testing.assert_allclose(1 / (1 + np.exp(-found)), given[:, ::-1], atol=1e-6)
    one = [{"columns": ["Sadness", "Boredom"], "values": "probabilities"}]
    meaning = meaning_of({"input": DESCRIPTION["input"], "outputs": one}, "theirs")
    assert meaning.layout.space.categories == ("Sadness", "Boredom")
    logits = meaning.outputs_of([np.array([[0.0, 1.0]])])
    assert logits[0].argmax() == 1
    assert np.isfinite(logits).all()


REFUSED: dict[str, tuple[Any, str]] = {
    "one more key": ({"_target_": "os.system"}, "the file consists of input, outputs, and may"),
    "no list": ({"outputs": {}}, "outputs is a list"),
    "another layout": ({"input": DESCRIPTION["input"] | {"layout": "CHW"}}, "not NCHW or NHWC"),
    "another size": ({"input": DESCRIPTION["input"] | {"size": 9}}, "its YAML file says"),
    "a scale of its own": ({"input": DESCRIPTION["input"] | {"scale": True}}, "not 1 or 255"),
    "a huge margin": ({"input": DESCRIPTION["input"] | {"margin": 1e9}}, "input.margin is"),
    "a deviation of 0": ({"input": DESCRIPTION["input"] | {"std": [0, 1, 1]}}, "input.std is"),
    "no values": ({"outputs": [{"columns": ALPHABETICAL}]}, "not logits or probabilities"),
    "a name twice": (
        {"outputs": [{"columns": ["Fear", "fear"], "values": "logits"}]},
        "columns has a name twice",
    ),
    "a name with markup": (
        {"outputs": [{"columns": ["<b>"], "values": "logits"}]},
        "lists of at most",
    ),
    "another output": (
        {"outputs": [*DESCRIPTION["outputs"], {"columns": ["_"]}]},
        "has the outputs y, and its YAML file describes 2",
    ),
    "several fewer columns": (
        {"outputs": [{"columns": ALPHABETICAL[:8], "values": "logits"}]},
        "says 8 columns",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_describe_the_model_is_refused(case: str, tmp_path: Path) -> None:
    import yaml

    change, words = REFUSED[case]
    file = write(tmp_path, DESCRIPTION)
    (tmp_path / "theirs.yaml").write_text(yaml.safe_dump(DESCRIPTION | change))
    with pytest.raises(CheckpointError, match=words):
        ExpressionModel.load(file, device="cpu").predict_crops(pictures())


def test_references_and_a_missing_description_are_refused(tmp_path: Path) -> None:
    file = write(tmp_path, DESCRIPTION)
    (tmp_path / "theirs.yaml").write_text("input: &a [1]\noutputs: [*a, *a]\n")
    with pytest.raises(CheckpointError, match="it has references"):
        load(file)
    (tmp_path / "theirs.yaml").unlink()
    with pytest.raises(CheckpointError, match=r"write a file theirs\.yaml beside it"):
        load(file)


@pytest.mark.parametrize("other", [b"MatM\xff\xff", b"NoSuch"])
def test_of_a_model_that_cannot_be_run_only_the_message_is_shown(
    other: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, DESCRIPTION)
    file.write_bytes(file.read_bytes().replace(b"MatMul", other))
    with pytest.raises(CheckpointError, match=r"theirs\.onnx cannot be run: "):
        load(file)
    assert capfd.readouterr() == ("", "")
