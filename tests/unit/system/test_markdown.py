"""Tables in Markdown."""

from __future__ import annotations

from cage_lightning.system.markdown import Markdown, markdown_table


def test_an_even_table_is_even_as_plain_text() -> None:
    text = markdown_table(["split", "n"], [["train", "1,000"], ["a|b", "7"]], right=[1], even=True)
    assert text.splitlines() == [
        "| split |     n |",
        "|-------|------:|",
        "| train | 1,000 |",
        r"| a\|b  |     7 |",
    ]


def test_text_makes_no_row_and_no_column() -> None:
    text = markdown_table(["a\nb"], [["c\r\nd|e"], [Markdown("*f*<br>g\n")]])
    assert text == "| a b |\n|---|\n| c d\\|e |\n| *f*<br>g |\n"


def test_a_table_may_have_no_rows() -> None:
    assert markdown_table(["a", "b"], []) == "| a | b |\n|---|---|\n"
