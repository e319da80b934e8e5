"""What strangers call things does nothing in a table, a page, a picture or on a terminal."""

from __future__ import annotations

import csv
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from cage_lightning.commands.collect import collect
from tests.conftest import composed
from tests.fabricated_runs import write_run

MODEL = ("data=affectnet8", "model=maxvit")
TEXT = "=1+1|<script>alert(1)</script>`*x*[y](z)$\\frac{1}$\x1b[31m\u202e\\input{x}[/red]"
GROUP = "x\n```\nrm -rf ~ # $(touch ran)"


@contextmanager
def changed(run: Path) -> Iterator[dict[str, Any]]:
    """The config of a run, to be changed."""
    content = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    yield content
    (run / "config.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of two runs that differ in a setting, one of which has a hostile value."""
    root = tmp_path_factory.mktemp("hostile")
    write_run(root / "runs", *MODEL, "loss=combined", "augment=none")
    other = write_run(root / "runs", *MODEL, "loss=combined", "tag=other")
    with changed(other) as config:
        config["choices"]["augment"], config["group"] = TEXT, GROUP
    other.rename(other.with_name("AA;touch ran`"))  # the first one, whose group is named
    asked = ("table=table6", f"runs={root / 'runs'}", f"output={root / 'out'}", "compare=augment")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cage_lightning.report.figures._DPI", 40)
        patch.setattr("cage_lightning.report.figures.FORMATS", ("svg",))
        collect(composed(*asked, config_name="collect"))
    return root / "out"


def test_no_cell_is_a_formula(collected: Path) -> None:
    for name in ("results.csv", "comparisons.csv", "overview.csv"):
        if not (collected / name).is_file():
            continue
        with (collected / name).open(newline="", encoding="utf-8") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert not any(re.match(r"[=@]", cell) for cell in cells)
    assert f"'{TEXT}" in (collected / "results.csv").read_text(encoding="utf-8").replace('""', '"')


def test_markdown_has_no_markup_and_no_other_commands(collected: Path) -> None:
    text = (collected / "results.md").read_text(encoding="utf-8")
    assert "&lt;script>" in text
    for raw in ("<script", "\x1b", "\u202e", "](z)", "rm -rf"):
        assert raw not in text
    parts = text.split("```")
    assert len(parts) % 2 == 1
    for block in parts[1::2]:
        for line in block.removeprefix("bash\n").splitlines():
            assert shlex.split(line, comments=True)[:2] == ["python", "-m"]
    rows = [line for line in text.splitlines() if line.startswith("| affectnet8 ")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1


def test_latex_has_no_commands(collected: Path) -> None:
    text = (collected / "results.tex").read_text(encoding="utf-8")
    assert not re.search(r"\\(input|frac)", text)
    assert "textbackslash" in text
    assert text.replace("\n", "").isprintable()


def test_the_page_and_the_picture_show_it_as_text(collected: Path) -> None:
    page = (collected / "page.html").read_text(encoding="utf-8")
    assert page.count("<script") == 2
    assert "touch ran`" in page
    assert "rm -rf" not in "".join(re.findall(r"<pre[^>]*>(.*?)</pre>", page, re.DOTALL))
    (command,) = set(
        re.findall(r"<code>(python -m cage_lightning\.score [^<]*AA;[^<]*)</code>", page)
    )
    assert "predictions=" in shlex.split(command.replace("&#39;", "'"))[3]
    assert (collected / "overview.svg").is_file()
