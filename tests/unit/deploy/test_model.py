"""`ExpressionModel`: the same numbers as `evaluate`, from every kind of picture."""

from __future__ import annotations

import random
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cage_lightning import ExpressionModel, read_predictions
from cage_lightning.deploy.calibration import Calibration, fit
from cage_lightning.deploy.checkpoints import describe
from cage_lightning.deploy.float32 import FLOAT32_CONVOLUTIONS
from cage_lightning.deploy.folder import CONFIG, WEIGHTS, read_export
from cage_lightning.deploy.loading import Loaded, load
from cage_lightning.deploy.networks import Networks, combine
from cage_lightning.deploy.writing import write_config, write_weights
from cage_lightning.errors import CheckpointError, ConfigError, DataError
from cage_lightning.labels import AFFECTNET_8, EMOTIC, OutputLayout
from cage_lightning.models import read_state_dict
from tests.bit_flips import reads_of_flipped

NAME = "demo8-tiny-combined-s0"


@pytest.fixture(scope="module")
def run(trained: Path) -> Path:
    return trained / "runs" / "default" / NAME


@pytest.fixture(scope="module")
def model(run: Path) -> ExpressionModel:
    return ExpressionModel.load(run, device="cpu")


@pytest.fixture(scope="module")
def faces(demo_root: Path) -> list[Path]:
    """The pictures of the test split, in the order of the predictions."""
    return sorted((demo_root / "demo_faces" / "tiny" / "val_set" / "images").glob("*.jpg"))


@pytest.fixture(scope="module")
def export(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "export"
    folder.mkdir()
    write(folder, load(run))
    return folder


def write(folder: Path, loaded: Loaded) -> None:
    write_weights(folder, loaded)
    write_config(folder, loaded, forms={}, scores={"test/accuracy": 0.5}, made_by={})


def test_the_numbers_are_those_of_the_evaluation(
    run: Path, model: ExpressionModel, faces: list[Path]
) -> None:
    written = read_predictions(run / "predictions.parquet")
    by_name = {Path(name).stem: row for row, name in enumerate(written.id)}
    rows = [by_name[face.stem] for face in faces]
    assert len(rows) == len(written)
    found = model.predict(faces, batch_size=7)
    assert written.probability is not None
    assert written.affect_pred is not None
    assert found.probability is not None
    assert found.affect is not None
    np.testing.assert_allclose(found.probability, written.probability[rows], atol=1e-6)
    np.testing.assert_allclose(found.affect, written.affect_pred[rows], atol=1e-6)
    assert written.category_pred is not None
    names = [AFFECTNET_8.categories[k] for k in written.category_pred[rows]]
    assert [face.category for face in found] == names


def test_every_kind_of_picture_is_the_same_picture(
    model: ExpressionModel, faces: list[Path]
) -> None:
    with Image.open(faces[0]) as opened:
        picture = opened.convert("RGB")
    array = np.asarray(picture)
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
    kinds: list[Any] = [faces[0], str(faces[0]), picture, array, tensor, array[None], tensor[None]]
    expected = model.predict(faces[0]).columns()
    for kind in [*kinds, iter([faces[0]])]:
        assert model.predict(kind).columns() == expected
    together = model.predict(kinds)
    assert len(together) == len(kinds)
    assert together.to_arrow().num_rows == len(kinds)
    assert together[1:3].columns() == {k: v[1:3] for k, v in together.columns().items()}
    grey = model.predict([array[..., 0], np.repeat(array[..., :1], 3, axis=2)])
    np.testing.assert_allclose(grey.affect[0], grey.affect[1], atol=1e-6)  # type: ignore[index]
    assert len(model.predict([])) == 0


def test_a_box_is_cropped_with_the_margin_of_the_training(model: ExpressionModel) -> None:
    picture = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (80, 100, 3), dtype=np.uint8)
    )
    found = model.predict(picture, boxes=[(10, 20, 50, 60)])
    assert found.columns() == model.predict(picture.crop((10, 20, 50, 60))).columns()


def test_an_orientation_of_a_file_is_applied(model: ExpressionModel, tmp_path: Path) -> None:
    picture = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    )
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    picture.save(tmp_path / "turned.png", exif=exif)
    upright = picture.transpose(Image.Transpose.ROTATE_270)
    assert model.predict(tmp_path / "turned.png").columns() == model.predict(upright).columns()


def test_several_threads_get_what_one_gets(model: ExpressionModel, faces: list[Path]) -> None:
    alone = [model.predict(face).columns() for face in faces[:8]]
    with ThreadPoolExecutor(4) as pool:
        assert [e.columns() for e in pool.map(model.predict, faces[:8])] == alone


@pytest.mark.parametrize(
    ("images", "error", "words"),
    [
        (3, ConfigError, "a int is no picture"),
        (np.zeros((4, 4, 3)), DataError, "a picture is uint8"),
        (torch.zeros(5, 4, 4, dtype=torch.uint8), DataError, "a picture is uint8"),
        ("missing.jpg", DataError, r"Cannot decode the picture missing.jpg"),
    ],
)
def test_what_is_no_picture_is_refused(
    model: ExpressionModel, images: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        model.predict(images)


def test_boxes_that_do_not_fit_are_refused(model: ExpressionModel) -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(ConfigError, match="2 boxes for 1 pictures"):
        model.predict(picture, boxes=[None, None])
    with pytest.raises(DataError, match="lies outside"):
        model.predict(picture, boxes=[(20, 20, 30, 30)])
    with pytest.raises(DataError, match=r"uint8 \[B, 3, 64, 64\]"):
        model.predict_crops(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))
    with pytest.raises(ConfigError, match="device=abacus"):
        ExpressionModel(model.description, Networks([], model.description.layout), "abacus")


def test_an_export_predicts_the_same(
    model: ExpressionModel, export: Path, faces: list[Path]
) -> None:
    again = ExpressionModel.load(export, device="cpu")
    assert again.description == model.description
    assert again.predict(faces[:9]).columns() == model.predict(faces[:9]).columns()


def test_an_ensemble_averages_probabilities_and_affect(
    model: ExpressionModel, export: Path, faces: list[Path], tmp_path: Path
) -> None:
    single = load(export)
    other = load(export)
    with torch.no_grad():
        for parameter in other.predictor.parameters():
            parameter.mul_(0.9)
    write(tmp_path, other)
    alone = [
        ExpressionModel.load(place, device="cpu").predict(faces[:5]) for place in (export, tmp_path)
    ]
    both = ExpressionModel.load([export, tmp_path], device="cpu")
    found = both.predict(faces[:5])
    for name in ("probability", "affect"):
        each = np.stack([getattr(one, name) for one in alone])
        np.testing.assert_allclose(getattr(found, name), each.mean(0), atol=1e-6)
        np.testing.assert_allclose(getattr(found, f"{name}_spread"), each.std(0, ddof=1), atol=1e-6)
    folder = tmp_path / "both"
    folder.mkdir()
    write(folder, load([export, tmp_path]))
    again = ExpressionModel.load(folder, device="cpu").predict(faces[:5])
    assert again.columns() == found.columns()
    assert single.description == model.description


@pytest.mark.parametrize("space", [AFFECTNET_8, EMOTIC])
def test_the_outputs_of_an_ensemble_mean_the_average(space: Any) -> None:
    layout = OutputLayout(space, categories=True, affect=True)
    outputs = torch.randn(3, 4, layout.width, generator=torch.manual_seed(0)) * 3
    each, mean = (layout.read(x).logits for x in (outputs.flatten(0, 1), combine(outputs, layout)))
    assert each is not None
    assert mean is not None
    activate = torch.sigmoid if space.multi_label else lambda x: x.softmax(-1)
    expected = activate(each).reshape(3, 4, -1).mean(0)
    torch.testing.assert_close(activate(mean), expected)


@pytest.mark.parametrize("space", [AFFECTNET_8, EMOTIC])
def test_a_calibration_undoes_what_distorted_the_outputs(space: Any) -> None:
    rng = np.random.default_rng(0)
    layout = OutputLayout(space, categories=True, affect=True)
    k, d, n = layout.logits, len(space.dimensions), 20_000
    logits, affect = rng.normal(size=(n, k)) * 2, rng.uniform(-1, 1, (n, d))
    chances = 1 / (1 + np.exp(-logits))
    category = (
        (rng.uniform(size=(n, k)) < chances).astype(np.float32)
        if space.multi_label
        else (logits + rng.gumbel(size=(n, k))).argmax(1)
    )
    outputs = np.concatenate([logits * 2.5, (affect - 0.1) / 0.8], axis=1)[None]
    found = fit(layout, outputs, category, affect)
    assert found.temperature == pytest.approx(2.5, rel=0.03)
    assert found.scale == pytest.approx([0.8] * d)
    assert found.shift == pytest.approx([0.1] * d)
    calibrated = Networks([torch.nn.Identity()], layout, found)(torch.from_numpy(outputs[0]))
    corrected = layout.read(calibrated).affect
    assert corrected is not None
    np.testing.assert_allclose(corrected.numpy(), affect, atol=1e-6)


def test_a_calibration_is_stored(export: Path, tmp_path: Path, faces: list[Path]) -> None:
    from dataclasses import replace

    loaded = load(export)
    calibration = Calibration(2.0, (0.5, 1.0), (0.0, 0.25))
    write(
        tmp_path, replace(loaded, description=replace(loaded.description, calibration=calibration))
    )
    before = ExpressionModel.load(export, device="cpu").predict(faces[:4])
    after = ExpressionModel.load(tmp_path, device="cpu").predict(faces[:4])
    assert before.affect is not None
    assert after.affect is not None
    np.testing.assert_allclose(after.affect, before.affect * [0.5, 1] + [0, 0.25], atol=1e-6)
    assert after[0].category == before[0].category


# --- what is refused -----------------------------------------------------------------------------


def tampered(export: Path, tmp_path: Path, change: Any) -> Path:
    import json

    folder = tmp_path / "copy"
    shutil.copytree(export, folder)
    content = json.loads((folder / "config.json").read_text())
    del content["checksum"]  # whoever changes it on purpose can compute that, too
    change(content)
    (folder / "config.json").write_text(json.dumps(content))
    return folder


def test_a_changed_file_is_refused(export: Path, tmp_path: Path) -> None:
    folder = tampered(export, tmp_path, lambda content: None)
    weights = folder / "model.safetensors"
    flipped = bytearray(weights.read_bytes())
    flipped[-5] ^= 1
    weights.write_bytes(flipped)
    with pytest.raises(CheckpointError, match="is not the file that was exported"):
        load(folder)
    weights.unlink()
    with pytest.raises(CheckpointError, match="is missing"):
        load(folder)


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_a_flipped_bit_of_an_export_is_noticed(export: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(export, folder)
    sound, whole = (folder / name).read_bytes(), read_export(folder)
    refused = []
    for bit in random.Random(0).sample(range(8 * len(sound)), 100):
        content = bytearray(sound)
        content[bit // 8] ^= 1 << bit % 8
        (folder / name).write_bytes(content)
        try:
            load(folder)
        except CheckpointError as error:
            refused.append(str(error))
        else:
            assert (name, read_export(folder)) == (CONFIG, whole)
    assert len(refused) > 80
    named = re.compile(rf".*/copy/{re.escape(name)} is not .*")
    assert all(map(named.fullmatch, refused)), refused


def test_an_export_of_an_earlier_version_has_no_checksum(export: Path, tmp_path: Path) -> None:
    assert load(tampered(export, tmp_path, lambda content: None)).description


def test_a_flipped_bit_of_a_checkpoint_is_noticed(run: Path, tmp_path: Path) -> None:
    def read(file: Path) -> object:
        weights = {name: tensor.tolist() for name, tensor in read_state_dict(file).items()}
        return weights, describe(file).description

    file = tmp_path / "best.ckpt"
    shutil.copy(run / "checkpoints" / "best.ckpt", file)
    outcomes = reads_of_flipped(file, 100, read)
    assert outcomes.count("refused") > 80, outcomes
    assert set(outcomes) <= {"same", "refused"}, outcomes


CHANGES: dict[str, tuple[Any, str]] = {
    "another format": (lambda c: c.update(format="x"), "does not say format"),
    "a later version": (lambda c: c.update(format_version=2), "format version 2"),
    "one more key": (lambda c: c.update(_target_="os.system"), "does not consist of"),
    "a callable": (
        lambda c: c["description"]["backbone"].update(_target_="os.system"),
        "backbone does not consist of",
    ),
    "a path for a name": (
        lambda c: c["description"]["backbone"].update(name="../../hub:evil/repo"),
        "not the name of a network",
    ),
    "an unknown network": (
        lambda c: c["description"]["backbone"].update(name="nonsense"),
        "there is no network 'nonsense'",
    ),
    "a huge picture": (
        lambda c: c["description"]["preprocessing"].update(image_size=10**9),
        "image_size is 1000000000",
    ),
    "no deviation": (
        lambda c: c["description"]["preprocessing"].update(std=[0, 1, 1]),
        "std is",
    ),
    "a file elsewhere": (
        lambda c: c["files"].update({"../model.safetensors": "0" * 64}),
        "files does not give",
    ),
    "many members": (lambda c: c.update(members=10**6), "members is"),
    "other outputs": (
        lambda c: c["description"]["outputs"].update(affect=False),
        "holds another head",
    ),
    "another calibration": (
        lambda c: c["description"].update(calibration={"temperature": 0.0}),
        "calibration does not consist of",
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_description_that_no_export_has_is_refused(
    case: str, export: Path, tmp_path: Path
) -> None:
    change, words = CHANGES[case]
    with pytest.raises(CheckpointError, match=words):
        load(tampered(export, tmp_path, change))


def test_models_that_differ_are_not_averaged(export: Path, tmp_path: Path) -> None:
    def larger(content: Any) -> None:
        content["description"]["preprocessing"]["image_size"] = 32

    with pytest.raises(CheckpointError, match="their preprocessing differs"):
        load([export, tampered(export, tmp_path, larger)])
    with pytest.raises(CheckpointError, match="empty list"):
        load([])


class Watching(Networks):
    """Says in what a GPU would compute convolutions while it predicts."""

    def each(self, images: torch.Tensor) -> torch.Tensor:
        seen.append(torch.backends.cudnn.conv.fp32_precision)  # type: ignore[attr-defined]
        return super().each(images)


seen: list[str] = []


def test_convolutions_on_a_gpu_are_in_float32(run: Path, faces: list[Path]) -> None:
    description, predictor = (loaded := load(run)).description, loaded.predictor
    assert isinstance(predictor, Networks)
    model = ExpressionModel(description, Watching([*predictor.members], predictor.layout), "cpu")
    before = torch.backends.cudnn.conv.fp32_precision  # type: ignore[attr-defined]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(model.predict, faces[:8]))
    assert seen == ["ieee"] * 8
    assert torch.backends.cudnn.conv.fp32_precision == before  # type: ignore[attr-defined]
    with pytest.raises(DataError), FLOAT32_CONVOLUTIONS:
        raise DataError
    assert torch.backends.cudnn.conv.fp32_precision == before  # type: ignore[attr-defined]
