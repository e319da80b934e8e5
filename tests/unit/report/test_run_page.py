"""The page of an experiment as a document; tests/integration/test_page.py opens it in a browser."""

from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from cage_lightning.errors import DataError
from cage_lightning.report.page import _with_progress, page
from cage_lightning.report.page.curves import learning_curves, read_curves
from cage_lightning.report.page.line_chart import line_chart
from cage_lightning.report.page.parallel import parallel_coordinates
from cage_lightning.report.page.pictures import embed
from cage_lightning.report.page.searching import search_history
from cage_lightning.report.paper_tables import PAPER_TABLES, TABLES
from cage_lightning.report.run_tables import fill
from cage_lightning.report.runs import Run, read_runs, read_unfinished
from cage_lightning.report.searches import read_searches
from tests.fabricated_runs import write_log, write_run
from tests.present import present

MODEL = ("data=affectnet8", "model=maxvit", "loss=combined")
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert(1)</script>"


def rendered(root: Path, photographs: bool = False) -> str:
    runs = read_runs(root, {})
    return page(
        fill(PAPER_TABLES["table6"], runs),
        runs,
        read_unfinished(root, {}),
        read_searches(root, {}),
        photographs,
    )


class Document(HTMLParser):
    """The tags of a page with their attributes, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_everything_is_inside_and_the_same_every_time(tmp_path: Path) -> None:
    drawing = np.zeros((60, 300, 3), np.uint8)
    (tmp_path / "figures").mkdir()
    Image.fromarray(drawing).save(tmp_path / "figures/figure9.png")
    for seed in (0, 1):
        write_run(tmp_path / "runs", *MODEL, f"seed={seed}", figures=tmp_path / "figures")
    html = rendered(tmp_path / "runs")
    assert html == rendered(tmp_path / "runs")
    document = Document(html)
    assert len(document.all("details")) == 2
    overview, images = document.all("img")[:3], document.all("img")[3:]
    assert [
        f"Forest plot of {score} " in str(image["alt"])
        for image, score in zip(overview, ("F1", "RMSE", "CCC"), strict=True)
    ] == [True] * 3
    assert len(images) == 2 * (3 + 1)  # curves; the figure there is
    kinds = [(image["src"] or "").partition(";")[0] for image in images]
    assert kinds == 2 * (3 * ["data:image/svg+xml"] + ["data:image/webp"])
    assert all(image["alt"] for image in document.all("img"))
    assert not document.all("link")
    assert all("src" not in script for script in document.all("script"))
    assert not re.search(r"(src|href|url)\W{1,3}(https?:)?//", html)
    for shown in ("paper 0.6592", "Made-up accelerator", "0123456+", "1:23:27", "versions.torch"):
        assert shown in document.text
    assert "not finished" not in document.text


@pytest.mark.parametrize("data", ["affectnet8", "demo8"])
def test_photographs_are_shown_only_where_they_are_asked_for(tmp_path: Path, data: str) -> None:
    (tmp_path / "figures").mkdir()
    Image.new("RGB", (300, 200)).save(tmp_path / "figures/worst_samples.png")
    write_run(tmp_path / "runs", f"data={data}", *MODEL[1:], figures=tmp_path / "figures")
    for photographs in (False, True):
        document = Document(rendered(tmp_path / "runs", photographs))
        sheets = [image for image in document.all("img") if "largest errors" in str(image["alt"])]
        shown = photographs or data == "demo8"
        assert len(sheets) == shown
        assert ("pictures=true shows them: mind the licence" in document.text) != shown


def test_text_from_the_runs_stays_text(tmp_path: Path) -> None:
    write_run(tmp_path, *MODEL, "tag='<script>'")
    write_run(tmp_path, *MODEL, "tag=failed", finished=False, log=f"{HOSTILE}\n\N{ESCAPE}[31mend")
    html = rendered(tmp_path)
    document = Document(html)
    assert len(document.all("script")) == 2  # the data and page.js
    assert HOSTILE in document.text
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html)
    assert {
        "affectnet8-maxvit-combined-s0-<script>",
        "affectnet8-maxvit-combined-s0-failed",
    } == set(json.loads(data))


def test_unfinished_runs_are_listed_with_the_end_of_their_logs(tmp_path: Path) -> None:
    finished = write_run(tmp_path, *MODEL)
    lines = "".join(f"line {i}\n" for i in range(1000))
    failed = write_run(tmp_path, *MODEL, "seed=1", finished=False, log=lines + "RuntimeError: x")
    # A logger's own config is no run.
    (finished / "wandb/run/files").mkdir(parents=True)
    (finished / "wandb/run/files/config.yaml").write_text("{}")
    (run,) = read_unfinished(tmp_path, {})
    assert run.folder == failed
    assert run.log.splitlines() == [*(f"line {i}" for i in range(981, 1000)), "RuntimeError: x"]
    document = Document(rendered(tmp_path))
    assert "1 finished run, 1 not finished" in document.text
    assert "RuntimeError: x" in document.text
    (failed / "train.log").unlink()
    assert "train.log is empty or missing" in Document(rendered(tmp_path)).text


def test_of_many_runs_the_first_seed_of_each_row_shows_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cage_lightning.report.page._WITH_FIGURES", 3)
    (tmp_path / "figures").mkdir()
    Image.new("RGB", (300, 200)).save(tmp_path / "figures/figure10.png")
    for seed in (3, 12):
        for loss in ("va", "combined"):
            own = (*MODEL[:2], f"loss={loss}", f"seed={seed}")
            write_run(tmp_path / "runs", *own, figures=tmp_path / "figures")
    document = Document(rendered(tmp_path / "runs"))
    shown = [i["alt"] for i in document.all("img") if "Figure 10" in (i["alt"] or "")]
    assert [alt.rpartition(" ")[2] for alt in shown if alt] == [
        "affectnet8-maxvit-combined-s3",
        "affectnet8-maxvit-va-s3",
    ]
    assert "There are many runs" in document.text


def test_a_run_that_was_evaluated_elsewhere_has_figure_11(tmp_path: Path) -> None:
    run = write_run(tmp_path, *MODEL)
    assert "Figure 11" not in rendered(tmp_path)
    (run / "evaluations/other").mkdir(parents=True)
    for name in ("metrics.json", "predictions.parquet"):
        (run / "evaluations/other" / name).write_bytes((run / name).read_bytes())
    assert "Figure 11" in rendered(tmp_path)


def test_a_run_taken_up_again_has_one_curve(tmp_path: Path) -> None:
    # The run logged up to step 399 and resumed from 300; the tenth start is later than the second.
    write_log(tmp_path, 2, range(49, 400, 50))
    write_log(tmp_path, 10, range(349, 600, 50))
    once = tmp_path / "once"
    write_log(once, 0, range(49, 600, 50))
    assert read_curves(tmp_path) == read_curves(once)
    # A run that starts anew from the beginning leaves nothing of the earlier curves.
    write_log(tmp_path, 11, range(20, 60, 20))
    assert list(read_curves(tmp_path)["train/loss"]) == [20, 40]
    # This start was killed in the middle of a row.
    file = tmp_path / "csv/version_11/metrics.csv"
    file.write_text(file.read_text() + "0,6")
    assert list(read_curves(tmp_path)["train/loss"]) == [20, 40]
    file.write_text("epoch,step,train/loss\n0,1,x\n")
    with pytest.raises(DataError, match=r"version_11.*'x'"):
        read_curves(tmp_path)
    assert read_curves(tmp_path / "nothing") == {}


def numbers_drawn(chart: str) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the first line ``[N]``, read off the labels of the axes."""
    svg = ElementTree.fromstring(chart)
    points = re.findall(r"[ML](\S+?) ([^ML]+)", next(svg.iter(f"{SVG}path")).attrib["d"])
    drawn = np.array(points, np.float64)
    read = []
    for name, pixels, shift in (("x", drawn[:, 0], 0), ("y", drawn[:, 1], 4)):
        labels = [text for text in svg.iter(f"{SVG}text") if text.get("class") == name]
        at = [float(text.attrib[name]) - shift for text in labels]
        texts = [present(text.text) for text in labels]
        values = [float(text.replace(",", "").replace("\N{MINUS SIGN}", "-")) for text in texts]
        slope, offset = np.polyfit(at, values, 1)
        read.append(slope * pixels + offset)
    return read[0], read[1]


def test_a_long_curve_is_drawn_as_means() -> None:
    values = np.random.default_rng(0).normal(size=10_000)
    (chart,) = learning_curves({"train/loss": dict(enumerate(values.tolist()))}).values()
    steps, means = numbers_drawn(chart)
    np.testing.assert_allclose(means, values.reshape(200, 50).mean(axis=1), atol=0.01)
    np.testing.assert_allclose(steps[:2], [24.5, 74.5], atol=5)
    assert "optimisation step" in chart
    assert "train/loss" in chart


def test_names_stay_text_and_what_is_not_finite_is_a_gap() -> None:
    nan, huge = float("nan"), 1.7e308
    lines = {
        HOSTILE: ([0, 1, 2, 3, 4], [1, 2, nan, 3, 4]),
        "\"&'": ([0, 1, 2], [-huge, huge, -np.inf]),
    }
    svg = ElementTree.fromstring(line_chart(lines, HOSTILE))
    assert {element.tag.removeprefix(SVG) for element in svg} == {
        *("circle", "line", "path", "rect", "text")
    }
    legend = [text.text for text in svg.iter(f"{SVG}text") if text.get("class") == "legend"]
    assert legend == list(lines)
    first, second = (path.attrib["d"] for path in svg.iter(f"{SVG}path"))
    assert re.sub(r"[^ML]", "", first) == "MLML"
    assert second == ""
    for constant in ([5.0], [nan], [0.0, 0.0]):
        chart = line_chart({"constant": (range(len(constant)), constant)}, "step")
        assert "nan" not in chart


@pytest.mark.parametrize("photographs", [False, True])
@pytest.mark.parametrize("budget", [80_000, 20_000])
def test_pictures_keep_to_their_budget(tmp_path: Path, budget: int, photographs: bool) -> None:
    file = tmp_path / "noise.png"
    noise = np.random.default_rng(0).integers(0, 256, (400, 800, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file)
    shown = embed("noise", file, budget, photographs)
    assert budget / 3 < len(shown.source) <= budget
    kind, _, content = shown.source.partition(",")
    assert kind == "data:image/webp;base64"
    assert Image.open(io.BytesIO(base64.b64decode(content))).size == shown.size
    assert shown.size[0] == pytest.approx(2 * shown.size[1], abs=1)
    file.write_text("no picture")
    with pytest.raises(DataError, match=r"noise\.png is no picture in PNG"):
        embed("noise", file, budget, photographs)


def test_colours_and_lines_survive(tmp_path: Path) -> None:
    drawing = np.full((200, 400, 3), 255, np.uint8)
    drawing[50:150, 100:102] = (0, 114, 178)
    drawing[90:92] = (213, 94, 0)
    Image.fromarray(drawing).save(tmp_path / "drawing.png")
    content = embed("drawing", tmp_path / "drawing.png").source.partition(",")[2]
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB"))
    assert np.abs(shown.astype(int) - drawing).max() <= 8


def test_a_long_page_tells_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    runs = [Run(Path(f"{n}"), {}, {}) for n in range(25)]
    assert list(_with_progress(runs)) == runs
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"drawing the page: {n} of 25 runs" for n in (0, 10, 20)]
    assert list(_with_progress(runs[:10])) == runs[:10]
    assert capsys.readouterr().err == ""


SEARCH = """trial,state,best,objective.monitor,model.depth,run
0,finished,,0.51234567,3,runs/a
1,failed,,,5,
2,finished,best,0.4,0.00012345678,runs/<script>alert(1)</script>
3,running,,,8,
"""


def write_search(root: Path, text: str) -> Path:
    file = root / "default/.search/lr.csv"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return file


def test_settings_have_few_digits(tmp_path: Path) -> None:
    for rate in ("0.0004333280300555292", "3.0345776686562106e-05"):
        write_run(tmp_path, *MODEL, f"optimizer.lr={rate}", f"tag=lr{rate}")
    runs = read_runs(tmp_path, {})
    text = " ".join(Document(page(fill(TABLES["runs"], runs), runs, [])).text.split())
    assert "combined 0.0004333 model 1" in text
    assert "combined 3.035e-05 model 1" in text


def test_a_search_is_shown(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", *MODEL)
    write_search(tmp_path / "runs", SEARCH)
    html = rendered(tmp_path / "runs")
    text = " ".join(Document(html).text.split())
    assert "default/lr 4 trials: 2 finished, 1 failed, 1 running" in text
    assert "trial state best monitor model.depth run" in text
    assert "0 finished 0.5123 3 runs/a 1 failed 5 2 finished best 0.4 0.0001235 runs/" in text
    assert HOSTILE not in html
    assert "Value of every trial: default/lr" in html


ABOUT = '{"model.depth": {"scale": "log", "importance": 0.75}, "x": {"scale": "linear"}}'


def test_a_search_that_prunes_is_shown(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", *MODEL)
    rows = ["0,finished,best,1.5,3,4,b,runs/0", "1,pruned,,2.5,1,16,<i>,runs/1", "2,failed,,,,2,b,"]
    header = "trial,state,best,objective.monitor,validations,model.depth,x,run"
    file = write_search(tmp_path / "runs", "\n".join([header, *rows]))
    file.with_suffix(".settings.json").write_text(ABOUT)
    (search,) = read_searches(tmp_path / "runs", {})
    assert (search.settings, search.pruned) == (["model.depth", "x"], [False, True, False])
    text = " ".join(Document(rendered(tmp_path / "runs")).text.split())
    assert "default/lr 3 trials: 1 finished, 1 pruned, 1 failed" in text
    assert text.count("those pruned beyond the finished ones lie at the edge") == 2
    assert "best monitor validations model.depth x run 0 finished best 1.5 3 4 b runs/0" in text
    assert "setting importance model.depth 0.75" in text

    course = ElementTree.fromstring(search_history(search))
    assert "pruned, best until then" in [element.text for element in course.iter(f"{SVG}text")]
    assert [path.get("d", "").count("M") for path in course.iter(f"{SVG}path")] == [1, 1]
    assert len([*course.iter(f"{SVG}circle")]) == 3

    document, _ = parallel_coordinates(search)
    chart = ElementTree.fromstring(document)
    lines = [element.get("points", "").split() for element in chart.iter(f"{SVG}polyline")]
    heights = [[float(point.partition(",")[2]) for point in line] for line in lines]
    # The pruned trial below the best one; 4 to 16 by their logarithms, then the names, the values.
    assert heights == [[56.0, 221.0, 56.0], [276.0, 111.0, 276.0]]
    ticks = [element.text for element in chart.iter(f"{SVG}text") if element.get("class") == "tick"]
    assert ticks == ["4", "8", "16", "<i>", "b", "1.5", "2", "2.5"]


def test_what_is_pruned_far_beyond_does_not_press_the_others_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [(0, "finished", "1"), (1, "finished", "3"), (2, "pruned", "99"), (3, "pruned", "2.5")]
    table = [f"{n},{state},,{value},{value},runs/{n}" for n, state, value in rows]
    write_search(tmp_path, "\n".join(["trial,state,best,objective.monitor,lr,run", *table]))
    (search,) = read_searches(tmp_path, {})
    chart = ElementTree.fromstring(parallel_coordinates(search)[0])
    lines = [element.get("points", "").split() for element in chart.iter(f"{SVG}polyline")]
    ends = [float(line[-1].partition(",")[2]) for line in lines]
    assert ends == [56.0, 111.0, 276.0, 56.0]  # the pruned ones first
    texts = [element.text for element in chart.iter(f"{SVG}text")]
    assert texts[-3:] == ["1", "2", "3"]
    monkeypatch.setattr(
        "cage_lightning.report.page.searching.line_chart", lambda lines, *_, **__: lines
    )
    lines_: Any = search_history(search)
    assert lines_["pruned, best until then"] == ([2, 3], [4, 2.5])


def test_parallel_axes_have_few_digits(tmp_path: Path) -> None:
    rows = [f"{n},finished,,{value},{value},runs/{n}" for n, value in enumerate((0.1 / 3, -2e-9))]
    write_search(tmp_path, "\n".join(["trial,state,best,objective.monitor,lr,run", *rows]))
    (search,) = read_searches(tmp_path, {})
    document, (width, height) = parallel_coordinates(search)
    chart = ElementTree.fromstring(document)
    texts = [element.text for element in chart.iter(f"{SVG}text")]
    assert texts.count("0.0333") == texts.count("\N{MINUS SIGN}2e\N{MINUS SIGN}09") == 2
    assert all(0 <= float(e.get("x", "")) <= width - 40 for e in chart.iter(f"{SVG}text"))
    assert all(0 <= float(e.get("y", "")) <= height for e in chart.iter(f"{SVG}text"))


@pytest.mark.parametrize(
    "about",
    [
        *("", "[]", "[" * 100_000, '{"model.depth": {}}', '{"model.depth": 3}'),
        ABOUT.replace("0.75", "NaN"),
        ABOUT.replace("0.75", '"<"'),
    ],
)
def test_what_says_nothing_of_the_settings_is_named(tmp_path: Path, about: str) -> None:
    table = write_search(tmp_path, SEARCH)
    file = table.with_suffix(".settings.json")
    file.write_text(about)
    malformed: dict[Path, str] = {}
    assert read_searches(tmp_path, malformed) == []
    assert str(file) in malformed[table]


@pytest.mark.parametrize(("best", "so_far"), [("2", [3, 3, 2]), ("5", [3, 5, 5])])
def test_the_course_of_a_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, best: str, so_far: list[float]
) -> None:
    rows = [(0, "3"), (1, ""), (2, "5"), (3, "2")]
    table = [f"{n},finished,{'best' * (value == best)},{value},runs/{n}" for n, value in rows]
    write_search(tmp_path, "\n".join(["trial,state,best,objective.monitor,run", *table]))
    (search,) = read_searches(tmp_path, {})
    assert "best so far" in search_history(search)
    monkeypatch.setattr(
        "cage_lightning.report.page.searching.line_chart", lambda lines, *_, **__: lines
    )
    lines: Any = search_history(search)
    assert lines == {"monitor": ([0, 2, 3], [3, 5, 2]), "best so far": ([0, 2, 3], so_far)}


def test_a_search_without_a_result_has_an_empty_course(tmp_path: Path) -> None:
    write_search(tmp_path, "trial,state,best,objective.monitor,run\n0,failed,,,\n")
    (search,) = read_searches(tmp_path, {})
    assert "<svg" in search_history(search)


def test_several_objectives_have_no_common_course(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", *MODEL)
    write_search(tmp_path / "runs", SEARCH.replace("model.depth", "objective.meta.wall_time_s"))
    html = rendered(tmp_path / "runs")
    assert "no other one beats in every objective" in html
    assert "Value of every trial" not in html


@pytest.mark.parametrize(
    "text", ["", "trial,state\n", SEARCH.replace("objective.", ""), SEARCH + "4,failed\n", "\x00"]
)
def test_a_table_that_is_none_of_a_search_is_named(tmp_path: Path, text: str) -> None:
    file = write_search(tmp_path, text)
    malformed: dict[Path, str] = {}
    assert read_searches(tmp_path, malformed) == []
    assert str(file) in malformed[file]


def test_the_search_of_another_folder_is_left_out(tmp_path: Path) -> None:
    file = write_search(tmp_path / "elsewhere", SEARCH)
    link = tmp_path / "runs/default/.search/lr.csv"
    link.parent.mkdir(parents=True)
    link.symlink_to(file)
    assert read_searches(tmp_path / "runs", {}) == []
