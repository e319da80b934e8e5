"""What the settings say of a data set of somebody's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Rules:
    """The settings that hold for a table as for folders.

    Attributes:
        name: What the data set is called.
        order: Its categories in the order of the outputs; None: those of the training split.
        renamed: What the data set calls a category -> its name; for `order` alone, the same.
        only_order: Leave out samples of categories that `order` lacks; if not, they are wrong.
        leave_out: What the data set calls categories whose samples are left out.
        multi_label: Whether several may apply to one sample.
        native_range: Lowest and highest value of affect in the files.
        test_fraction: Share of each category for the test split of a data set without splits; 1:
            all of it.
        val_fraction: Share of each category of the training split for a split that chooses the
            epoch, where there is none; None: none.
        seed: Of these draws.
        group_by: The group that is kept on one side; ``auto``: a person or else a video, where
            the data set tells them.
    """

    name: str
    order: tuple[str, ...] | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    only_order: bool = False
    leave_out: frozenset[str] = frozenset()
    multi_label: bool = False
    native_range: tuple[float, float] = (-1.0, 1.0)
    test_fraction: float = 0.2
    val_fraction: float | None = None
    seed: int = 0
    group_by: str | None = "auto"
