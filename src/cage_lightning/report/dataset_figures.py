"""How categories and affect are distributed in a dataset: Figures 3 to 8 of the paper.

Each function returns a figure and the numbers it shows, as rows of a CSV file. What is not
annotated is left out: a dimension or the line of a split; a whole figure by `NothingToDraw`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from matplotlib.cbook import boxplot_stats

from cage_lightning.labels import LabelSpace
from cage_lightning.report.figures import (
    ACCENT,
    DENSITY_NOTE,
    SPLIT_COLORS,
    Drawing,
    Row,
    category_bars,
    circumplex,
    legend_below,
    new_figure,
)

Floats = npt.NDArray[np.floating[Any]]


CIRCUMPLEX = ("valence", "arousal")
_MOST_RATINGS = 12  # on a scale with a bin for each


class Split(Protocol):
    """What a figure reads of one split; `data.annotations.Annotations` describes the columns."""

    @property
    def category(self) -> npt.NDArray[np.int64] | npt.NDArray[np.float32]:
        """Int64 ``[N]``, or float32 multi-hot ``[N, K]``."""

    @property
    def affect(self) -> npt.NDArray[np.float32]:
        """Float32 ``[N, D]`` in [-1, 1], NaN where not annotated."""

    def class_counts(self) -> npt.NDArray[np.int64]:
        """Samples of each category, int64 ``[K]``."""

    def __len__(self) -> int: ...


Splits = Mapping[str, Split]


class NothingToDraw(Exception):
    """No sample has what the figure shows; the message names what is missing."""


def figures_of(space: LabelSpace) -> dict[str, Callable[[str, LabelSpace, Splits], Drawing]]:
    """The figures that suit a label space, by file name; each takes title, space and splits."""
    if not space.categories:
        return {"figure6": affect_by_split}
    if space.multi_label:
        return {
            "figure6": affect_by_split,
            "figure7": relative_frequency,
            "figure8": categories_per_sample,
        }
    return {
        "figure3": frequency_by_split,
        "figure4": circumplex_by_category,
        "figure5": affect_by_category,
        "figure6": affect_by_split,
    }


def annotated(space: LabelSpace, *tables: Split) -> list[str]:
    """The dimensions that at least one sample of the tables has."""
    affect = np.concatenate([table.affect for table in tables])
    return [space.dimensions[d] for d in np.flatnonzero(~np.isnan(affect).all(axis=0))]


def frequency_by_split(title: str, space: LabelSpace, splits: Splits) -> Drawing:
    """Figure 3: the share of each category in every split, with the counts beside the bars."""
    rows: list[Row] = [
        {"split": split, "category": name, "count": int(n), "share": n / max(1, len(table))}
        for split, table in splits.items()
        for name, n in zip(space.categories, table.class_counts(), strict=True)
    ]
    figure = new_figure(7.5, 5.5, f"{title}: frequency of the categories")
    axes = figure.subplots()
    bars = {
        split: [(100 * row["share"], row["count"]) for row in rows if row["split"] == split]
        for split in splits
    }
    category_bars(axes, space.categories, bars, SPLIT_COLORS)
    legend_below(figure)
    axes.set_xlabel("share of the split (%); number of samples beside the bar")
    return figure, rows


def circumplex_by_category(title: str, space: LabelSpace, splits: Splits) -> Drawing:
    """Figure 4: density of valence and arousal of the training samples, a panel per category."""
    train = splits["train"]
    if not set(CIRCUMPLEX) <= set(annotated(space, train)):
        raise NothingToDraw(f"no training sample has {' and '.join(CIRCUMPLEX)}")
    affect = np.stack([_of(space, train, dimension) for dimension in CIRCUMPLEX], axis=1)
    known = ~np.isnan(affect).any(axis=1)
    columns = 4
    height = -(-len(space.categories) // columns)
    figure = new_figure(11, 3 * height + 0.9, f"{title}: valence and arousal in the train split")
    panels = figure.subplots(height, columns, sharex=True, sharey=True, squeeze=False)
    rows: list[Row] = []
    for k, axes in enumerate(panels.flat):
        if k >= len(space.categories):
            axes.set_axis_off()
            continue
        points = affect[(train.category == k) & known]
        middle = np.median(points, axis=0).tolist() if len(points) else [None, None]
        circumplex(axes, points)
        if len(points):
            axes.plot(*middle, "P", ms=10, mfc=ACCENT, mec="white", label="median")
        axes.set_title(f"{space.categories[k]} (n = {len(points):,})", fontsize=10)
        rows.append(
            {
                "category": space.categories[k],
                "n": len(points),
                "median_valence": middle[0],
                "median_arousal": middle[1],
                "outside_unit_disc": int((np.hypot(*points.T) > 1).sum()),
            }
        )
    # The last row may not be full: the lowest panel of each column has the labels.
    for axes in panels.flat[max(0, len(space.categories) - columns) : len(space.categories)]:
        axes.set_xlabel("valence")
        axes.tick_params(labelbottom=True)
    for axes in panels[:, 0]:
        axes.set_ylabel("arousal")
    legend_below(figure, title=DENSITY_NOTE)
    return figure, rows


def affect_by_category(title: str, space: LabelSpace, splits: Splits) -> Drawing:
    """Figure 5: box plots of each dimension per category, in the train split.

    Box: quartiles and median; whiskers: the furthest sample within 1.5 interquartile ranges.
    """
    train = splits["train"]
    if not (dimensions := annotated(space, train)):
        raise NothingToDraw(f"no training sample has {' or '.join(space.dimensions) or 'affect'}")
    heading = f"{title}: {' and '.join(dimensions)} per category in the train split"
    figure = new_figure(8, 1.2 + 2.8 * len(dimensions), heading)
    figure.supxlabel(
        "box: quartiles and median; whiskers: furthest sample within 1.5 interquartile ranges",
        fontsize=9,
    )
    rows: list[Row] = []
    panels = figure.subplots(len(dimensions), sharex=True, squeeze=False)[:, 0]
    for axes, dimension in zip(panels, dimensions, strict=True):
        column = _of(space, train, dimension)
        values = [column[(train.category == k) & ~np.isnan(column)] for k in _indices(space)]
        drawn = [k for k in _indices(space) if len(values[k])]
        stats = [boxplot_stats(values[k])[0] for k in drawn]
        axes.bxp(
            stats,
            positions=drawn,
            showfliers=False,
            patch_artist=True,
            boxprops={"facecolor": "#A6CEE3"},
            medianprops={"color": ACCENT, "linewidth": 2},
        )
        axes.axhline(0, color="0.7", lw=0.8, zorder=0)
        axes.set_ylabel(dimension)
        axes.set_ylim(-1.05, 1.05)
        axes.set_xticks(_indices(space), space.categories, rotation=30, ha="right")
        rows += [
            {
                "dimension": dimension,
                "category": space.categories[k],
                "n": len(values[k]),
                "whisker_low": float(s["whislo"]),
                "quartile_1": float(s["q1"]),
                "median": float(s["med"]),
                "quartile_3": float(s["q3"]),
                "whisker_high": float(s["whishi"]),
            }
            for k, s in zip(drawn, stats, strict=True)
        ]
    return figure, rows


def affect_by_split(title: str, space: LabelSpace, splits: Splits) -> Drawing:
    """Figure 6: histograms of each dimension, the splits against each other.

    In the dataset's own scale. A share is of the samples that have the dimension.
    """
    if not (dimensions := annotated(space, *splits.values())):
        raise NothingToDraw(f"no sample has {' or '.join(space.dimensions) or 'affect'}")
    edges, ticks = _bins(space)
    figure = new_figure(4 * len(dimensions), 4.2, f"{title}: affect by split")
    rows: list[Row] = []
    panels = figure.subplots(
        1, len(dimensions), sharey=True, squeeze=False, gridspec_kw={"wspace": 0.06}
    )[0]
    for axes, dimension in zip(panels, dimensions, strict=True):
        for split, table in splits.items():
            values = space.to_native(_of(space, table, dimension).astype(np.float64))
            # The native value in float32 went through [-1, 1]: an edge must not split equal values.
            counts = np.histogram(np.round(values[~np.isnan(values)], 5), edges)[0]
            if not counts.any():
                continue
            shares = counts / counts.sum()
            axes.stairs(100 * shares, edges, color=SPLIT_COLORS[split], lw=2, label=split)
            rows += [
                {
                    "dimension": dimension,
                    "split": split,
                    "from": round(float(low), 6),
                    "to": round(float(high), 6),
                    "count": int(n),
                    "share": float(share),
                }
                for low, high, n, share in zip(edges, edges[1:], counts, shares, strict=False)
            ]
        axes.set_xlabel(dimension)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_xticks(ticks)
    panels[0].set_ylabel("share of the split (%)")
    legend_below(figure)
    return figure, rows


def relative_frequency(title: str, space: LabelSpace, splits: Splits) -> Drawing:
    """Figure 7: the share of training samples to which each category applies, most frequent first.

    Several may apply to one sample: the shares do not sum to 1.
    """
    counts, n = splits["train"].class_counts(), len(splits["train"])
    order = np.argsort(-counts, kind="stable")
    rows: list[Row] = [
        {
            "split": "train",
            "category": space.categories[k],
            "count": int(counts[k]),
            "share": counts[k] / max(1, n),
        }
        for k in order
    ]
    figure = new_figure(7.5, 8, f"{title}: categories in the train split ({n:,} samples)")
    axes = figure.subplots()
    bars = {"train": [(100 * row["share"], row["count"]) for row in rows]}
    category_bars(axes, [space.categories[k] for k in order], bars, SPLIT_COLORS)
    axes.set_xlabel("share of the samples (%); number of samples beside the bar")
    return figure, rows


def categories_per_sample(title: str, space: LabelSpace, splits: Splits) -> Drawing:
    """Figure 8: how many categories apply to one sample, by split."""
    numbers = {split: table.category.sum(axis=1).astype(int) for split, table in splits.items()}
    most = max(int(n.max(initial=0)) for n in numbers.values())
    figure = new_figure(7.5, 4.2, f"{title}: categories per sample")
    axes = figure.subplots()
    rows: list[Row] = []
    x = np.arange(most + 1)
    width = 0.8 / len(splits)
    for i, (split, number) in enumerate(numbers.items()):
        counts = np.bincount(number, minlength=most + 1)
        shares = counts / max(1, len(number))
        offset = (i - (len(splits) - 1) / 2) * width
        axes.bar(x + offset, 100 * shares, width, color=SPLIT_COLORS[split], label=split)
        rows += [
            {"split": split, "categories": int(k), "count": int(counts[k]), "share": shares[k]}
            for k in x
        ]
    axes.set_xticks(x)
    axes.set_xlabel("number of categories that apply to the sample")
    axes.set_ylabel("share of the split (%)")
    legend_below(figure)
    return figure, rows


def _bins(space: LabelSpace) -> tuple[Floats, Floats]:
    """Edges and ticks: a bin for each rating where the scale is one of ratings, else 20 bins."""
    low, high = space.native_range
    if 2 < high - low <= _MOST_RATINGS and low == int(low):  # as EMOTIC's 1 to 10
        return np.arange(low - 0.5, high + 1), np.arange(low, high + 1)
    return np.linspace(low, high, 21).round(6), np.linspace(low, high, 5)


def _of(space: LabelSpace, table: Split, dimension: str) -> npt.NDArray[np.float32]:
    return table.affect[:, space.dimensions.index(dimension)]


def _indices(space: LabelSpace) -> range:
    return range(len(space.categories))
