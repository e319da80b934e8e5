"""Results of one data set are not replaced by those of another; stale figures do not stay."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from omegaconf import OmegaConf

from cage_lightning.commands.results import data_set, refuse_to_replace, remove_figures
from cage_lightning.errors import ConfigError
from cage_lightning.labels import AFFECTNET_7

CONFIG = OmegaConf.create({"choices": {"data": "rafdb"}})


def _data(root: Path, fingerprint: str = "one") -> Any:
    test = SimpleNamespace(fingerprint=lambda: fingerprint)
    return SimpleNamespace(label_space=AFFECTNET_7, source=SimpleNamespace(root=root), test=test)


def _results(folder: Path, data: Any, **left_out: None) -> None:
    meta = data_set(CONFIG, data) | {"data": {"test": {"fingerprint": data.test.fingerprint()}}}
    meta = {key: value for key, value in meta.items() if key not in left_out}
    (folder / "metrics.json").write_text(json.dumps({"meta": meta}))


def test_the_same_again_replaces_what_was_there(tmp_path: Path) -> None:
    data = _data(tmp_path / "a")
    refuse_to_replace(tmp_path, CONFIG, data)  # nothing is there
    _results(tmp_path, data)
    refuse_to_replace(tmp_path, CONFIG, data)
    _results(tmp_path, data, data_set=None)  # of an earlier version
    refuse_to_replace(tmp_path, CONFIG, _data(tmp_path / "moved"))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"meta": 3}', '{"meta": {"data": []}}'])
def test_a_file_that_says_nothing_is_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / "metrics.json").write_text(content)
    refuse_to_replace(tmp_path, CONFIG, _data(tmp_path))


def test_another_root_and_other_annotations_are_refused(tmp_path: Path) -> None:
    _results(tmp_path, _data(tmp_path / "a"))
    with pytest.raises(ConfigError, match=r"\(rafdb in .*a\) .* set output=DIR"):
        refuse_to_replace(tmp_path, CONFIG, _data(tmp_path / "b"))
    with pytest.raises(ConfigError, match=r"\(rafdb\) than these .* set output=DIR"):
        refuse_to_replace(tmp_path, CONFIG, _data(tmp_path / "a", "two"))


def test_figures_that_are_not_drawn_now_go_and_other_files_stay(tmp_path: Path) -> None:
    folder = tmp_path / "figures"
    remove_figures(tmp_path, ())
    folder.mkdir()
    for name in ("figure9.png", "figure9.csv", "density.svg", "worst_samples.pdf", "mine.png"):
        (folder / name).touch()
    remove_figures(tmp_path, ("density",))
    assert sorted(file.name for file in folder.iterdir()) == ["density.svg", "mine.png"]
