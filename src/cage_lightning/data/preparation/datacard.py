"""The data card: what is in a dataset, what was left out of it, and what occurs more than once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cage_lightning.affectnet_statistics import AFFECTNET_TRAINING
from cage_lightning.data.annotations import Annotations
from cage_lightning.data.preparation.altered import DETAIL, WHOLE
from cage_lightning.data.preparation.checking import Checked
from cage_lightning.data.preparation.coarse import SIZE
from cage_lightning.data.preparation.duplicates import GREY_LEVELS
from cage_lightning.data.preparation.leakage import ALTERED_UP_TO, Duplicates
from cage_lightning.labels import LABEL_SPACES
from cage_lightning.system.escaping import for_markdown
from cage_lightning.system.markdown import markdown_table

_TRAIN = tuple(row.samples for row in AFFECTNET_TRAINING.values())
_TEST = (500, 500, 500, 500, 500, 500, 500, 499)
_RAFDB_TEST = (680, 1_185, 478, 329, 74, 160, 162)

# Samples of each category; of AffectNet, in the release of 2021, which the paper uses.
PUBLISHED_CATEGORIES: Mapping[str, Mapping[str, Sequence[int]]] = {
    "affectnet8": {"train": _TRAIN, "test": _TEST},
    "affectnet7": {"train": _TRAIN[:7], "test": _TEST[:7]},
    "rafdb": {"test": _RAFDB_TEST},
}
# Samples; of EMOTIC, Table 3 of the paper counts persons.
PUBLISHED_SAMPLES: Mapping[str, Mapping[str, int]] = {
    "affectnet8": {"train": sum(_TRAIN), "test": sum(_TEST)},
    "affectnet7": {"train": sum(_TRAIN[:7]), "test": sum(_TEST[:7])},
    "rafdb": {"test": sum(_RAFDB_TEST)},
    "emotic": {"train": 23_266, "val": 3_315, "test": 7_203},
}
SHOWN = 5


def fault_rows(splits: Mapping[str, Checked]) -> list[dict[str, str]]:
    """A row for each sample without a usable picture, for a CSV file."""
    return [
        {"split": name, **row}
        for name, split in splits.items()
        for row in split.facts.filter(split.facts["fault"].is_valid())
        .select(["id", "path", "fault", "detail"])
        .to_pylist()
    ]


def describe(
    dataset: str, splits: Mapping[str, Checked], duplicates: Duplicates, image_size: int | None
) -> dict[str, Any]:
    """The data card as plain containers.

    Args:
        dataset: Name of the choice in ``data=...``, by which the published counts are found.
        splits: The splits by name.
        duplicates: Their duplicates.
        image_size: Height and width that the pictures are re-encoded at; None: stored as they are.
    """
    return {
        "dataset": dataset,
        "reencoded": image_size,
        "splits": {name: _describe_split(dataset, name, split) for name, split in splits.items()},
        "duplicates": duplicates.counts(),
        "altered_from": duplicates.altered_from,
        "leakage": {
            "same": duplicates.leaks(("bytes", "pixels")),
            "same or near": duplicates.leaks(("bytes", "pixels", "near")),
        }
        | (
            {"same, near or altered": duplicates.leaks(duplicates.kinds)}
            if "altered" in duplicates.kinds
            else {}
        ),
    }


def _describe_split(dataset: str, name: str, split: Checked) -> dict[str, Any]:
    table, space = split.table, split.table.space
    if space.name not in LABEL_SPACES:
        dataset = ""  # of somebody's own, whatever it is called
    published = PUBLISHED_CATEGORIES.get(dataset, {}).get(name, [None] * len(space.categories))
    counts = table.class_counts().tolist()
    usable = split.facts.filter(split.facts["fault"].is_null())
    return {
        "samples": len(table),
        "published": PUBLISHED_SAMPLES.get(dataset, {}).get(name),
        "left_out": dict(table.left_out),
        "faults": _counted(split.facts["fault"].drop_null()),
        "affect": _ranges(table, np.ones(len(table), dtype=bool)),
        "categories": {
            category: {
                "samples": counts[k],
                "published": published[k],
                "affect": _ranges(
                    table,
                    table.category[:, k] > 0 if space.multi_label else table.category == k,
                ),
            }
            for k, category in enumerate(space.categories)
        },
        "pictures": len(set(table.path.tolist())),
        "formats": _counted(usable["format"]),
        "modes": _counted(usable["mode"]),
        "examples": {
            mode: usable.filter(pc.equal(usable["mode"], mode))["path"][:SHOWN].to_pylist()
            for mode in _counted(usable["mode"])
            if mode != "RGB"
        },
        "sizes": _counted(
            pa.array(
                f"{width}x{height}"
                for width, height in zip(
                    usable["width"].to_pylist(), usable["height"].to_pylist(), strict=True
                )
            )
        ),
    }


def _ranges(table: Annotations, rows: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Dimension -> lowest, median and highest value, None without any."""
    ranges: dict[str, Any] = {}
    for d, dimension in enumerate(table.space.dimensions):
        values = table.affect[rows, d].astype(np.float64)
        values = values[~np.isnan(values)]
        ranges[dimension] = (
            [round(float(f(values)), 4) for f in (np.min, np.median, np.max)]
            if len(values)
            else None
        )
    return ranges


def _counted(column: pa.Array | pa.ChunkedArray) -> dict[str, int]:
    """Value -> how often, the most frequent first."""
    counts = Counter(column.to_pylist())
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


# --- as text -------------------------------------------------------------------------------------

_KINDS = {
    "bytes": "the same file",
    "pixels": "other files, the same pixels",
    "near": "nearly the same",
    "altered": "altered: mirrored, lightened, cropped, shifted or turned",
}


_NOT_SEARCHED = (
    f"Altered copies were not looked for: there are more than {ALTERED_UP_TO:,} pictures."
)


def render(card: Mapping[str, Any]) -> str:
    """The data card as Markdown."""
    splits = card["splits"]
    lines = [f"# Data card: {card['dataset']}", ""]
    lines += _table(
        ["split", "samples", "published", "pictures", "left out"],
        [
            [name, s["samples"], _or_dash(s["published"]), s["pictures"], _listed(s["left_out"])]
            for name, s in splits.items()
        ],
    )
    lines += ["", "## Pictures", ""]
    if card["reencoded"] is not None:
        size = f"{card['reencoded']}x{card['reencoded']}"
        lines += [f"Stored anew, as JPEG of {size} pixels: samples differ from the release's.", ""]
    lines += _table(
        ["split", "size", "mode", "format"],
        [
            [name, *(_listed(s[key]) for key in ("sizes", "modes", "formats"))]
            for name, s in splits.items()
        ],
    )
    converted = [
        f"- {name}, {mode}: {', '.join(map(for_markdown, paths))}"
        for name, s in splits.items()
        for mode, paths in s["examples"].items()
    ]
    if converted:
        lines += ["", "Decoded pictures are RGB. Converted from other modes are, for example:", ""]
        lines += converted
    lines += ["", "## Faults", ""]
    faults = [[n, fault, k] for n, s in splits.items() for fault, k in s["faults"].items()]
    lines += _table(["split", "fault", "samples"], faults) if faults else ["None."]
    lines += ["", "## Duplicates", ""]
    places = list(next(iter(card["duplicates"].values())))
    lines += _table(
        ["pairs", *places],
        [[_KINDS[kind], *counts.values()] for kind, counts in card["duplicates"].items()],
    )
    lines += ["", "Pictures that another split holds as well:", ""]
    lines += _table(
        ["", *card["leakage"]["same"]],
        [[kind, *counts.values()] for kind, counts in card["leakage"].items()],
    )
    lines += [
        "",
        "Of k pictures with the same file, pixels or grey picture there are k - 1 pairs, and every",
        "two that are nearly the same are one; two groups of such pictures have one altered pair",
        "at most. The second table counts pictures, each once.",
        "",
        "Nearly the same: grey pictures of 16 x 16 pixels, less their mean, differ by at most",
        f"{GREY_LEVELS:g} of 255 (root mean square).",
        *_about_altered(card["altered_from"]),
    ]
    for name, s in splits.items():
        lines += ["", f"## The {name} split", ""]
        lines += _table(
            ["category", "samples", "published", *(f"{d}: min, median, max" for d in s["affect"])],
            [
                [
                    category,
                    row["samples"],
                    _or_dash(row["published"]),
                    *map(_range, row["affect"].values()),
                ]
                for category, row in s["categories"].items()
            ]
            + [
                [
                    "all",
                    s["samples"],
                    _or_dash(s["published"]),
                    *map(_range, s["affect"].values()),
                ]
            ],
        )
    return "\n".join(lines) + "\n"


def _about_altered(level: float | None) -> list[str]:
    """What the word stands for; `level` is that of the detail, see `Duplicates.altered_from`."""
    if level is None:
        return [_NOT_SEARCHED]
    lines = [
        f"Altered: grey pictures of {SIZE} x {SIZE} pixels, brought into register, correlate by",
        f"{WHOLE:g} or more, and their fine detail by {level:g} or more.",
    ]
    if level > DETAIL:
        lines.append(f"It would be {DETAIL:g} if fewer pictures that are no copies looked alike.")
    return lines


def _table(header: Sequence[Any], rows: Sequence[Sequence[Any]]) -> list[str]:
    """A Markdown table whose columns are also even as plain text."""
    head, *body = ([_cell(value) for value in row] for row in (header, *rows))
    numbers = [k for k in range(len(header)) if all(isinstance(row[k], int) for row in rows)]
    return markdown_table(head, body, right=numbers, even=True).splitlines()


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _or_dash(value: int | None) -> int | str:
    return "-" if value is None else value


def _range(values: Sequence[float] | None) -> str:
    return "-" if values is None else " ".join(f"{value:+.3f}" for value in values)


def _listed(counts: Mapping[str, int]) -> str:
    """``64x64: 8,000, 32x32: 12``; of many values the most frequent ones."""
    shown = [f"{value}: {count:,}" for value, count in list(counts.items())[:SHOWN]]
    if len(counts) > SHOWN:
        rest = sum(list(counts.values())[SHOWN:])
        shown.append(f"{len(counts) - SHOWN} others: {rest:,}")
    return ", ".join(shown) or "-"
