"""Tables in Markdown, as GitHub and W&B show them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from cage_lightning.system.escaping import for_markdown, on_one_line


class Markdown(str):
    """A text that is Markdown already, and in which nothing of a stranger's is markup."""

    __slots__ = ()


def markdown_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Collection[int] = (),
    even: bool = False,
) -> str:
    r"""A table in Markdown; a text is no markup, a ``|`` no border, and a line break no new row.

    >>> print(markdown_table(["class", "n"], [["a|b", "7"]], right=[1]), end="")
    | class | n |
    |---|--:|
    | a\|b | 7 |

    Args:
        header: The headings.
        rows: As many texts each as there are headings; what is `Markdown` is not escaped.
        right: Numbers of the columns that are aligned to the right.
        even: Fill up with spaces, so that the columns are also even as plain text.
    """
    table = [[_cell(text) for text in row] for row in (header, *rows)]
    widths = [max(1, *map(len, column)) if even else 0 for column in zip(*table, strict=True)]
    lines = [
        " | ".join(
            text.rjust(width) if k in right else text.ljust(width)
            for k, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in table
    ]
    rule = "|".join(
        "-" * max(width + 1, 2) + (":" if k in right else "-") for k, width in enumerate(widths)
    )
    head, *body = (f"| {line} |" for line in lines)
    return "\n".join([head, f"|{rule}|", *body]) + "\n"


def _cell(text: str) -> str:
    return on_one_line(text) if isinstance(text, Markdown) else for_markdown(text)
