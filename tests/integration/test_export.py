"""The real `export` and `evaluate` commands: a trained model as a folder, in several forms."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cage_lightning import ExpressionModel, read_predictions
from cage_lightning.deploy.forms.graphs import quietly
from cage_lightning.errors import CheckpointError
from tests.conftest import Command, environment, forks, run_in_a_process

RUN = "runs/default/demo8-tiny-combined-s0"
THEIRS = """
input:
  {layout: NCHW, size: 64, colors: RGB, scale: 255, mean: [123.675, 116.28, 103.53],
   std: [58.395, 57.12, 57.375]}
outputs:
  - columns: [neutral, happy, sad, surprised, afraid, disgust, angry, contempt, valence, arousal]
    values: logits
"""
DATA = ("data=demo8", "data.size=tiny", "data.num_workers=0")


@pytest.fixture(scope="module")
def exporter() -> None:
    """What writes ONNX is imported once, before the forks that need it."""
    pytest.importorskip("onnxruntime", reason="needs the extra export")
    with quietly():
        torch.onnx.export(torch.nn.ReLU(), (torch.zeros(2, 3),), dynamo=True, verbose=False)


@pytest.fixture(scope="module")
def exported(
    exporter: None, trained: Path, demo_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An export of the run, calibrated, also as ONNX; nobody changes it."""
    folder = tmp_path_factory.mktemp("exported")
    arguments = (f"checkpoint={trained / RUN}", *DATA, "output=export", "forms=[onnx]")
    more = ("calibrate=true", "max_loss=1")
    with forks():  # what makes a form keeps the streams that it finds
        done = run_in_a_process("export", (*arguments, *more), folder, environment(demo_root))
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(file.name for file in folder.iterdir()) == ["export"]
    return folder / "export"


@pytest.fixture
def faces(demo_root: Path) -> list[Path]:
    return sorted((demo_root / "demo_faces/tiny/val_set/images").glob("*.jpg"))


@pytest.mark.slow
def test_every_form_gives_the_numbers_of_evaluate(
    exported: Path, command: Command, tmp_path: Path, faces: list[Path]
) -> None:
    theirs = tmp_path / "theirs.onnx"  # the same network, as if it were of another system
    shutil.copy(exported / "model.onnx", theirs)
    theirs.with_suffix(".yaml").write_text(THEIRS)
    found = {}
    for place in (exported / "model.safetensors", exported / "model.onnx", theirs):
        name = place.name.replace(".", "-")
        command("evaluate", f"checkpoint={place}", *DATA, "trainer=cpu", f"output={name}")
        found[name] = read_predictions(tmp_path / name / "predictions.parquet")
    assert json.loads((tmp_path / "model-onnx/metrics.json").read_text())["meta"]["form"] == (
        "onnx"
    )
    predicted = ExpressionModel.load(exported, device="cpu").predict(faces)
    rows = [[Path(name).stem for name in found["model-onnx"].id].index(x.stem) for x in faces]
    assert predicted.probability is not None
    assert predicted.affect is not None
    for one in found.values():
        assert one.probability is not None
        assert one.affect_pred is not None
        np.testing.assert_allclose(one.probability[rows], predicted.probability, atol=1e-4)
        np.testing.assert_allclose(one.affect_pred[rows], predicted.affect, atol=1e-4)


@pytest.mark.slow
def test_the_card_and_the_description_have_what_was_measured(exported: Path, trained: Path) -> None:
    content: dict[str, Any] = json.loads((exported / "config.json").read_text())
    text = (exported / "README.md").read_text()
    form = content["forms"]["onnx"]
    assert form["largest_difference"] < 1e-4
    assert f"{form['largest_difference']:.1e}" in text
    assert abs(form["against_pytorch"]["accuracy"]["difference"]) <= 1 / 64
    assert {"ccc_valence", "rmse_arousal", "ece"} <= content["scores"]["calibration"].keys()
    run = json.loads((trained / RUN / "metrics.json").read_text())
    assert content["scores"]["test/accuracy"] == run["test/accuracy"]  # a temperature changes none
    assert (
        content["made_by"]["tested_on"]["fingerprint"]
        == (run["meta"]["data"]["test"]["fingerprint"])
    )
    assert text.startswith("---\nlibrary_name: cage-lightning\n")
    for words in ("Article 5(1)(f)", "inferred, not read", "0 Neutral, 1 Happiness", "Contempt |"):
        assert words in text
    for file in exported.iterdir():  # no path of this machine
        assert str(trained).encode() not in file.read_bytes()
        assert str(Path(__file__).parents[2]).encode() not in file.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("output=runs",), "runs exists already"),
        (("output=new", "forms=[tflite]"), "forms=tflite: choose one of onnx,"),
        (("output=new", "data.margin=1"), "data.margin is a setting of the model's training"),
        (("output=new", "data=demo7", "calibrate=true"), "choose data=demo8"),
        (("output=s3://bucket/x",), "only folders and files of this machine"),
    ],
)
def test_what_cannot_be_exported_is_refused(
    arguments: tuple[str, ...], words: str, command: Command, trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "runs").mkdir()
    done = command("export", f"checkpoint={trained / RUN}", *DATA, *arguments, check=False)
    assert done.returncode == 1
    assert words in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["runs"]


def test_the_data_set_is_suggested_and_never_taken(command: Command, trained: Path) -> None:
    done = command("export", f"checkpoint={trained / RUN}", "output=new", check=False)
    assert "data=... is needed" in done.stderr
    assert "the model was trained on demo8" in done.stderr


@pytest.mark.slow
def test_weights_outside_an_onnx_file_are_not_read(exported: Path, tmp_path: Path) -> None:
    import onnx

    from cage_lightning.deploy.folder import checksum

    folder = tmp_path / "export"
    shutil.copytree(exported, folder)
    model = onnx.load(folder / "model.onnx")
    onnx.save(model, folder / "model.onnx", save_as_external_data=True, location="outside.bin")
    config = json.loads((folder / "config.json").read_text())
    config["files"]["model.onnx"] = checksum(folder / "model.onnx")
    del config["checksum"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="keeps its weights in other files"):
        ExpressionModel.load(folder / "model.onnx")
    (folder / "model.onnx").write_bytes(b"no model")
    with pytest.raises(CheckpointError, match="is not the file that was exported"):
        ExpressionModel.load(folder / "model.onnx")


BARE = """
import sys

for name in %r:
    sys.modules[name] = None  # as if it were not installed
from cage_lightning import ExpressionModel

model = ExpressionModel.load(sys.argv[1], device="cpu")
print(model.predict(sys.argv[2])[0].category)
for path in sys.argv[3:]:
    try:
        ExpressionModel.load(path)
    except Exception as error:
        print(type(error).__name__, error)
"""
# What pyproject.toml asks for, but torch, torchvision, safetensors, numpy and Pillow; and what
# would bring it.
OTHERS = [
    *("lightning", "pytorch_lightning", "hydra", "omegaconf", "torchmetrics", "wandb", "timm"),
    *("scipy", "pyarrow", "pandas", "matplotlib", "rich", "yaml", "jinja2", "huggingface_hub"),
    *("onnx", "onnxruntime", "openvino", "cv2"),
]


@pytest.mark.slow
def test_an_export_predicts_where_hardly_anything_is_installed(
    exported: Path, faces: list[Path], tmp_path: Path
) -> None:
    checkpoint = tmp_path / "best.ckpt"
    checkpoint.touch()
    others = [str(tmp_path / "nowhere"), str(checkpoint)]
    arguments = [sys.executable, "-c", BARE % OTHERS, str(exported), str(faces[0]), *others]
    done = subprocess.run(arguments, capture_output=True, text=True, cwd=tmp_path, timeout=240)
    assert done.returncode == 0, done.stderr
    expected = ExpressionModel.load(exported, device="cpu").predict(faces[0])[0].category
    category, missing, needs = done.stdout.splitlines()
    assert category == expected
    assert missing == f"CheckpointError there is no checkpoint {others[0]}"
    assert needs.startswith(f"CheckpointError {checkpoint} is a checkpoint of a run, which needs")


@pytest.mark.slow
def test_all_forms_of_an_ensemble(
    exporter: None,
    trained: Path,
    command: Command,
    tmp_path: Path,
    faces: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not all(map(find_spec, ("openvino", "nncf"))):
        pytest.skip("needs the extra export")
    run = trained / RUN
    forms = "forms=[onnx_pixels,openvino,openvino_bf16,openvino_int8,torch_export]"
    arguments = (f"checkpoint=[{run},{run}]", *DATA, "output=export", forms, "force=true")
    monkeypatch.setattr("cage_lightning.commands.export_tests.MOST_IN_FLOAT32", 0.0)
    # nncf keeps the streams that it finds.
    done = command("export", *arguments, "quantisation_samples=8", process="forked")
    assert "openvino differs from PyTorch by" in done.stderr
    assert "kept, as force=true says" in done.stderr
    folder = tmp_path / "export"
    content = json.loads((folder / "config.json").read_text())
    whole = ExpressionModel.load(folder, device="cpu").predict(faces)
    assert whole.probability is not None
    assert whole.probability_spread is not None
    for name, form in content["forms"].items():
        largest = {"float32": 1e-4, "bfloat16": 0.05, "int8": 0.5}[form["precision"]]
        assert form["largest_difference"] < largest, name
        if name == "torch_export":
            with pytest.raises(CheckpointError, match="unpickles parts"):
                ExpressionModel.load(folder / form["file"])
            continue
        found = ExpressionModel.load(folder / form["file"], device="cpu").predict(faces)
        np.testing.assert_allclose(found.probability, whole.probability, atol=largest)  # type: ignore[arg-type]
        assert found.affect_spread is not None
        np.testing.assert_allclose(found.affect_spread, 0, atol=1e-6)  # the same run twice
        alone = ExpressionModel.load(folder / form["file"], device="cpu").predict(faces[0])
        np.testing.assert_allclose(alone.probability, whole.probability[:1], atol=largest)  # type: ignore[arg-type]
    for file in folder.iterdir():
        assert str(Path(__file__).parents[2]).encode() not in file.read_bytes()


@pytest.mark.slow
def test_a_form_that_loses_too_much_is_left_out(
    exporter: None,
    trained: Path,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cage_lightning.commands.export_tests.MOST_IN_FLOAT32", 0.0)
    arguments = (f"checkpoint={trained / RUN}", *DATA, "forms=[onnx_batch1]", "output=export")
    done = command("export", *arguments, check=False, process="forked")
    assert done.returncode == 1
    assert "onnx_batch1 differs from PyTorch by" in done.stderr
    assert "left out of export" in done.stderr
    names = {file.name for file in (tmp_path / "export").iterdir()}
    assert names == {"README.md", "config.json", "model.safetensors"}
    assert json.loads((tmp_path / "export/config.json").read_text())["forms"] == {}
