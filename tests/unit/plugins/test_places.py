"""Where Hydra looks for plugins."""

from __future__ import annotations

from pathlib import Path

import hydra_plugins

TESTS = Path(__file__).parents[2]


def test_no_test_is_taken_for_a_plugin() -> None:
    """Hydra would import it with every command; one that is skipped would skip whatever runs."""
    places = [Path(place) for place in hydra_plugins.__path__]
    assert places
    assert not [
        file for place in places if place.is_relative_to(TESTS) for file in place.glob("*.py")
    ]
