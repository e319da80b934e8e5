"""A stranger's text does nothing where it is shown."""

from __future__ import annotations

import csv
import io
import logging
from pathlib import Path

import pytest
from rich.table import Table

from cage_lightning.report.figures import as_svg, new_figure
from cage_lightning.runs.log import start_logging
from cage_lightning.system.atomic import write_csv
from cage_lightning.system.escaping import (
    for_latex,
    for_markdown,
    for_spreadsheet,
    for_terminal,
    from_spreadsheet,
    on_one_line,
)
from cage_lightning.system.output import console, say
from tests.in_process import as_a_process

STEERING = {
    "colour": "\x1b[31m",
    "title of the window": "\x1b]0;x\x07",
    "bell": "\x07",
    "back": "\b",
    "to the start of the line": "\r",
    "eight-bit escape": "\x9b31m",
    "delete": "\x7f",
    "right to left": "\u202e",
    "isolate": "\u2066",
    "mark": "\u200f",
    "line separator": "\u2028",
    "half a character": "\udc80",
}


@pytest.mark.parametrize("kind", STEERING)
def test_a_terminal_is_not_steered(kind: str) -> None:
    shown = for_terminal(f"a{STEERING[kind]}b\n\tc")
    assert shown.startswith("a\\")
    assert shown.endswith("b\n\tc")
    assert all(letter.isprintable() or letter in "\n\t" for letter in shown)


def test_other_languages_are_shown_as_they_are() -> None:
    for text in ("Ärger é", "كتاب", "怒り", "می\u200cخواهم", "👩\u200d🚀"):
        assert for_terminal(text) == on_one_line(text) == text


MARKUP = {
    "<script>alert(1)</script>": "&lt;script>alert(1)&lt;/script>",
    "a|b\\|c": "a\\|b\\\\\\|c",
    "`code` *em* **strong**": "\\`code\\` \\*em\\* \\*\\*strong\\*\\*",
    "_em_ a_b": "\\_em\\_ a_b",
    "![x](http://x/y.png)": "![x]\\(http://x/y.png)",
    "[0.1, 0.2] (n = 3)": "[0.1, 0.2] (n = 3)",
    "&lt;b&gt; R&D": "&amp;lt;b&amp;gt; R&D",
    "$x$ ~~y~~": "\\$x\\$ \\~~y\\~~",
    "# heading": "\\# heading",
    "one\n\n# two": "one  # two",
    "\x1b[31m": "\\\\x1b[31m",
}


@pytest.mark.parametrize("text", MARKUP)
def test_markdown_has_no_markup_of_strangers(text: str) -> None:
    assert for_markdown(text) == MARKUP[text]


def test_latex_has_no_commands_of_strangers() -> None:
    assert for_latex("\\input{/etc/passwd}\n\n$x$ 5 % a_b") == (
        "\\textbackslash{}input\\{/etc/passwd\\}  \\$x\\$ 5 \\% a\\_b"
    )


FORMULAS = ("=1+1", "+cmd|x", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "＝1+1", '=HYPERLINK("http://x")')
NO_FORMULAS = ("-0.5", "+1e-5", "-inf", "a=b", "-", "", "'quoted'", "2026-01-01")


def test_a_spreadsheet_runs_nothing() -> None:
    assert [for_spreadsheet(text) for text in FORMULAS] == [f"'{text}" for text in FORMULAS]
    assert [for_spreadsheet(text) for text in NO_FORMULAS] == list(NO_FORMULAS)
    assert [for_spreadsheet(value) for value in (-1, -0.5, None)] == [-1, -0.5, None]
    for text in (*FORMULAS, *NO_FORMULAS):
        assert from_spreadsheet(for_spreadsheet(text)) == text


def test_a_table_has_no_formulas(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", ["=head", "n"], [{"=head": "@x", "n": -1.5}, {"n": None}])
    rows = list(csv.reader(io.StringIO((tmp_path / "t.csv").read_text())))
    assert rows == [["'=head", "n"], ["'@x", "-1.5"], ["", ""]]


def test_what_is_printed_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("head \x1b[1m", title="title \x1b[2m")
    table.add_row("cell \x1b[3m [red]\u202e")
    console().print(table)
    say("said \x1b[4m [/x]")
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "\u202e" not in printed
    for shown in ("\\x1b[1m", "\\x1b[2m", "\\x1b[3m [red]\\u202e", "said \\x1b[4m [/x]"):
        assert shown in printed


def test_what_is_logged_steers_no_terminal(tmp_path: Path) -> None:
    with as_a_process(tmp_path, {"MY_TOKEN": "abcdefgh1"}):
        start_logging(tmp_path / "train.log")
        logging.getLogger("x").warning("%s is no picture", "a\x1b]0;b\x07.jpg abcdefgh1")
        logging.getLogger("x").warning("http://me:word@host/")
    text = (tmp_path / "train.log").read_text(encoding="utf-8")
    assert "a\\x1b]0;b\\x07.jpg *** is no picture" in text
    assert "http://***@host/" in text


FORMULA = r"$\frac{1}$"


def test_no_text_in_a_figure_is_a_formula() -> None:
    figure = new_figure(4, 3, FORMULA)
    axes = figure.subplots()
    axes.plot([0, 1], label=FORMULA)
    axes.set_yticks([0, 1], [FORMULA, r"$\x$"])
    axes.set(xlabel=FORMULA)
    axes.legend()
    assert as_svg(figure, "x").count(FORMULA) == 4
