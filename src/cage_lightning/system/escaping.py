"""Text that a stranger may have written, made harmless for the place where it is shown.

A function for each place. HTML is escaped by Jinja (`report.page`), and figures draw no formulas
(`report.figures`).
"""

from __future__ import annotations

import re
from typing import Any

# Control characters but line break and tab; what turns the direction of writing, which shows a text
# in another order than it has; and halves of characters, which no encoding can write.
_STEERS = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
# Of `*` and `_` only what is not inside a word marks words; of brackets only those of a link.
_MARKS = re.compile(
    r"[\\`*<|$]|^[#>]|(?<=\])\(|(?<!\w)_|_(?!\w)|&(?=#?\w+;)|~(?=~)",
)
_AS_ENTITY = {"<": "&lt;", "&": "&amp;"}
_LATEX = str.maketrans(
    {character: f"\\{character}" for character in "_&%$#{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def for_terminal(text: str) -> str:
    r"""Text with what steers a terminal written as an escape; its lines stay lines.

    >>> for_terminal("red: \x1b[31m, backwards: \u202e")
    'red: \\x1b[31m, backwards: \\u202e'
    """
    return _STEERS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def on_one_line(text: str) -> str:
    r"""The same without line breaks.

    >>> on_one_line("one\ntwo")
    'one two'
    """
    return for_terminal(" ".join(text.splitlines()))


def for_markdown(text: str) -> str:
    r"""Text in a line of Markdown in which nothing is markup, a formula or HTML.

    >>> for_markdown("<b> a|b c_d *e*")
    '&lt;b> a\\|b c_d \\*e\\*'
    """
    return _MARKS.sub(lambda found: _AS_ENTITY.get(found[0], f"\\{found[0]}"), on_one_line(text))


def for_latex(text: str) -> str:
    r"""Text in a line in which no character means anything to LaTeX.

    >>> for_latex(r"\input{50 %}")
    '\\textbackslash{}input\\{50 \\%\\}'
    """
    return on_one_line(text).translate(_LATEX)


def from_spreadsheet(cell: str) -> str:
    """The text that `for_spreadsheet` made this cell of."""
    text = cell.removeprefix("'")
    return text if for_spreadsheet(text) != text else cell


def for_spreadsheet(cell: Any) -> Any:
    """The cell of a table: behind an apostrophe where a spreadsheet would run it as a formula.

    Numbers, also those that are texts, stay as they are.

    >>> for_spreadsheet("=1+1"), for_spreadsheet("-1e-5"), for_spreadsheet(-2)
    ("'=1+1", '-1e-5', -2)
    """
    if not isinstance(cell, str) or len(cell) < 2 or not cell.startswith(_FORMULA):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell
