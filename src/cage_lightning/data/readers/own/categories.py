"""Which categories there are, in which order, and which of them each sample has."""

from __future__ import annotations

import functools
import logging
import unicodedata
from collections import Counter

import numpy as np
import numpy.typing as npt

from cage_lightning.data.readers.own.rules import Rules
from cage_lightning.data.readers.samples import Samples, in_order
from cage_lightning.errors import ConfigError, DataError
from cage_lightning.labels import LabelSpace, own_space

logger = logging.getLogger(__name__)

Category = npt.NDArray[np.int64] | npt.NDArray[np.float32]


def without_left_out(samples: Samples, rules: Rules) -> Samples:
    """The samples without the categories that the settings leave out.

    A sample of one is left out and counted; where several may apply, it keeps its others.

    Raises:
        ConfigError: They name a folder that is not there.
    """
    there = samples.category_names()
    out = set(rules.leave_out)
    if rules.only_order:
        out |= there - rules.renamed.keys()
    if rules.only_order and (unread := rules.renamed.keys() - there):
        raise ConfigError(
            f"data.categories names {', '.join(sorted(unread))}, and {samples.root} has the "
            f"folders {', '.join(in_order(there))}"
        )
    if strange := rules.leave_out - there:
        logger.warning("data.leave_out: no sample is called %s", ", ".join(sorted(strange)))
    drop = np.zeros(len(samples), dtype=bool)
    for row, names in enumerate(samples.names):
        if left := [name for name in names if name in out]:
            samples.names[row] = tuple(name for name in names if name not in out)
            drop[row] = not rules.multi_label
            samples.leave_out(row, f"category {left[0]}")
    return samples.select(~drop) if drop.any() else samples


def order_of(samples: Samples, rules: Rules) -> tuple[str, ...]:
    """The categories in the order of the outputs: as set, or those of the training split.

    They are in the order in which the data set lists them, else sorted.
    """
    if rules.order is not None:
        return rules.order
    if samples.soft_names:
        return samples.soft_names
    training = {"train", ""} & set(samples.split) or set(samples.split)
    pairs = zip(samples.names, samples.split, strict=True)
    found = {name for names, split in pairs if split in training for name in names}
    stated = [name for name in samples.stated if name in found]
    names = [*stated, *in_order(found.difference(stated))]
    return tuple(name for name in names if _can_be_name(name))


def refuse_names(samples: Samples, rules: Rules, order: tuple[str, ...]) -> None:
    """Rename the categories; note the samples whose category is none, or is spelt in two ways."""
    counts = Counter(rules.renamed.get(n, n) for names in samples.names for n in names)
    spelt: dict[str, str] = {}
    for name in sorted(order, key=lambda name: -counts[name]):
        spelt.setdefault(_alike(name), name)
    for row, names in enumerate(samples.names):
        samples.names[row] = tuple(rules.renamed.get(name, name) for name in names)
        for name, there in zip(samples.names[row], names, strict=True):
            other = spelt.get(_alike(name))
            if rules.order is None and not _can_be_name(name):
                samples.refuse(row, "category", there, _NO_NAME)
            elif name not in order:
                samples.refuse(row, "category", there, _unknown(rules, order, other))
            elif other != name and rules.order is None:
                samples.refuse(
                    row,
                    "category",
                    there,
                    f"is {other!r} but for its spelling: write them alike, or name all texts and "
                    f"what they mean, data.categories={{{there}: {other}, ...}}",
                )


def _unknown(rules: Rules, order: tuple[str, ...], near: str | None) -> str:
    leave_out = "or leave such rows out with data.leave_out=[...]"
    if rules.order is None:
        return (
            "is no category of the training split: name all of them in data.categories=[...], "
            f"{leave_out}"
        )
    hint = f", where {near!r} is" if near else f" ({', '.join(order)})"
    return f"is not in data.categories{hint}: correct it, add it there, {leave_out}"


_NO_NAME = (
    "cannot be the name of a category: where it names several, set data.multi_label=true and "
    "data.separator; or say what each text means, data.categories={TEXT: NAME, ...}"
)


@functools.cache
def _can_be_name(name: str) -> bool:
    try:
        own_space("x", (name,), ())
    except ValueError:
        return False
    return True


def _alike(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def space_of(samples: Samples, rules: Rules, order: tuple[str, ...]) -> LabelSpace:
    """The label space, and say what its categories are.

    Raises:
        ConfigError: A category cannot be a name.
    """
    try:
        space = own_space(
            rules.name, order, samples.dimensions, rules.native_range, rules.multi_label
        )
    except ValueError as error:
        raise ConfigError(
            f"{samples.origin}: {error}: choose another one, data.categories={{TEXT: NAME}} or "
            "data.affect={NAME: COLUMN}"
        ) from error
    if order and len(samples):
        counts = Counter(name for names in samples.names for name in names)
        given = rules.order is not None or samples.soft_names
        shown = ", ".join(f"{name} ({counts[name]})" for name in order)
        how = "as set" if given else "as the data set lists them" if samples.stated else "sorted"
        logger.info("categories in the order of the outputs, %s: %s", how, shown)
        if any(text != name for text, name in rules.renamed.items()):
            mapped = ", ".join(f"{text!r} is {name}" for text, name in rules.renamed.items())
            logger.info("as data.categories says, %s", mapped)
    return space


def check_categories(samples: Samples, space: LabelSpace) -> None:
    """Refuse a single category, and no label at all.

    Raises:
        ConfigError: There is one category.
        DataError: There are no labels.
    """
    if not len(samples):
        raise DataError(
            f"{samples.origin}: no row has a label: name the columns of categories or affect with "
            "data.columns.category, data.soft or data.affect"
        )
    if len(space.categories) == 1 and not space.multi_label:
        raise ConfigError(
            f"{samples.origin}: {space.categories[0]!r} is the only category, and there is nothing "
            "to tell apart: name several in data.categories, or none, data.categories=[]"
        )


def to_arrays(
    samples: Samples, space: LabelSpace
) -> tuple[Category, npt.NDArray[np.float32] | None]:
    """The columns `category` and `soft` of `Annotations`.

    Of a sample without category, it is the one with the largest share, if that is one alone.

    Raises:
        ConfigError: There are shares of something that is no category.
    """
    number = {name: k for k, name in enumerate(space.categories)}
    if space.multi_label:
        hot = np.zeros((len(samples), len(number)), dtype=np.float32)
        for row, names in enumerate(samples.names):
            hot[row, [number[name] for name in names]] = 1
        return hot, None
    first = [number[names[0]] if names else -1 for names in samples.names]
    category = np.array(first, dtype=np.int64)
    if samples.soft is None:
        return category, None
    if strange := [name for name in samples.soft_names if name not in number]:
        raise ConfigError(
            f"data.soft names {strange[0]}, and the categories are {', '.join(number)}: name the "
            "same in data.soft and data.categories"
        )
    votes = np.zeros((len(samples), len(number)))
    votes[:, [number[name] for name in samples.soft_names]] = samples.soft
    total = votes.sum(axis=1, keepdims=True)
    alone = (votes == votes.max(axis=1, keepdims=True)).sum(axis=1) == 1
    category = np.where((category < 0) & alone, votes.argmax(axis=1), category)
    if ties := int(((category < 0) & (total[:, 0] > 0)).sum()):
        logger.info("%d samples have no category: several have the largest share", ties)
    return category, (votes / np.where(total > 0, total, 1)).astype(np.float32)
