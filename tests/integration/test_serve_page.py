"""The page of `serve` in a real browser."""

from __future__ import annotations

import io
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cage_lightning import ExpressionModel
from cage_lightning.demo.scenes import Scene, draw_scene
from cage_lightning.faces.face import Face, Faces, Picture
from cage_lightning.labels import AFFECTNET_8, EMOTIC, LabelSpace
from cage_lightning.server.http import MEGABYTE, PageServer
from cage_lightning.server.looking import Looker
from tests.chromium import NEEDS_CHROMIUM, PATIENCE_MS, started

pytestmark = NEEDS_CHROMIUM

LIMIT = 20 * MEGABYTE


class Known:
    """Knows the faces of one scene; in any other picture, the whole of it is a face."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        left, top, right, bottom = np.array(scene.boxes, dtype=float).T
        largest_first = np.argsort(-(right - left) * (bottom - top), kind="stable")
        self.boxes = [scene.boxes[n] for n in largest_first]

    def detect(self, pictures: Sequence[Picture]) -> list[Faces]:
        return [self._faces(picture) for picture in pictures]

    def _faces(self, picture: Picture) -> Faces:
        if np.array_equal(picture, self.scene.image):
            return tuple(Face(tuple(map(float, box))) for box in self.boxes)  # type: ignore[arg-type]
        return (Face((0.0, 0.0, float(picture.shape[1]), float(picture.shape[0]))),)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return draw_scene(0)


@pytest.fixture(scope="module")
def model(trained: Path) -> ExpressionModel:
    run = trained / "runs" / "default" / "demo8-tiny-combined-s0"
    return ExpressionModel.load(run, device="cpu")


@pytest.fixture(scope="module")
def server(
    model: ExpressionModel, scene: Scene, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PageServer]:
    """The server in this process; in the end it has left no file behind."""
    looker, folder = Looker(model, Known(scene)), tmp_path_factory.mktemp("temporary")
    with (
        pytest.MonkeyPatch.context() as patch,
        PageServer("127.0.0.1", 0, looker, "a model", LIMIT) as listening,
    ):
        patch.setattr(tempfile, "tempdir", str(folder))
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield listening
        listening.shutdown()
        thread.join()
    assert list(folder.iterdir()) == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    fake = "--use-fake-device-for-media-stream"
    with started(fake, "--use-fake-ui-for-media-stream") as chromium:
        yield chromium


Open = Callable[..., Any]


@pytest.fixture
def opened(browser: Any, server: PageServer) -> Iterator[Open]:
    """Open the page; in the end nothing was complained about, and only the server was asked."""
    messages: list[str] = []
    contexts = []

    def open_page(width: int = 1400, scheme: str = "light") -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("request", lambda asked: messages.append(asked.url))
        page.goto(server.url)
        page.locator("body[data-ready]").wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    own = (server.url, "blob:", "data:")
    expected = ("status of 422",)  # what Chromium says of a picture that is refused
    assert [
        line
        for line in messages
        if not line.startswith(own) and not any(part in line for part in expected)
    ] == []


def png(pixels: Picture) -> dict[str, Any]:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return {"name": "scene.png", "mimeType": "image/png", "buffer": file.getvalue()}


def wait_for(page: Any, text: str) -> None:
    page.locator("#status", has_text=text).wait_for()


def texts(page: Any, selector: str) -> list[str]:
    return [text.strip() for text in page.locator(selector).all_text_contents()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_a_picture(
    opened: Open, model: ExpressionModel, scene: Scene, width: int, scheme: str
) -> None:
    page = opened(width, scheme)
    page.set_input_files("#file", png(scene.image))
    wait_for(page, "5 faces.")
    boxes = Known(scene).boxes
    expected = model.predict([scene.image] * 5, boxes=boxes)
    for n, (row, face) in enumerate(
        zip(page.locator("#faces tbody tr").all(), expected, strict=True), 1
    ):
        assert face.probabilities is not None
        assert face.affect is not None
        number, category, probability, *affect = row.locator("td").all_inner_texts()
        assert (number.strip(), category) == (str(n), face.category)
        assert probability == f"{max(face.probabilities.values()):.0%}".replace("%", " %")
        shown = [float(text.replace("−", "-")) for text in affect]
        np.testing.assert_allclose(shown, list(face.affect.values()), atol=0.0051)
    check_places(page, boxes)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    widths = page.eval_on_selector_all("#probabilities i", "all => all.map((i) => i.style.width)")
    assert sum(float(text.rstrip("%")) for text in widths) == pytest.approx(100, abs=0.1)
    assert sorted(texts(page, "#points text")) == [*"12345"]
    page.get_by_role("button", name="Face 3").click()
    assert page.inner_text("#probabilities h2") == "Probabilities of face 3"
    assert texts(page, "tr.chosen .number") == ["3"]
    assert texts(page, ".point.chosen text") == ["3"]


def check_places(page: Any, boxes: Sequence[Sequence[int]]) -> None:
    """Boxes lie where the faces are, and labels on the picture, each readable on its plate."""
    picture = page.locator("#picture").bounding_box()
    scale = picture["width"] / 1280
    assert picture["height"] == pytest.approx(720 * scale, abs=1)
    for (left, top, right, bottom), drawn in zip(boxes, page.locator(".box").all(), strict=True):
        place = drawn.bounding_box()
        found = [place["x"] - picture["x"], place["y"] - picture["y"]]
        found += [place["width"], place["height"]]
        wanted = np.array([left, top, right - left, bottom - top]) * scale
        np.testing.assert_allclose(found, wanted, atol=1)
    for label in page.locator(".label").all():
        place = label.bounding_box()
        assert place["x"] >= picture["x"] - 1
        assert place["y"] >= picture["y"] - 1
        assert place["x"] + place["width"] <= picture["x"] + picture["width"] + 1
        assert place["height"] > 15


def test_what_is_refused(opened: Open, scene: Scene, tmp_path: Path) -> None:
    page = opened()
    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.truncate(50 * MEGABYTE)
    page.set_input_files("#file", large)
    wait_for(page, "large.png has 50 MB; pictures of up to 20 MB are taken. It was not sent.")
    text = {"name": "<i>notes</i>.txt", "mimeType": "text/plain", "buffer": b"/etc/passwd"}
    page.set_input_files("#file", text)
    wait_for(page, "<i>notes</i>.txt: This is no picture that can be read")
    dropped = page.evaluate_handle(
        "() => { const d = new DataTransfer(); d.setData('text/plain', '/etc/passwd'); return d; }"
    )
    page.dispatch_event("body", "drop", {"dataTransfer": dropped})
    wait_for(page, "That is no file")
    video = {"name": "film.mp4", "mimeType": "video/mp4", "buffer": b"no film"}
    page.set_input_files("#file", video)
    wait_for(page, "film.mp4: this browser cannot play it")
    assert not page.locator("#stage").is_visible()
    assert not page.locator("#results").is_visible()
    assert page.locator("input:not([type=file]), textarea").count() == 0
    page.set_input_files("#file", png(scene.image))
    wait_for(page, "5 faces.")


def test_a_small_picture_is_enlarged(opened: Open) -> None:
    page = opened()
    page.set_input_files("#file", png(np.full((64, 48, 3), 90, np.uint8)))
    wait_for(page, "One face.")
    place = page.locator("#picture").bounding_box()
    assert (place["width"], place["height"]) == (240, 320)


def test_the_webcam(opened: Open) -> None:
    page = opened()
    page.get_by_role("button", name="Use the webcam").click()
    wait_for(page, "One face.")
    # A point of the trail for each frame that was looked at.
    page.locator("#trails path[d*='L']").wait_for(state="attached")
    assert texts(page, "#points text") == ["1"]
    page.get_by_role("button", name="Stop and clear").click()
    assert not page.locator("#stage").is_visible()
    assert page.evaluate("document.querySelector('video').srcObject") is None
    assert page.locator("#trails path").count() == 0


RECORD = """async () => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 64;
    const pen = canvas.getContext("2d");
    const recorder = new MediaRecorder(canvas.captureStream(), { mimeType: "video/webm" });
    const parts = [];
    recorder.ondataavailable = (event) => parts.push(event.data);
    const ended = new Promise((resolve) => (recorder.onstop = resolve));
    recorder.start();
    for (let n = 0; n < 20; n += 1) {
        pen.fillStyle = n % 2 ? "white" : "black";
        pen.fillRect(0, 0, 64, 64);
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
    recorder.stop();
    await ended;
    const dropped = new DataTransfer();
    dropped.items.add(new File(parts, "film.webm", { type: "video/webm" }));
    return dropped;
}"""


def test_a_video_that_is_dropped(opened: Open) -> None:
    page = opened()
    dropped = page.evaluate_handle(RECORD)
    page.dispatch_event("body", "drop", {"dataTransfer": dropped})
    wait_for(page, "One face.")
    page.locator("#trails path[d*='L']").wait_for(state="attached")
    assert page.locator("#video").is_visible()


class Told:
    """What a model of another kind says: two faces, side by side."""

    def __init__(self, space: LabelSpace, categories: bool, affect: bool) -> None:
        self.space, self.categories, self.affect = space, categories, affect

    def about(self) -> dict[str, Any]:
        return {
            "categories": self.space.categories if self.categories else (),
            "several": self.space.multi_label,
            "dimensions": self.space.dimensions if self.affect else (),
            "subject": ("person", "persons") if self.space.multi_label else ("face", "faces"),
        }

    def look(self, content: bytes, stream: str | None = None) -> dict[str, Any]:
        names = self.space.categories
        one: dict[str, Any] = {"track": None, "category": None, "probabilities": None}
        one["affect"] = [-0.5, 1.5, 0.25][: len(self.space.dimensions)] if self.affect else None
        if self.categories:
            one["category"] = [*names[:2]] if self.space.multi_label else names[0]
            one["probabilities"] = [0.75, *[0.25] * (len(names) - 1)]
        faces = [one | {"box": [x, 0, x + 300, 300]} for x in (0, 300)]
        return {"width": 600, "height": 300, "found": 70, "faces": faces}


@pytest.mark.parametrize(
    ("told", "headings", "row", "label"),
    [
        (
            Told(EMOTIC, True, True),
            ["Person", "Category", "Valence", "Arousal", "Dominance"],
            ["1", "Affection, Anger", "−0.50", "+1.50", "+0.25"],
            "1 Affection +1",
        ),
        (
            Told(AFFECTNET_8, False, True),
            ["Face", "Valence", "Arousal"],
            ["1", "−0.50", "+1.50"],
            "1 −0.50 / +1.50",
        ),
        (
            Told(AFFECTNET_8, True, False),
            ["Face", "Category", "Probability"],
            ["1", "Neutral", "75 %"],
            "1 Neutral 75 %",
        ),
    ],
    ids=["emotic", "affect", "categories"],
)
@pytest.mark.parametrize("width", [400, 1400])
def test_models_of_other_kinds(
    browser: Any, told: Told, headings: list[str], row: list[str], label: str, width: int
) -> None:
    with PageServer("127.0.0.1", 0, told, "other", LIMIT) as listening:  # type: ignore[arg-type]
        threading.Thread(target=listening.serve_forever).start()
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(listening.url)
        page.locator("body[data-ready]").wait_for()
        page.set_input_files("#file", png(np.zeros((300, 600, 3), np.uint8)))
        subjects = told.about()["subject"][1]
        wait_for(page, f"70 {subjects}; shown are the largest 2.")
        assert page.inner_text("#faces caption").startswith(f"The {subjects}, the largest first")
        assert texts(page, "#faces th") == headings
        assert texts(page, "#faces tbody tr:first-child td") == row
        assert " ".join(page.locator(".label").first.inner_text().split()) == label
        bars = page.locator("#probabilities li")
        assert bars.count() == (len(told.space.categories) if told.categories else 0)
        assert page.locator("#probabilities").is_visible() == told.categories
        assert page.locator("#circumplex").is_visible() == told.affect
        # Affect outside of its range lies at the edge of the drawing.
        for point in page.locator(".point").all():
            place = point.bounding_box()
            around = page.locator("#circumplex svg").bounding_box()
            assert around["y"] <= place["y"]
            assert place["y"] + place["height"] <= around["y"] + around["height"] / 4
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert errors == []
        page.close()
        listening.shutdown()


def test_without_scripts_it_says_so(browser: Any, server: PageServer) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(server.url)
    assert "needs JavaScript" in page.inner_text("noscript")
    context.close()
