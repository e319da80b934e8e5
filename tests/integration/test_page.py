"""The page of an experiment, as `collect` writes it, in a real browser."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chromium import NEEDS_CHROMIUM, PATIENCE_MS, started
from tests.fabricated_runs import draw_figures, write_run

pytestmark = NEEDS_CHROMIUM

HOSTILE = "<script>document.title='taken-over'</script><img src=x onerror=alert(1)>"
LONG = "a-very-long-tag-without-any-place-to-break-" + 60 * "x"


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of 18 runs, 3 of them with figures, one that failed and one that was stopped."""
    from omegaconf import OmegaConf

    from cage_lightning.commands.collect import collect

    work = tmp_path_factory.mktemp("grid")
    runs = work / "runs"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cage_lightning.report.figures.FORMATS", ("png",))  # what the page shows
        figures = draw_figures(work / "figures")
    for data, loss, seed in itertools.product(
        ("affectnet7", "affectnet8"), ("discrete", "combined", "va"), (0, 1, 2)
    ):
        own = (f"data={data}", "model=maxvit", f"loss={loss}", f"seed={seed}")
        tag = (f"tag={LONG}",) if (data, loss) == ("affectnet8", "va") else ()
        drawn = figures if (data, loss) == ("affectnet7", "combined") else None
        write_run(runs, *own, *tag, figures=drawn)
    log = f"INFO {HOSTILE}\n" * 30
    write_run(runs, "data=affectnet8", "tag=failed", finished=False, log=log, error=HOSTILE + LONG)
    write_run(runs, "data=affectnet8", "tag=stopped", finished=False, log=log)
    settings = {"table": "table6", "runs": str(runs), "output": str(work / "out"), "pictures": True}
    compared = {"compare": "loss", "equivalence": 0.01}
    collect(OmegaConf.create(settings | compared))
    return work / "out" / "page.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with started() as chromium:
        yield chromium


@pytest.fixture(params=[1400, 400])
def opened(request: pytest.FixtureRequest, browser, grid: Path):
    """The page at one width; in the end nothing was complained about and nothing was asked for."""
    page = browser.new_page(viewport={"width": request.param, "height": 900})
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda asked: messages.append(asked.url[:100]))
    page.on("dialog", lambda dialog: messages.append(dialog.message))
    page.goto(grid.as_uri())
    yield page
    pictures = page.eval_on_selector_all("img", "all => all.map((i) => i.naturalWidth)")
    page.close()
    assert pictures
    assert min(pictures) > 0
    assert [line for line in messages if not line.startswith("data:image/")] == [grid.as_uri()]


def column(page, table: str, heading: str) -> list[str]:
    """The sort keys of a column, from top to bottom."""
    return page.evaluate(  # type: ignore[no-any-return]
        """([table, heading]) => {
            const found = document.querySelector(table + " table");
            const names = [...found.tHead.rows[0].cells].map((c) => c.innerText.split(" ")[0]);
            return [...found.tBodies[0].rows].map((row) => {
                const cell = row.cells[names.indexOf(heading)];
                return cell.dataset.value ?? cell.innerText.trim();
            });
        }""",
        [table, heading],
    )


def test_a_click_on_a_heading_sorts(opened) -> None:
    ccc = column(opened, "#scores", "CCC")
    filled = [value for value in ccc if value]
    assert len(filled) < len(ccc)
    # Otherwise sorting as text would do: ".045" would come before "-.07".
    assert sorted(filled) != sorted(filled, key=float)
    heading = opened.locator("#scores th", has_text="CCC").first
    for order, reverse in (("ascending", False), ("descending", True)):
        heading.get_by_role("button").click()
        assert heading.get_attribute("aria-sort") == order
        expected = sorted(filled, key=float, reverse=reverse)
        # Empty cells come last.
        assert column(opened, "#scores", "CCC") == expected + [""] * (len(ccc) - len(filled))
    opened.locator("#scores th", has_text="loss").get_by_role("button").click()
    assert heading.get_attribute("aria-sort") is None
    losses = column(opened, "#scores", "loss")
    assert losses == sorted(losses)
    # Seconds, not "1:23:27".
    opened.locator("#runs th", has_text="training time").get_by_role("button").click()
    seconds = [float(value) for value in column(opened, "#runs", "training")]
    assert seconds == sorted(seconds)


def shown_rows(page) -> list[list[str]]:
    """The first four cells of the rows of the scores that are shown."""
    return page.evaluate(  # type: ignore[no-any-return]
        """() => [...document.querySelector("#scores table").tBodies[0].rows]
            .filter((row) => row.checkVisibility())
            .map((row) => [...row.cells].slice(0, 4).map((cell) => cell.innerText.trim()))"""
    )


def test_the_table_shows_what_is_chosen(opened) -> None:
    everything = shown_rows(opened)
    # All runs have the same network: there is nothing to choose.
    assert opened.locator("#filters select").evaluate_all("all => all.map((s) => s.name)") == [
        *("data", "loss")
    ]
    opened.check("#no-baselines")
    models = [row for row in everything if row[3] == "model"]
    assert 0 < len(models) < len(everything)
    assert shown_rows(opened) == models
    opened.select_option("#filters [name=data]", "affectnet7")
    opened.select_option("#filters [name=loss]", "va")
    assert shown_rows(opened) == [["affectnet7", "maxvit", "va", "model"]]
    assert opened.inner_text("#filtered") == f"1 of {len(everything)} rows are shown."
    # What is chosen stays so where the table is sorted.
    opened.locator("#scores th", has_text="CCC").first.get_by_role("button").click()
    assert len(shown_rows(opened)) == 1
    opened.uncheck("#no-baselines")
    opened.select_option("#filters [name=loss]", "")
    assert {row[0] for row in shown_rows(opened)} == {"affectnet7"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_overview_is_a_picture_with_a_text_for_either_scheme(opened, scheme: str) -> None:
    opened.emulate_media(color_scheme=scheme)
    pictures = opened.locator("#overview img")
    assert pictures.count() == 3
    opened.wait_for_function(
        """(dark) => [...document.querySelectorAll("#overview img")].every((image) => {
            const { srcset } = image.parentElement.querySelector("source");
            return image.complete && image.naturalWidth && (image.currentSrc === srcset) === dark;
        })""",
        arg=scheme == "dark",
        timeout=PATIENCE_MS,
    )
    first = pictures.first
    assert "F1 (higher is better). 6 models: best" in first.get_attribute("alt")
    box = first.bounding_box()
    assert box["width"] > 300
    assert box["x"] + box["width"] <= opened.viewport_size["width"]


def overlaps(page) -> list[list[str]]:
    """Pairs of texts, of which neither holds the other, that lie on each other."""
    return page.evaluate(  # type: ignore[no-any-return]
        """() => {
            const boxes = [...document.querySelectorAll(
                "h1, h2, h3, p, a, caption span, figcaption, img, label, pre, summary, td, th"
            )].filter((e) => e.checkVisibility()).map((e) => [e, e.getBoundingClientRect()]);
            const found = [];
            boxes.forEach(([a, p], i) => boxes.slice(i + 1).forEach(([b, q]) => {
                const wide = Math.min(p.right, q.right) - Math.max(p.left, q.left);
                const high = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
                // Other tables and figures are cut off by their own containers.
                if (a.contains(b) || b.contains(a) || wide < 1 || high < 1) return;
                found.push([a, b].map((e) => e.tagName + " " + e.innerText.slice(0, 40)));
            }));
            return found;
        }"""
    )


def test_nothing_overlaps_or_sticks_out(opened) -> None:
    opened.evaluate("document.querySelectorAll('details').forEach((d, i) => d.open = i % 6 === 0)")
    width = opened.viewport_size["width"]
    assert opened.evaluate("document.documentElement.scrollWidth") == width
    assert overlaps(opened) == []
    # Texts outside of what scrolls by itself lie within the page.
    right = opened.eval_on_selector_all(
        "h1, h2, h3, p, label, select, summary, figcaption, pre",
        "all => Math.max(...all.map((e) => e.getBoundingClientRect().right))",
    )
    assert right <= width
    tables = opened.eval_on_selector_all(
        "td, th", "all => all.filter((e) => e.scrollWidth > e.clientWidth + 1).length"
    )
    assert tables == 0, "a cell holds more than it shows"


def test_the_settings_in_which_two_runs_differ(opened) -> None:
    assert "settings differ" in opened.inner_text("#differences")
    one, other = "affectnet7-maxvit-combined-s0", "affectnet7-maxvit-combined-s2"
    opened.select_option("#one", one)
    opened.select_option("#other", other)
    rows = opened.eval_on_selector_all(
        "#diff tbody tr", "all => all.map((r) => [...r.cells].map((c) => c.innerText))"
    )
    seeds = {key: (a, b) for key, a, b in rows if one not in a}
    assert seeds == dict.fromkeys(
        ("augment.seed", "callbacks.step_seed.seed", "data.seed", "seed"), ("0", "2")
    )
    assert {key for key, *_ in rows} - set(seeds) == {
        *("callbacks.best.dirpath", "callbacks.last.path", "callbacks.step_timeout.folder"),
        *("logger.csv.save_dir", "run_dir"),
    }
    opened.select_option("#other", one)
    assert not opened.is_visible("#diff")
    assert opened.inner_text("#differences").startswith("0 of ")
    # A setting that only one of them has.
    opened.select_option("#other", "affectnet7-maxvit-va-s0")
    absent = opened.locator("#diff tr", has_text="loss.alpha").locator("td")
    assert absent.all_inner_texts() == ["5.0", "(not there)"]


def test_a_run_opens_from_the_table(opened) -> None:
    figure = opened.locator("#run-2 figure").first
    assert not figure.is_visible()
    opened.locator("#runs td a").nth(1).click()
    assert figure.is_visible()
    opened.locator("#run-2 summary").click()
    assert not figure.is_visible()


def test_the_log_of_a_failed_run_is_only_shown(opened) -> None:
    assert opened.title() == opened.inner_text("h1")
    assert HOSTILE in opened.inner_text("#failed pre")
    assert HOSTILE in opened.inner_text("#failed strong")
    assert HOSTILE in opened.inner_text("#stopped pre")


def test_it_is_a_document_without_scripts(browser, grid: Path) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 400, "height": 900})
    page = context.new_page()
    page.goto(grid.as_uri())
    assert page.locator("button").count() == 0
    assert not page.locator("#compare").is_visible()
    assert not page.locator("#filters").is_visible()
    assert page.locator("#scores tr.baseline").first.is_visible()
    assert page.locator("noscript").is_visible()
    page.locator("#run-1 summary").click()
    assert page.locator("#run-1 figure").first.is_visible()
    context.close()


def test_its_size(grid: Path) -> None:
    """With the figures of all runs, six times as many as there are here."""
    text = grid.read_text(encoding="utf-8")
    pictures = sum(map(len, re.findall('data:image/webp[^"]*', text)))
    assert 2_000_000 < len(text) + 5 * pictures < 8_000_000
