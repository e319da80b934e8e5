"""A packed store and an export that an earlier commit wrote are read as what they meant then."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cage_lightning import ExpressionModel
from cage_lightning.app import build
from cage_lightning.data.face_dataset import FaceDataset
from cage_lightning.data.module import ExpressionData
from cage_lightning.data.store_file import is_current
from cage_lightning.models.tiny import TinyNetwork
from tests.conftest import composed

OLD = Path(__file__).with_name("written_1d0df9d")


@pytest.fixture
def data(tmp_path: Path) -> ExpressionData:
    """The splits of the store, whose release is not there any more."""
    shutil.copytree(OLD / "store", tmp_path / "store")
    where = (f"data.root={tmp_path / 'faces'}", f"data.store={tmp_path / 'store'}")
    found = build.build_data(composed("data=affectnet8", "model=tiny", *where))
    found.setup("fit")
    return found


def test_a_store_of_before(data: ExpressionData, caplog: pytest.LogCaptureFixture) -> None:
    assert (len(data.train) + len(data.val), len(data.test)) == (16, 7)
    assert data.test.category.tolist() == [*range(7)]
    for table in data.splits.values():
        assert all(sample.image.shape == (3, 16, 16) for sample in FaceDataset(table, 16))
    said = [record.getMessage() for record in caplog.get_records("setup")]
    assert sum("without checksums of its pictures" in line for line in said) == 1
    store = data.source.store
    assert store is not None
    assert not is_current(store.file("test"), data.source.root)  # `prepare` makes it anew


def test_an_export_of_before(data: ExpressionData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TinyNetwork.__init__, "__defaults__", (64, (16, 16, 16, 16)))
    expected = json.loads((OLD / "predicted.json").read_text())
    pictures = [data.test.picture(row) for row in range(len(data.test))]
    decoded = [
        np.asarray(Image.open(io.BytesIO(picture)))
        for picture in pictures
        if isinstance(picture, bytes)
    ]
    found = ExpressionModel.load(OLD / "export", device="cpu").predict(decoded)
    assert found.probability == pytest.approx(np.array(expected["probability"]), abs=1e-4)
    assert found.affect == pytest.approx(np.array(expected["affect"]), abs=1e-4)
