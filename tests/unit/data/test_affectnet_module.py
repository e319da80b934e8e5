"""data.release and data.margin, from the command line to the pictures."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from cage_lightning.app.build import build_data
from cage_lightning.errors import ConfigError, DataError
from tests.affectnet_layouts import Row, path_2017, write_2017, write_csv, write_folders
from tests.conftest import composed

ROWS = [Row(number, number % 8) for number in range(16)]
SPLITS = ("train", "test")


def data_module(root, *overrides):
    settings = ("data.image_size=10", "data.num_workers=0", *overrides)
    return build_data(composed("model=tiny", f"data.root={root}", *settings))


def write_both(root, write):
    for split in SPLITS:
        write(root, split, ROWS)


def test_the_release_is_found_or_as_told(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    write_both(tmp_path, write_2017)
    for folder in ("train_set", "val_set"):
        write_csv(tmp_path, folder, ROWS[:8])
    for release, count in (("auto", 8), ("csv", 8), ("affectnet2017", 16)):
        data = data_module(tmp_path, f"data.release={release}")
        data.setup("test")
        assert len(data.test) == count
    assert "reading release affectnet2017" in caplog.text
    with pytest.raises(DataError, match="affectnet_plus"):
        data_module(tmp_path, "data.release=affectnet_plus").setup("test")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "data.release=v2017",
            r"data\.release=v2017: choose one of auto, .*affectnet2017.*folders",
        ),
        ("data.margin=-0.1", r"data\.margin=-0\.1 is less than 0"),
    ],
)
@pytest.mark.parametrize("dataset", ["affectnet8", "affectnet7", "demo8"])
def test_a_faulty_setting_is_refused_before_anything_is_read(dataset, setting, message):
    with pytest.raises(ConfigError, match=message):
        data_module("/nowhere", f"data={dataset}", setting)


def test_demo_faces_can_be_read_as_another_release(demo_root):
    tables = []
    for release in ("auto", "csv"):
        data = data_module(
            demo_root / "demo_faces" / "tiny",
            *("data=demo8", "data.size=tiny", f"data.release={release}"),
        )
        data.setup("test")
        tables.append(data.test.fingerprint())
    assert tables[0] == tables[1]


def test_the_margin_widens_the_faces_of_every_split(tmp_path):
    write_both(tmp_path, write_2017)
    pixels = np.zeros((30, 40, 3), np.uint8)
    pixels[7:17, 5:25] = 255  # the face box: x 5, y 7, width 20, height 10
    for row in ROWS:
        path = tmp_path / "Manually_Annotated_Images" / path_2017(row.number)
        Image.fromarray(pixels).save(path, quality=95)
    corner = {}
    for margin in (0.0, 0.2):
        data = data_module(tmp_path, "data.selection=test", f"data.margin={margin}")
        data.trainer = SimpleNamespace(world_size=1, global_rank=0, overfit_batches=0)
        data.setup("fit")
        loaders = (data.train_dataloader(), data.val_dataloader(), data.test_dataloader())
        corner[margin] = [face.image[0, 0, 0] for loader in loaders for face in loader.dataset]
    assert (len(corner[0.0]), len(corner[0.2])) == (48, 48)
    assert min(corner[0.0]) > 200
    assert max(corner[0.2]) < 50


def test_folders_train_a_category_without_affect(tmp_path):
    names = [str(code) for code in range(8)]
    write_both(tmp_path, lambda root, split, rows: write_folders(root, split, rows, names))
    data = data_module(tmp_path, "data.holdout_fraction=0.5")
    data.setup("fit")
    assert data.class_weights() is not None
    assert [len(table) for table in (data.train, data.val, data.test)] == [8, 8, 16]
    assert data.train.class_counts().tolist() == [1] * 8
    assert np.isnan(data.train.affect).all()


@pytest.mark.parametrize(("cpus", "workers"), [(1, 1), (2, 2), (64, 4)])
def test_by_default_no_more_processes_decode_than_there_are_cpus(
    monkeypatch: pytest.MonkeyPatch, demo_root: Path, cpus: int, workers: int
) -> None:
    monkeypatch.setenv("CAGE_DATA", str(demo_root))
    monkeypatch.setattr("cage_lightning.data.module.usable_cpus", lambda: cpus)
    settings = ("data=affectnet8", "data.image_size=10")
    assert build_data(composed(*settings)).num_workers == workers
    assert build_data(composed(*settings, "data.num_workers=9")).num_workers == 9
    with pytest.raises(ConfigError, match=r"data\.num_workers=many"):
        build_data(composed(*settings, "data.num_workers=many"))
