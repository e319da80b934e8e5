"""The order of the slow tests."""

from __future__ import annotations

import pytest

# What takes longest comes first: `make test-slow` gives whole files to its processes, in the order
# of collection, and none of them is to begin a long one when the others have nothing left to do.
LONG = (
    *("test_wandb", "test_export", "test_launcher", "test_exact_resume", "test_every_backbone"),
    *("test_lightning_settings", "test_any_table", "test_first_sweeps", "test_grid_kills"),
    *("test_published_weights", "test_wheel", "test_data_sets", "test_faulty_inputs"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slow tests of the files that take longest; the others stay in their order."""

    def place(item: pytest.Item) -> int:
        long = item.path.stem in LONG and item.get_closest_marker("slow")
        return LONG.index(item.path.stem) if long else len(LONG)

    items.sort(key=place)
