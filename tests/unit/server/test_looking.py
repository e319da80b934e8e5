"""What the page is told about a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cage_lightning import ExpressionModel
from cage_lightning.errors import DataError
from cage_lightning.faces.detectors import WholePicture
from cage_lightning.faces.face import Face, Faces, Picture
from cage_lightning.labels import AFFECTNET_8
from cage_lightning.server import looking
from cage_lightning.server.looking import Looker


class Fixed:
    """Finds the same faces in every picture."""

    def __init__(self, *boxes: tuple[float, float, float, float]) -> None:
        self.faces: Faces = tuple(Face(box) for box in boxes)

    def detect(self, pictures: Sequence[Picture]) -> list[Faces]:
        return [self.faces] * len(pictures)


@pytest.fixture(scope="module")
def model(trained: Path) -> ExpressionModel:
    run = trained / "runs" / "default" / "demo8-tiny-combined-s0"
    return ExpressionModel.load(run, device="cpu")


@pytest.fixture(scope="module")
def picture(demo_root: Path) -> Path:
    return next((demo_root / "demo_faces" / "tiny" / "val_set" / "images").glob("*.jpg"))


def encoded(picture: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", **options)
    return file.getvalue()


def test_it_says_what_the_model_says(model: ExpressionModel, picture: Path) -> None:
    boxes = [(0.0, 0.0, 32.0, 32.0), (4.0, 2.0, 20.0, 30.0)]
    told = Looker(model, Fixed(*boxes)).look(picture.read_bytes())
    assert (told["width"], told["height"], told["found"]) == (32, 32, 2)
    expected = model.predict([picture] * 2, boxes=boxes)
    assert expected.probability is not None
    assert expected.affect is not None
    for row, face in enumerate(told["faces"]):
        assert face["box"] == boxes[row]
        assert face["track"] is None
        assert face["category"] == expected[row].category
        np.testing.assert_allclose(face["probabilities"], expected.probability[row], atol=1e-6)
        np.testing.assert_allclose(face["affect"], expected.affect[row], atol=1e-6)


def test_it_says_what_the_numbers_are(model: ExpressionModel) -> None:
    assert Looker(model, WholePicture()).about() == {
        "categories": AFFECTNET_8.categories,
        "several": False,
        "dimensions": ("valence", "arousal"),
        "subject": ("face", "faces"),
    }


def test_a_picture_of_a_phone_is_upright(model: ExpressionModel) -> None:
    orientation = Image.Exif()
    orientation[0x0112] = 6  # a quarter of a turn
    told = Looker(model, WholePicture()).look(encoded(Image.new("RGB", (40, 30)), exif=orientation))
    assert (told["width"], told["height"]) == (30, 40)


def test_no_face_and_too_many(model: ExpressionModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "MOST_FACES", 2)
    content = encoded(Image.new("RGB", (40, 30)))
    told = Looker(model, Fixed()).look(content, "film")
    assert (told["found"], told["faces"]) == (0, [])
    told = Looker(model, Fixed(*[(0.0, 0.0, 9.0, 9.0)] * 3)).look(content)
    assert (told["found"], len(told["faces"])) == (3, 2)


def test_the_faces_of_a_stream_are_followed(model: ExpressionModel) -> None:
    left, right = (0.0, 0.0, 10.0, 10.0), (20.0, 0.0, 30.0, 10.0)
    detector = Fixed(left, right)
    looker = Looker(model, detector)
    content = encoded(Image.new("RGB", (40, 30)))

    def tracks(stream: str) -> list[int]:
        return [face["track"] for face in looker.look(content, stream)["faces"]]

    assert tracks("film") == [0, 1]
    detector.faces = Fixed(right, left).faces
    assert tracks("film") == [1, 0]
    assert tracks("another") == [0, 1]
    assert tracks("film") == [1, 0]


def test_streams_are_forgotten(model: ExpressionModel) -> None:
    looker = Looker(model, Fixed((0.0, 0.0, 10.0, 10.0)))
    content = encoded(Image.new("RGB", (40, 30)))
    looker.look(content, "still watched")
    tracker = looker._trackers["still watched"]
    for number in range(40):
        looker.look(content, str(number))
        looker.look(content, "still watched")
    assert set(looker._trackers) == {"still watched", *map(str, range(25, 40))}
    assert looker._trackers["still watched"] is tracker


@pytest.mark.parametrize(
    "content", [b"", b"/etc/passwd", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%!PS-Adobe"]
)
def test_what_is_no_picture(model: ExpressionModel, content: bytes) -> None:
    with pytest.raises(DataError, match="no picture that can be read"):
        Looker(model, WholePicture()).look(content)
